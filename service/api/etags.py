"""Answers about a run with their ETag, and none where the client has it already."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from indexer.records import Record
from service.api.state import state_of
from service.views.run_view import RunView

JSON = "application/json"


def quoted(etag: str) -> str:
    """An ETag as headers write it."""
    return f'"{etag}"'


def is_named(header: str | None, etag: str) -> bool:
    """Whether `If-Match` or `If-None-Match` names an ETag; a weak one counts as its strong one."""
    if header is None:
        return False
    named = [each.strip().removeprefix("W/") for each in header.split(",")]
    return "*" in named or quoted(etag) in named


def headers_of(etag: str) -> dict[str, str]:
    """The headers of an answer that may be kept as long as its ETag is asked for again."""
    return {"ETag": quoted(etag), "Cache-Control": "private, no-cache"}


def unchanged(request: Request, etag: str) -> Response | None:
    """The answer 304 where the client has this state, else None."""
    if is_named(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers_of(etag))
    return None


def etag_of_run(view: RunView) -> str:
    """The state of a run."""
    return view.etag


def etag_of_catalog(view: RunView) -> str:
    """The state of a run and of the edits of its catalog, which change without it."""
    return f"{view.etag[:32]}-{view.catalog_etag[:32]}"


async def answer_of_run(
    request: Request,
    run: str,
    make: Callable[[RunView], Record],
    etag: Callable[[RunView], str] = etag_of_run,
) -> Response:
    """What `make` says of a run as JSON, or 304.

    Args:
        request: the request.
        run: the name of the run.
        make: computes the answer, in a thread.
        etag: names the state that the answer depends on.

    Raises:
        NotFoundError: there is no such run, or not what is asked for in it.
        RunError: the run is not complete, or damaged.
    """
    return await run_in_threadpool(_answer, request, run, make, etag)


def _answer(
    request: Request,
    run: str,
    make: Callable[[RunView], Record],
    etag: Callable[[RunView], str],
) -> Response:
    view = state_of(request).runs.open(run)
    tag = etag(view)
    answer = unchanged(request, tag)
    if answer is None:
        body = make(view).model_dump_json()
        answer = Response(body, media_type=JSON, headers=headers_of(tag))
    return answer
