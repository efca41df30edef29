"""The login of the pages: an API key in, a session cookie out."""

from __future__ import annotations

import re
from http import HTTPStatus
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from indexer.errors import InputError
from service.api.access import LOGIN_PATH, cookie_name, token_of
from service.api.sessions import SESSION_LASTS
from service.api.state import state_of

router = APIRouter(include_in_schema=False)

_START = "/"
# Not `//host` nor `/\host`, which browsers take for the address of another site.
_LOCAL_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")
_FIELDS = 4


@router.get(LOGIN_PATH)
def show_login(request: Request, next: str = _START) -> Response:  # noqa: A002 - a name of URLs
    """The page that asks for a key."""
    return _login_page(request, next)


@router.post(LOGIN_PATH)
async def log_in(request: Request) -> Response:
    """Start a session for the holder of a key.

    Raises:
        InputError: the form is none.
    """
    try:
        form = parse_qs((await request.body()).decode(), max_num_fields=_FIELDS)
    except ValueError as error:
        raise InputError(
            "the login form cannot be read; expected the fields key and next"
        ) from error
    secret, to = form.get("key", [""])[0].strip(), form.get("next", [_START])[0]
    state = state_of(request)
    key = await run_in_threadpool(state.keys.find, secret)
    if key is None:
        problem = "This is no valid API key: it is unknown, has expired or was revoked."
        return await run_in_threadpool(_login_page, request, to, problem)
    token = await run_in_threadpool(state.sessions.start, key)
    scheme = request.scope["scheme"]
    answer = RedirectResponse(_local(to), HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        cookie_name(scheme),
        token,
        max_age=int(SESSION_LASTS.total_seconds()),
        secure=scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return answer


@router.post("/logout")
def log_out(request: Request) -> Response:
    """End the session."""
    scheme = request.scope["scheme"]
    token = token_of(dict(request.headers.raw), scheme)
    if token is not None:
        state_of(request).sessions.end(token)
    answer = RedirectResponse(LOGIN_PATH, HTTPStatus.SEE_OTHER)
    answer.delete_cookie(
        cookie_name(scheme), secure=scheme == "https", httponly=True, samesite="strict"
    )
    return answer


def _login_page(request: Request, to: str, problem: str = "") -> Response:
    from service.pages.rendering import page

    status = HTTPStatus.UNAUTHORIZED if problem else HTTPStatus.OK
    return page(request, "login.html", status=status, next=_local(to), problem=problem)


def _local(path: str) -> str:
    """A path of this service; its start where `path` leads elsewhere."""
    return path if _LOCAL_PATH.fullmatch(path) else _START
