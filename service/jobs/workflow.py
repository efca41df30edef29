"""The durable workflow that does a job in a process of its own.

A worker that is killed leaves its jobs to the next one. The job's process ends with its worker, and
holds the job and its run meanwhile, so that a job is never done by two at once.
"""

from __future__ import annotations

from typing import Any

from dbos import DBOS

from indexer.errors import BusyError
from service.jobs.job_attempt import ProcessKilledError, attempt
from service.jobs.job_files import JobFiles
from service.jobs.job_queue import WORKFLOW
from service.jobs.records import JOB_SPEC, JobProblem
from service.service_settings import ServiceSettings

SECONDS_BETWEEN_ATTEMPTS = 2.0
MOST_ATTEMPTS = 150
"""Five minutes of waiting for a run that somebody else writes."""

_MOST_WORKERS = 50


class JobFailedError(Exception):
    """A job's process said why it failed; `data` is kept beside the message."""

    def __init__(self, problem: JobProblem) -> None:
        super().__init__(problem.message)
        self.data = problem.model_dump(mode="json")


def register(settings: ServiceSettings) -> None:
    """Have DBOS know the workflow; before it is launched."""

    @DBOS.step(
        name="do",
        preemptible=True,
        retries_allowed=True,
        max_attempts=MOST_ATTEMPTS,
        interval_seconds=SECONDS_BETWEEN_ATTEMPTS,
        backoff_rate=1.0,
        should_retry=_is_worth_another,
    )
    async def do(job_id: str, spec: dict[str, Any]) -> dict[str, Any]:
        return await _done(JobFiles.of(settings.workspace, job_id), spec, settings)

    @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=_MOST_WORKERS)
    async def job(spec: dict[str, Any]) -> dict[str, Any]:
        job_id = DBOS.workflow_id
        assert job_id is not None
        return await do(job_id, spec)


async def _done(files: JobFiles, spec: dict[str, Any], settings: ServiceSettings) -> dict[str, Any]:
    # Done by a worker that was killed before it could say so: not done again.
    if files.outcome() is None:
        files.write_spec(JOB_SPEC.validate_python(spec))
        try:
            await attempt(files, settings)
        except BusyError as error:
            if _is_last_attempt():
                problem = JobProblem(error="BusyError", message=f"{error}; gave up waiting for it")
                raise JobFailedError(problem) from error
            raise
    outcome = files.outcome()
    assert outcome is not None
    if isinstance(outcome, JobProblem):
        raise JobFailedError(outcome)
    return outcome


def _is_worth_another(error: BaseException) -> bool:
    return isinstance(error, (BusyError, ProcessKilledError))


def _is_last_attempt() -> bool:
    status = DBOS.step_status
    if status is None or status.current_attempt is None or status.max_attempts is None:
        return True
    return status.current_attempt + 1 >= status.max_attempts
