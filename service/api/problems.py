"""Every error as a problem document (RFC 9457)."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ConfigDict
from sqlalchemy import exc as database_errors
from starlette.exceptions import HTTPException

from indexer.errors import (
    BackendError,
    BusyError,
    InputError,
    NeuroscribeError,
    NotFoundError,
    RunError,
    StaleError,
)
from indexer.records import Record
from service.api.allowed_methods import allowed_methods, options_answer
from service.api.hidden_paths import without_paths
from service.api.state import state_of

MEDIA_TYPE = "application/problem+json"

_SHOWN_COMPLAINTS, _SHOWN_CHARACTERS = 10, 1000
_KINDS = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "BodyError"}
_NO_PAGES = ("/v1", "/static/", "/metrics", "/healthz", "/readyz", "/openapi.json")

_STATUSES: tuple[tuple[type[NeuroscribeError], HTTPStatus], ...] = (
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (StaleError, HTTPStatus.CONFLICT),
    (InputError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (BusyError, HTTPStatus.CONFLICT),
    (RunError, HTTPStatus.CONFLICT),
    (BackendError, HTTPStatus.SERVICE_UNAVAILABLE),
)


class Problem(Record):
    """A problem document; `type` ends in the name of the error's class."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:neuroscribe:problem:NotFoundError",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "there is no run 'revews'; GET /v1/runs lists those there are",
                    "instance": "/v1/runs/revews",
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""


def status_of(error: NeuroscribeError) -> HTTPStatus:
    """The HTTP status that stands for an error."""
    return next(status for kind, status in _STATUSES if isinstance(error, kind))


def problem_response(
    request: Request, status: HTTPStatus, kind: str, detail: str, headers: Any = None
) -> JSONResponse:
    """An error as a problem document."""
    problem = _problem(request, status, kind, detail)
    return JSONResponse(
        problem.model_dump(), status_code=status, media_type=MEDIA_TYPE, headers=headers
    )


def error_response(
    request: Request, status: HTTPStatus, kind: str, detail: str, headers: Any = None
) -> Response:
    """An error as a page where a browser asked for one, else as a problem document."""
    if not _wants_page(request):
        return problem_response(request, status, kind, detail, headers)
    from service.pages.errors import error_page

    answer = error_page(request, _problem(request, status, kind, detail))
    answer.headers.update(headers or {})
    return answer


def _problem(request: Request, status: HTTPStatus, kind: str, detail: str) -> Problem:
    return Problem(
        type=f"urn:neuroscribe:problem:{kind}",
        title=status.phrase,
        status=status,
        # Half of a surrogate pair, which JSON bodies may hold, cannot be sent in UTF-8.
        detail=detail.encode("utf-8", "backslashreplace").decode(),
        instance=request.scope["path"],
    )


def _wants_page(request: Request) -> bool:
    if request.scope["path"].startswith(_NO_PAGES):
        return False
    return "text/html" in request.headers.get("accept", "")


def add_problem_handlers(app: FastAPI) -> None:
    """Have every error of `app` answered by a problem document."""

    async def of_ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, NeuroscribeError)
        detail = without_paths(str(error), state_of(request).settings)
        return error_response(request, status_of(error), type(error).__name__, detail)

    async def of_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        complaints = error.errors()
        shown = [_complaint(each) for each in complaints[:_SHOWN_COMPLAINTS]]
        if len(complaints) > len(shown):
            shown.append(f"and {len(complaints) - len(shown):,} more")
        detail = "; ".join(shown)
        return error_response(request, HTTPStatus.UNPROCESSABLE_ENTITY, "ValidationError", detail)

    async def of_database(request: Request, error: Exception) -> Response:
        detail = (
            f"the database of the service failed ({type(error).__name__}); "
            "the same request works once it is back"
        )
        return error_response(request, HTTPStatus.SERVICE_UNAVAILABLE, "BackendError", detail)

    async def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status, headers = HTTPStatus(error.status_code), error.headers
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            if request.method == "OPTIONS":
                return options_answer(request)
            # The route that refused knows its own methods only; others may be at the same path.
            headers = {**(headers or {}), "Allow": ", ".join(allowed_methods(request))}
        told = error.detail == status.phrase
        detail = _told(request, status, headers) if told else str(error.detail)
        kind = _KINDS.get(status, "HTTPError")
        return error_response(request, status, kind, detail, headers)

    app.add_exception_handler(NeuroscribeError, of_ours)
    app.add_exception_handler(RequestValidationError, of_validation)
    app.add_exception_handler(HTTPException, of_http)
    for lost in (
        database_errors.OperationalError,
        database_errors.InterfaceError,
        database_errors.TimeoutError,
    ):
        app.add_exception_handler(lost, of_database)


def _told(request: Request, status: HTTPStatus, headers: Mapping[str, str] | None) -> str:
    """What an error without words of its own says."""
    method, path = request.scope["method"], request.scope["path"]
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{path} does not take {method}; it takes {(headers or {}).get('Allow')}"
    if status is HTTPStatus.NOT_FOUND:
        return f"there is nothing at {path}; GET /openapi.json tells what there is"
    return status.phrase


def _complaint(error: Any) -> str:
    """What is wrong with a part of a request, with the beginning of what was found there."""
    place = _shortened(".".join(str(part) for part in error["loc"]))
    # Some messages repeat what was found, which may be most of a megabyte.
    message = _shortened(error["msg"].removeprefix("Value error, "))
    found = reprlib.repr(error.get("input"))
    return f"{place}: found {found}; {message}"


def _shortened(text: str) -> str:
    """A text of which no more than some lines are shown, its beginning and its end."""
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    half = _SHOWN_CHARACTERS // 2
    return f"{text[:half]} … {text[-half:]}"
