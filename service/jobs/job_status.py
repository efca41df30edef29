"""What the database keeps of a job, as a job."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from indexer.errors import BackendError
from service.jobs.job_files import JobFiles
from service.jobs.job_order import created
from service.jobs.records import JOB_SPEC, Job, JobProblem, JobSpec, JobState

if TYPE_CHECKING:
    from dbos import WorkflowStatus

_STATES = {
    "ENQUEUED": JobState.QUEUED,
    "DELAYED": JobState.QUEUED,
    "PENDING": JobState.RUNNING,
    "SUCCESS": JobState.DONE,
    "ERROR": JobState.FAILED,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": JobState.FAILED,
    "CANCELLED": JobState.CANCELLED,
}


def statuses_of(state: JobState | None) -> list[str] | None:
    """The database's words for the jobs of which some may be in `state`."""
    if state is None:
        return None
    found = [status for status, known in _STATES.items() if known is state]
    # A cancelled job runs until its process is gone.
    return [*found, "CANCELLED"] if state is JobState.RUNNING else found


def job_of(status: WorkflowStatus, files: JobFiles) -> Job:
    """The job that a row of the database is.

    Raises:
        BackendError: the row is none of this service.
    """
    state = _state(status)
    if state is JobState.CANCELLED and files.is_held:
        state = JobState.RUNNING
    spec = _spec(status)
    return Job(
        id=status.workflow_id,
        kind=spec.kind,
        run=spec.run,
        state=state,
        spec=spec,
        created_at=_moment(created(status)),
        started_at=_moment_or_none(status.dequeued_at),
        finished_at=_moment_or_none(status.completed_at) if state.is_over else None,
        attempts=status.recovery_attempts or 0,
        progress=files.progress() if state is JobState.RUNNING else None,
        result=status.output if state is JobState.DONE else None,
        problem=_problem(status) if state is JobState.FAILED else None,
    )


def _state(status: WorkflowStatus) -> JobState:
    try:
        return _STATES[status.status]
    except KeyError as error:
        raise BackendError(
            f"the database says that job {status.workflow_id} is {status.status!r}; expected "
            f"{', '.join(_STATES)}. The row was not written by this version of the service"
        ) from error


def _spec(status: WorkflowStatus) -> JobSpec:
    inputs: Any = status.input
    try:
        return JOB_SPEC.validate_python(inputs["args"][0])
    # What DBOS cannot read it answers as text; a pickle is such, see `refuse_pickle`.
    except (TypeError, KeyError, IndexError, ValidationError) as error:
        raise BackendError(
            f"the database does not hold what job {status.workflow_id} is told; the row was not "
            "written by this version of the service"
        ) from error


def _problem(status: WorkflowStatus) -> JobProblem:
    error: Any = status.error
    if error is None:
        return JobProblem(
            error="RunError",
            message=f"given up after {status.recovery_attempts} workers ended while doing it",
        )
    try:
        return JobProblem.model_validate(getattr(error, "data", None))
    except ValidationError:
        # Not said by the job's process: something went wrong in the worker itself.
        kind = getattr(error, "name", type(error).__name__)
        return JobProblem(error=kind, message=str(error))


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _moment_or_none(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else _moment(milliseconds)
