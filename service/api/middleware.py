"""The one layer that every request passes before and after its route.

Written for ASGI itself: Starlette's `BaseHTTPMiddleware` costs a task and a queue for each request.
"""

from __future__ import annotations

import os
import re
import time
from http import HTTPStatus
from typing import Any

import structlog
from starlette.datastructures import State
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from indexer.errors import NeuroscribeError
from service.api.access import ANYONE, SAFE_METHODS, Caller, Doorkeeper, require_scope, scope_of
from service.api.head_answers import BodyUnwantedError, asked_by_get, without_body
from service.api.metrics import Metrics, route_of
from service.api.origins import HostCheck, require_same_origin
from service.api.problems import error_response, status_of
from service.api.refusals import RefusalError
from service.api.request_limits import BodyLimit, RateLimit, body_limit, client_of
from service.api.security_headers import add_security_headers
from service.service_settings import ServiceSettings

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNLIMITED_PATH = "/healthz"
_ID_BYTES, _NONCE_BYTES = 8, 16
# Nobody is there to be told: only the log line and the counts show it.
_CLIENT_GONE = 499

logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class ServiceMiddleware:
    """Checks, limits, headers, counts and the log line of every request.

    Args:
        app: the routes.
        settings: of the service.
        metrics: where requests are counted.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._check_host = HostCheck(settings)
        self._limit_rate = RateLimit(settings.requests_per_minute)
        # Bound once: the lazy logger of a module makes another for each event.
        self._requests: structlog.typing.FilteringBoundLogger = logger.bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, without_body(send) if scope["method"] == "HEAD" else send)
        asked = asked_by_get(scope)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=exchange.request_id)
        try:
            await self._answer(exchange, asked, receive)
        finally:
            seconds = time.perf_counter() - exchange.began
            route = route_of(asked)
            self._metrics.count(scope["method"], route, exchange.status, seconds)
            exchange.log(self._requests, route, seconds)

    async def _answer(self, exchange: _Exchange, scope: Scope, receive: Receive) -> None:
        try:
            await self._admit(exchange, scope)
            bounded = self._bounded(scope, receive, exchange.headers)
            await self._app(scope, bounded, exchange.send)
        except RefusalError as refusal:
            answer = _problem(scope, refusal.status, refusal.kind, refusal.detail, refusal.headers)
            await answer(scope, receive, exchange.send)
        except NeuroscribeError as error:
            # Raised by the checks: the handlers of the application answer those of routes.
            answer = _problem(scope, status_of(error), type(error).__name__, str(error))
            await answer(scope, receive, exchange.send)
        except ClientDisconnect:
            exchange.status = exchange.status or _CLIENT_GONE
        except BodyUnwantedError:
            pass
        except Exception:
            logger.exception("a request failed by a fault of neuroscribe")
            if exchange.status:
                # Too late for another answer: the server breaks the connection off.
                raise
            detail = (
                "a fault of neuroscribe; the log of the service tells more "
                f"at request id {exchange.request_id}"
            )
            fault = _problem(scope, HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", detail)
            await fault(scope, receive, exchange.send)

    async def _admit(self, exchange: _Exchange, scope: Scope) -> None:
        method, path, headers = scope["method"], scope["path"], exchange.headers
        if _CONTROL.search(path):
            raise RefusalError(
                HTTPStatus.BAD_REQUEST, "PathError", "the path holds a control character"
            )
        self._check_host(headers)
        caller = await self._caller(exchange, scope)
        exchange.know(caller)
        require_same_origin(method, headers, caller)

    async def _caller(self, exchange: _Exchange, scope: Scope) -> Caller:
        path, headers, scheme = scope["path"], exchange.headers, scope["scheme"]
        doorkeeper: Doorkeeper = scope["app"].state.doorkeeper
        if path == _UNLIMITED_PATH or not await doorkeeper.is_asking():
            return ANYONE
        caller = doorkeeper.remembered(headers, scheme)
        if caller is not None and caller.key is not None:
            self._limit_rate(caller.key.id)
        else:
            # Counted by address before the database is asked, so that it cannot be kept busy.
            client = scope.get("client")
            self._limit_rate(client_of(client[0] if client else None))
            is_open = scope_of(scope["method"], path) is None
            try:
                caller = await doorkeeper.identify(headers, scheme)
            except RefusalError:
                if not is_open:
                    raise
                caller = ANYONE
        require_scope(caller, scope["method"], path)
        return caller

    def _bounded(
        self, scope: Scope, receive: Receive, headers: dict[bytes, bytes]
    ) -> Receive | BodyLimit:
        declared = headers.get(b"content-length")
        if scope["method"] in SAFE_METHODS and declared is None:
            return receive
        limit, advice = body_limit(self._settings, scope["path"])
        return BodyLimit(receive, limit, declared, advice)


class _Exchange:
    """A request and what was answered so far."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.began = time.perf_counter()
        self.status = 0
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._scope = scope
        self._send = send
        self._caller = ANYONE
        given = self.headers.get(b"x-request-id", b"")
        known = _REQUEST_ID.fullmatch(given) is not None
        drawn = os.urandom(_ID_BYTES + _NONCE_BYTES)
        self.request_id = given.decode() if known else drawn[:_ID_BYTES].hex()
        self._nonce = drawn[_ID_BYTES:].hex()
        state: dict[str, Any] | State = scope.setdefault("state", {})
        assert isinstance(state, dict)
        state.update(csp_nonce=self._nonce, request_id=self.request_id)

    def know(self, caller: Caller) -> None:
        """Keep who sent the request, also for pages."""
        self._caller = caller
        self._scope["state"].update(caller=caller)

    async def send(self, message: Message) -> None:
        """Send a part of the answer; its beginning with all headers."""
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            headers = list(message.get("headers", ()))
            headers.append((b"x-request-id", self.request_id.encode()))
            add_security_headers(
                headers,
                nonce=self._nonce,
                scheme=self._scope["scheme"],
                authenticated=self._caller.key is not None,
            )
            message["headers"] = headers
        await self._send(message)

    def log(
        self, requests: structlog.typing.FilteringBoundLogger, route: str, seconds: float
    ) -> None:
        """Write the request's line: without path, query and key, which may be private."""
        key = self._caller.key
        requests.info(
            "request",
            method=self._scope["method"],
            route=route,
            status=self.status,
            ms=round(1000 * seconds, 2),
            key=None if key is None else key.id,
        )


def _problem(
    scope: Scope, status: HTTPStatus, kind: str, detail: str, headers: Any = None
) -> Response:
    return error_response(Request(scope), status, kind, detail, headers)
