"""Asking for jobs, and for what became of them: the side of the API."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.errors import InputError, NotFoundError
from service.jobs.job_files import JobFiles
from service.jobs.records import JOB_SPEC, Job, JobKind, JobProblem, JobSpec, JobState

if TYPE_CHECKING:
    from dbos import WorkflowStatus

APPLICATION = "neuroscribe"
QUEUE = "jobs"
WORKFLOW = "job"

_STATES = {
    "ENQUEUED": JobState.QUEUED,
    "DELAYED": JobState.QUEUED,
    "PENDING": JobState.RUNNING,
    "SUCCESS": JobState.DONE,
    "ERROR": JobState.FAILED,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": JobState.FAILED,
    "CANCELLED": JobState.CANCELLED,
}


class JobQueue:
    """The jobs of a service, kept in its database.

    Args:
        database: its URL; it must have been prepared by `prepare_database`.
        workspace: where the files of jobs lie.
    """

    def __init__(self, database: str, workspace: Path) -> None:
        from dbos import DBOSClient, DBOSPortableJSONSerializer

        self._workspace = workspace
        self._client = DBOSClient(
            system_database_url=database,
            serializer=DBOSPortableJSONSerializer(),
            application_name=APPLICATION,
            retry_connection_errors=False,
            lazy=True,
        )

    def close(self) -> None:
        """Let go of the database."""
        self._client.destroy()

    def submit(self, spec: JobSpec, *, key: str | None = None) -> Job:
        """Accept a job; a second call with the same `key` answers with the first one's."""
        from dbos import EnqueueOptions

        options: EnqueueOptions = {
            "queue_name": QUEUE,
            "workflow_name": WORKFLOW,
            "queue_partition_key": spec.run,
            "attributes": {"kind": spec.kind.value, "run": spec.run},
        }
        if key is not None:
            options["workflow_id"] = key
        handle: Any = self._client.enqueue(options, spec.model_dump(mode="json"))
        return self.get(handle.get_workflow_id())

    def get(self, job_id: str) -> Job:
        """A job.

        Raises:
            NotFoundError: there is none of this id.
        """
        found = self._client.list_workflows(workflow_ids=[job_id], name=WORKFLOW)
        if not found:
            raise NotFoundError(f"there is no job {job_id!r}; GET /v1/jobs lists those there are")
        return self._job(found[0])

    def list(
        self,
        *,
        run: str | None = None,
        kind: JobKind | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> list[Job]:
        """Jobs, the newest first."""
        wanted = {"run": run, "kind": None if kind is None else kind.value}
        attributes = {name: value for name, value in wanted.items() if value is not None}
        found = self._client.list_workflows(
            name=WORKFLOW,
            attributes=attributes or None,
            sort_desc=True,
            limit=limit,
            offset=offset,
        )
        return [self._job(each) for each in found]

    def cancel(self, job_id: str) -> Job:
        """Stop a job; finished stages of its run are kept.

        Raises:
            NotFoundError: there is none of this id.
            InputError: it is over already.
        """
        job = self.get(job_id)
        if job.state.is_over:
            raise InputError(f"job {job_id} is {job.state} already; only a job under way can be")
        self._client.cancel_workflow(job_id)
        return self.get(job_id)

    def _job(self, status: WorkflowStatus) -> Job:
        spec = JOB_SPEC.validate_python(_argument(status))
        state = _STATES[status.status]
        files = JobFiles.of(self._workspace, status.workflow_id)
        created = _moment(status.created_at)
        return Job(
            id=status.workflow_id,
            kind=spec.kind,
            run=spec.run,
            state=state,
            spec=spec,
            created_at=created if created is not None else datetime.now(UTC),
            started_at=_moment(status.dequeued_at),
            finished_at=_moment(status.completed_at),
            attempts=status.recovery_attempts or 0,
            progress=files.progress() if state is JobState.RUNNING else None,
            result=status.output if state is JobState.DONE else None,
            problem=_problem(status, state),
        )


def prepare_database(database: str) -> None:
    """Make the tables of jobs, or bring them up to date."""
    from dbos import run_dbos_database_migrations

    run_dbos_database_migrations(system_database_url=database)


def _argument(status: WorkflowStatus) -> Any:
    inputs: Any = status.input
    return inputs["args"][0] if "args" in inputs else inputs["positionalArgs"][0]


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


def _problem(status: WorkflowStatus, state: JobState) -> JobProblem | None:
    if state is not JobState.FAILED:
        return None
    error: Any = status.error
    if error is None:
        return JobProblem(
            error="RunError",
            message=f"given up after {status.recovery_attempts} workers ended while doing it",
        )
    return JobProblem(error=getattr(error, "name", type(error).__name__), message=str(error))
