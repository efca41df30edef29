"""A job told whenever it changes, until it is over: as server-sent events or as JSON lines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from indexer.errors import NeuroscribeError
from service.api.hidden_paths import told_job, without_paths
from service.api.state import ServiceState
from service.jobs.records import Job, JobProblem

JSON_LINES = "application/x-ndjson"
_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_OF_SILENCE = 15.0


def events_of(state: ServiceState, first: Job, accept: str) -> StreamingResponse:
    """The changes of a job from `first` on, in the format that the header `Accept` asks for."""
    if JSON_LINES in accept:
        return StreamingResponse(_lines(state, first), media_type=JSON_LINES)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return EventSourceResponse(_events(state, first), headers=headers)


async def _changes(state: ServiceState, first: Job) -> AsyncIterator[Job | JobProblem | None]:
    """The job when it has changed, None now and then when it has not, a problem as the last."""
    job, spoken = first, time.monotonic()
    yield told_job(job, state.settings)
    while not job.state.is_over and not state.stopping.is_set():
        await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
        try:
            found = await run_in_threadpool(state.jobs.get, first.id)
        except NeuroscribeError as error:
            message = without_paths(str(error), state.settings)
            yield JobProblem(error=type(error).__name__, message=message)
            return
        if found != job:
            job, spoken = found, time.monotonic()
            yield told_job(job, state.settings)
        elif time.monotonic() - spoken > _SECONDS_OF_SILENCE:
            spoken = time.monotonic()
            yield None


async def _events(state: ServiceState, first: Job) -> AsyncIterator[bytes]:
    async for change in _changes(state, first):
        if change is None:
            # Proxies close connections on which nothing is said.
            yield KEEPALIVE_COMMENT
        else:
            name = "job" if isinstance(change, Job) else "problem"
            yield format_sse_event(data_str=change.model_dump_json(), event=name)


async def _lines(state: ServiceState, first: Job) -> AsyncIterator[bytes]:
    async for change in _changes(state, first):
        if change is not None:
            yield change.model_dump_json().encode() + b"\n"
