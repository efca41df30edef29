"""Whether the process is up and can work, and what it counts of itself."""

from __future__ import annotations

import os

from fastapi import Request, Response

from indexer.errors import BackendError
from indexer.records import Record
from service.api.metrics import Metrics
from service.api.state import state_of
from service.api.strict_routes import strict_router

router = strict_router("", "health")

_EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


class Health(Record):
    """The service does what is asked."""

    status: str = "ok"


@router.get("/healthz", summary="Whether the process answers")
async def is_alive() -> Health:
    """Whether the process answers."""
    return Health()


@router.get("/readyz", summary="Whether the service can work")
def is_ready(request: Request) -> Health:
    """Whether the database answers and the folder of runs can be written; 503 if not."""
    state = state_of(request)
    state.database.check()
    for folder in (state.settings.runs, state.settings.workspace):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise BackendError(f"{folder} cannot be written; it must exist and be writable")
    return Health()


@router.get(
    "/metrics",
    summary="Counts for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def read_metrics(request: Request) -> Response:
    """Counts in the text format of Prometheus."""
    metrics: Metrics = request.app.state.metrics
    return Response(metrics.exposition(), headers={"Content-Type": _EXPOSITION})
