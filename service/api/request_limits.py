"""How large a request may be, and how many one client may send."""

from __future__ import annotations

import math
import time
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address, ip_network

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from service.api.refusals import RefusalError
from service.service_settings import ServiceSettings

_UPLOADS = "/v1/uploads"
_IPV6_NETWORK = 64


class BodyLimit:
    """Reads the body of a request up to a limit, whatever length it was said to have.

    Args:
        receive: the rest of the request.
        limit: in bytes.
        declared: its `Content-Length`.
        advice: what the sender of a larger one may do.

    Raises:
        RefusalError: the declared length is no number, or over the limit.
    """

    def __init__(
        self, receive: Receive, limit: int, declared: bytes | None, advice: str = ""
    ) -> None:
        self._receive = receive
        self._advice = f". {advice}" if advice else ""
        self._limit = limit
        self._read = 0
        if declared is not None:
            if not declared.isdigit():
                raise RefusalError(
                    HTTPStatus.BAD_REQUEST, "HTTPError", "Content-Length is not a number of bytes"
                )
            if int(declared) > limit:
                raise RefusalError(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    "BodyError",
                    self._detail(f"{int(declared):,} bytes"),
                    _CLOSE,
                )

    async def __call__(self) -> Message:
        """The next part of the body.

        Raises:
            HTTPException: it is longer than the limit.
        """
        message = await self._receive()
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > self._limit:
                # Not a RefusalError: FastAPI lets only this one through while it reads a body.
                raise HTTPException(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    self._detail(f"more than {self._limit:,} bytes"),
                    _CLOSE,
                )
        return message

    def _detail(self, found: str) -> str:
        return f"found a body of {found}; expected at most {self._limit:,} bytes{self._advice}"


_CLOSE = {"Connection": "close"}


def body_limit(settings: ServiceSettings, path: str) -> tuple[int, str]:
    """The largest body of a request to `path`, and what the sender of a larger one may do."""
    if path.startswith(_UPLOADS):
        return settings.upload_bytes, "Send it compressed (.gz), or a part of it"
    return settings.body_bytes, ""


class RateLimit:
    """How many requests one client may send in a minute, counted in this process.

    Args:
        requests_per_minute: 0 for as many as they like.
    """

    def __init__(self, requests_per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(requests_per_minute) if requests_per_minute else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def __call__(self, client: str) -> None:
        """Count a request.

        Raises:
            RefusalError: it is one too many.
        """
        item = self._item
        if item is None or self._limiter.hit(item, client):
            return
        window = self._limiter.get_window_stats(item, client)
        wait = str(max(1, math.ceil(window.reset_time - time.time())))
        raise RefusalError(
            HTTPStatus.TOO_MANY_REQUESTS,
            "RateError",
            f"more than {item.amount} requests in a minute; try again in {wait} s",
            {
                "Retry-After": wait,
                "RateLimit-Limit": str(item.amount),
                "RateLimit-Remaining": str(window.remaining),
                "RateLimit-Reset": wait,
            },
        )


def client_of(address: str | None) -> str:
    """What requests of one client are counted by: its address, or its network of IPv6."""
    if address is None:
        return "unknown"
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, _IPV6_NETWORK), strict=False))
    return str(parsed)
