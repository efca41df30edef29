"""Routes about jobs."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends

from service.api.state import ServiceState, state_of
from service.jobs.records import Job, JobSpec

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
State = Annotated[ServiceState, Depends(state_of)]


@router.post("", status_code=HTTPStatus.ACCEPTED)
def submit_job(spec: JobSpec, state: State) -> Job:
    """Accept a job."""
    return state.jobs.submit(spec)


@router.get("/{job_id}")
def get_job(job_id: str, state: State) -> Job:
    """A job and how far it is."""
    return state.jobs.get(job_id)
