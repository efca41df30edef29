"""Routes about jobs."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Body, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from service.admission import admit
from service.api.hidden_paths import told_job, without_paths
from service.api.job_events import JSON_LINES, events_of
from service.api.page_records import JobPage
from service.api.pagination import Cursor
from service.api.schemas import CursorText, JobPath, Limit, document, problems
from service.api.state import state_of
from service.api.strict_routes import strict_router
from service.jobs.job_log import LogPart
from service.jobs.records import Job, JobKind, JobSpec, JobState, RunName

router = strict_router("/v1/jobs", "jobs")

_EXAMPLES = {
    "run": {
        "summary": "Explain the neurons of a model on an uploaded corpus",
        "value": {
            "kind": "run",
            "run": "reviews",
            "settings": {"corpus": "sample", "proposers": ["keyphrase"]},
        },
    },
    "catalog": {
        "summary": "Only build the catalog of descriptors",
        "value": {"kind": "catalog", "run": "reviews", "settings": {"corpus": "sample"}},
    },
    "explain": {
        "summary": "The rest of a run whose catalog is built",
        "value": {"kind": "explain", "run": "reviews"},
    },
    "evaluate": {
        "summary": "Judge a finished run",
        "value": {"kind": "evaluate", "run": "reviews", "protocols": ["label_recovery"]},
    },
    "rebuild": {
        "summary": "Build the catalog again with the edits, and match again",
        "value": {"kind": "rebuild", "run": "reviews"},
    },
}


@router.post(
    "",
    summary="Start a job",
    status_code=HTTPStatus.ACCEPTED,
    responses=problems(
        HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    ),
)
def submit_job(
    request: Request,
    spec: Annotated[JobSpec, Body(openapi_examples=_EXAMPLES)],
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=8,
            max_length=100,
            pattern=r"^[A-Za-z0-9_-]+$",
            description="Chosen by the client: a request repeated with it starts no second job.",
        ),
    ] = None,
) -> Job:
    """Accept a job; it is done by a worker, survives restarts, and ends done or with a reason."""
    state = state_of(request)
    admitted = admit(spec, state.settings, state.uploads)
    return told_job(state.jobs.submit(admitted, key=idempotency_key), state.settings)


@router.get("", summary="All jobs", responses=problems(HTTPStatus.NOT_FOUND))
def list_jobs(
    request: Request,
    run: Annotated[RunName | None, Query(description="Only those of this run.")] = None,
    kind: Annotated[JobKind | None, Query(description="Only those of this kind.")] = None,
    job_state: Annotated[
        JobState | None, Query(alias="state", description="Only those in this state.")
    ] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> JobPage:
    """Jobs, the newest first."""
    state = state_of(request)
    start = Cursor.read(cursor, etag="", question=f"jobs {run} {kind} {job_state}")
    found = state.jobs.list(
        run=run, kind=kind, state=job_state, limit=limit + 1, after=start.after_item
    )
    return JobPage(
        items=tuple(told_job(each, state.settings) for each in found[:limit]),
        next_cursor=start.behind(found[limit - 1].id) if len(found) > limit else None,
    )


@router.get("/{job}", summary="A job", responses=problems(HTTPStatus.NOT_FOUND))
def get_job(request: Request, job: JobPath) -> Job:
    """A job, how far it is, and what came of it."""
    state = state_of(request)
    return told_job(state.jobs.get(job), state.settings)


@router.post(
    "/{job}/cancel",
    summary="Cancel a job",
    responses=problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def cancel_job(request: Request, job: JobPath) -> Job:
    """Stop a job that is not over; finished stages of its run are kept."""
    state = state_of(request)
    return told_job(state.jobs.cancel(job), state.settings)


@router.get(
    "/{job}/events",
    summary="A job as it goes on",
    response_class=StreamingResponse,
    responses={
        **document(
            {"text/event-stream": {"type": "string"}, JSON_LINES: {"type": "string"}},
            "The job each time it has changed, until it is over: server-sent events named `job`, "
            "or a job a line where Accept asks for it.",
        ),
        **problems(HTTPStatus.NOT_FOUND),
    },
)
async def follow_job(
    request: Request,
    job: JobPath,
    accept: Annotated[str, Header(description=f"`{JSON_LINES}` for JSON lines.")] = "",
) -> StreamingResponse:
    """Follow a job until it is over."""
    state = state_of(request)
    first = await run_in_threadpool(state.jobs.get, job)
    return events_of(state, first, accept)


@router.get("/{job}/log", summary="What a job logged", responses=problems(HTTPStatus.NOT_FOUND))
def read_log(
    request: Request,
    job: JobPath,
    offset: Annotated[
        int,
        Query(ge=0, le=2**40, description="Bytes to leave out: `next_offset` of the part before."),
    ] = 0,
) -> LogPart:
    """Whole lines from an offset on, each a JSON object; there may be more while the job runs."""
    state = state_of(request)
    part = state.jobs.log(job, offset=offset)
    lines = tuple(without_paths(line, state.settings) for line in part.lines)
    return part.model_copy(update={"lines": lines})
