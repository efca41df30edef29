"""Who may do what: whether an API key is asked for, who came with one, and what a route needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import cookie_parser

from indexer.errors import InputError
from service.api.key_records import ApiKey, Scope
from service.api.keys import KeyStore
from service.api.refusals import RefusalError
from service.api.sessions import SessionStore
from service.service_settings import ServiceSettings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOGIN_PATH = "/login"

_READING_POSTS = re.compile(r"/v1/explain|/runs/[^/]+/text(?:/panel)?")
_DELETING_POST = re.compile(r"/runs/[^/]+/delete")
_OPEN_PATHS = frozenset({"/healthz", "/readyz", LOGIN_PATH, "/logout"})
_OPEN_FOLDER = "/static/"
_RUNS_FOLDER = "/v1/runs/"
_API_PATHS = ("/v1", "/metrics", "/openapi.json")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request: the holder of a key, or anyone where none is asked for."""

    key: ApiKey | None = None
    by_cookie: bool = False

    @property
    def by_header(self) -> bool:
        """Whether the request itself held the key, which no other web site can make it do."""
        return self.key is not None and not self.by_cookie


ANYONE = Caller()


def scope_of(method: str, path: str) -> Scope | None:
    """What a request needs a key for; None where it needs none.

    What is not known to only read, writes.
    """
    if path in _OPEN_PATHS or path.startswith(_OPEN_FOLDER):
        return None
    if method in SAFE_METHODS or (method == "POST" and _READING_POSTS.fullmatch(path)):
        return Scope.READ
    if method == "DELETE" and path.startswith(_RUNS_FOLDER):
        return Scope.ADMIN
    if method == "POST" and _DELETING_POST.fullmatch(path):
        return Scope.ADMIN
    return Scope.WRITE


def require_startable(settings: ServiceSettings, keys: KeyStore) -> None:
    """Refuse to serve where anyone who reaches the address could do all, or no one anything.

    Raises:
        InputError: it is so.
        BackendError: the database cannot be asked.
    """
    make_one = f"`neuroscribe keys create NAME --scope admin --runs {settings.runs}` makes one"
    if settings.authentication == "off" and not settings.is_private:
        reached = "directly" if not settings.is_loopback else "by allowed_hosts or trusted_proxies"
        raise InputError(
            f"authentication is off, and {settings.host} can be reached from other machines "
            f"({reached}); give --host 127.0.0.1 without those, or --authentication required"
        )
    asked = settings.authentication == "required" or not settings.is_private
    if asked and not keys.any_is_valid():
        raise InputError(
            f"an API key is asked for on {settings.host}, and none is valid; {make_one}"
        )


class Doorkeeper:
    """Asks for keys where they are needed.

    Args:
        settings: of the service.
        keys: those that open it.
        sessions: of those who came in by the login page.
    """

    def __init__(self, settings: ServiceSettings, keys: KeyStore, sessions: SessionStore) -> None:
        mode = settings.authentication
        decided = mode != "auto" or not settings.is_private
        self._always: bool | None = mode != "off" if decided else None
        self._keys = keys
        self._sessions = sessions

    async def is_asking(self) -> bool:
        """Whether a key is needed at all."""
        if self._always is not None:
            return self._always
        known = self._keys.known_whether_made()
        return await run_in_threadpool(self._keys.any_was_made) if known is None else known

    def remembered(self, headers: Mapping[bytes, bytes], scheme: str) -> Caller | None:
        """The sender of a request if the last seconds tell; costs nothing."""
        secret = secret_of(headers)
        if secret is not None:
            key = self._keys.remembered(secret)
            return None if key is None else Caller(key)
        token = token_of(headers, scheme)
        key = None if token is None else self._sessions.remembered(token)
        return None if key is None else Caller(key, by_cookie=True)

    async def identify(self, headers: Mapping[bytes, bytes], scheme: str) -> Caller:
        """The sender of a request; ANYONE without a valid key or session.

        Raises:
            RefusalError: a key was given and is not valid.
            BackendError: the database cannot be asked.
        """
        secret = secret_of(headers)
        if secret is not None:
            key = await run_in_threadpool(self._keys.find, secret)
            if key is None:
                raise _unauthorized("the API key is unknown, has expired or was revoked")
            return Caller(key)
        token = token_of(headers, scheme)
        key = None if token is None else await run_in_threadpool(self._sessions.find, token)
        return ANYONE if key is None else Caller(key, by_cookie=True)


def require_scope(caller: Caller, method: str, path: str) -> None:
    """Turn away a caller whose key is not for such a request.

    Raises:
        RefusalError: it is not, or there is none.
    """
    wanted = scope_of(method, path)
    if wanted is None:
        return
    if caller.key is None:
        if method in SAFE_METHODS and not path.startswith(_API_PATHS):
            raise RefusalError(
                HTTPStatus.SEE_OTHER,
                "AuthenticationError",
                "an API key is needed; the login page takes one",
                {"Location": f"{LOGIN_PATH}?next={quote(path, safe='/')}"},
            )
        raise _unauthorized("an API key is needed, as `Authorization: Bearer KEY` or `x-api-key`")
    if not caller.key.scope.allows(wanted):
        raise RefusalError(
            HTTPStatus.FORBIDDEN,
            "ScopeError",
            f"the key is of scope {caller.key.scope}; this needs {wanted}",
        )


def secret_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The API key that a request holds in a header."""
    given = headers.get(b"authorization")
    if given is not None:
        kind, _, secret = given.decode("latin-1").partition(" ")
        if kind.lower() == "bearer":
            return secret.strip()
    given = headers.get(b"x-api-key")
    return None if given is None else given.decode("latin-1").strip()


def cookie_name(scheme: str) -> str:
    """The session cookie's name; a browser binds the one of https to this very host."""
    return "__Host-neuroscribe" if scheme == "https" else "neuroscribe_session"


def token_of(headers: Mapping[bytes, bytes], scheme: str) -> str | None:
    """The session that a request holds in a cookie."""
    given = headers.get(b"cookie")
    if given is None:
        return None
    return cookie_parser(given.decode("latin-1")).get(cookie_name(scheme))


def _unauthorized(detail: str) -> RefusalError:
    return RefusalError(
        HTTPStatus.UNAUTHORIZED,
        "AuthenticationError",
        detail,
        {"WWW-Authenticate": 'Bearer realm="neuroscribe"'},
    )
