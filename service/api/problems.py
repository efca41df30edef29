"""Every error as a problem document (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
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
from service.complaints import complaints

MEDIA_TYPE = "application/problem+json"

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
    """An error as an answer."""
    problem = Problem(
        type=f"urn:neuroscribe:problem:{kind}",
        title=status.phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
    )
    return JSONResponse(
        problem.model_dump(), status_code=status, media_type=MEDIA_TYPE, headers=headers
    )


def add_problem_handlers(app: FastAPI) -> None:
    """Have every error of `app` answered by a problem document."""

    async def of_ours(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, NeuroscribeError)
        return problem_response(request, status_of(error), type(error).__name__, str(error))

    async def of_validation(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        detail = "; ".join(complaints(list(error.errors())))
        return problem_response(request, HTTPStatus.UNPROCESSABLE_ENTITY, "ValidationError", detail)

    async def of_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        status = HTTPStatus(error.status_code)
        return problem_response(request, status, "HTTPError", str(error.detail), error.headers)

    app.add_exception_handler(NeuroscribeError, of_ours)
    app.add_exception_handler(RequestValidationError, of_validation)
    app.add_exception_handler(HTTPException, of_http)
