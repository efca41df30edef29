"""Routes about runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from indexer.records import Record
from service.api.state import ServiceState, state_of

router = APIRouter(prefix="/v1/runs", tags=["runs"])
State = Annotated[ServiceState, Depends(state_of)]


class RunNames(Record):
    """The names of all runs."""

    runs: tuple[str, ...]


@router.get("")
def list_runs(state: State) -> RunNames:
    """All runs, finished or not."""
    return RunNames(runs=tuple(state.runs.names()))
