"""Asking for jobs, and for what became of them: the side of the API."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.errors import BackendError, InputError, NotFoundError
from service.jobs.job_database import database_errors, refuse_pickle
from service.jobs.job_database import prepare_database as prepare_database
from service.jobs.job_files import JobFiles
from service.jobs.job_keys import JobKeys
from service.jobs.job_log import LogPart, read_log
from service.jobs.job_order import new_job_id, newest_first
from service.jobs.job_status import job_of, statuses_of
from service.jobs.records import Job, JobKind, JobSpec, JobState

if TYPE_CHECKING:
    from dbos import WorkflowStatus

logger = logging.getLogger(__name__)

APPLICATION = "neuroscribe"
QUEUE = "jobs"
WORKFLOW = "job"

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class JobQueue:
    """The jobs of a service, kept in its database.

    Every method raises BackendError while the database does not answer; jobs that were accepted
    are kept.

    Args:
        database: its URL; it must have been prepared by `prepare_database`.
        workspace: where the files of jobs lie.

    Raises:
        InputError: the URL cannot be one.
    """

    def __init__(self, database: str, workspace: Path) -> None:
        refuse_pickle()
        from dbos import DBOSClient, DBOSPortableJSONSerializer

        self._workspace = workspace
        self._is_sqlite = database.startswith("sqlite")
        self._keys = JobKeys(workspace / "job_keys")
        with database_errors():
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

    def healthy(self) -> bool:
        """Whether the database answers."""
        try:
            with database_errors():
                self._client.check_connection()
        except BackendError:
            return False
        return True

    def submit(self, spec: JobSpec, *, key: str | None = None) -> Job:
        """Accept a job; a second call with the same `key` answers with the first one's.

        Raises:
            InputError: the job of this key was told something else.
        """
        from dbos import EnqueueOptions

        job_id = new_job_id() if key is None else self._keys.id_of(key)
        options: EnqueueOptions = {
            "queue_name": QUEUE,
            "workflow_name": WORKFLOW,
            # A second one of the same id is not accepted, the first one stays.
            "workflow_id": job_id,
            "queue_partition_key": spec.run,
            "attributes": {"kind": spec.kind.value, "run": spec.run},
        }
        with database_errors():
            self._client.enqueue(options, spec.model_dump(mode="json"))
        job = self.get(job_id)
        if job.spec != spec:
            raise InputError(
                f"the key {key!r} was used for another job ({job.kind.value} of {job.run}); "
                "choose a new key for a new job"
            )
        # With the id of the request in whose course it is said: so the two are found together.
        logger.info("job %s accepted: %s of %s", job_id, spec.kind.value, spec.run)
        return job

    def get(self, job_id: str) -> Job:
        """A job.

        Raises:
            NotFoundError: there is none of this id.
        """
        return job_of(self._status(job_id), self._files(job_id))

    def list(
        self,
        *,
        run: str | None = None,
        kind: JobKind | None = None,
        state: JobState | None = None,
        limit: int = 50,
        after: str | None = None,
        offset: int = 0,
    ) -> list[Job]:
        """Jobs, the newest first.

        Args:
            run: only those of this run.
            kind: only those of this kind.
            state: only those in this state.
            limit: how many at most.
            after: the id of a job; only those before it in time. Unlike an offset, it holds its
                place when jobs are added.
            offset: how many are left out.

        Raises:
            NotFoundError: there is no job `after`.
        """
        last = None if after is None else self._status(after)
        told = {"run": run, "kind": None if kind is None else kind.value}
        wanted = {name: value for name, value in told.items() if value is not None}
        # DBOS cannot ask SQLite for these; there, all jobs are gone through.
        asked = None if self._is_sqlite else wanted or None

        def query(**bounds: Any) -> Any:
            with database_errors():
                return self._client.list_workflows(
                    name=WORKFLOW,
                    status=statuses_of(state),
                    attributes=asked,
                    sort_desc=True,
                    **bounds,
                )

        statuses = (
            each
            for each in newest_first(query, after=last)
            if wanted.items() <= (each.attributes or {}).items()
        )
        return list(islice(self._jobs(statuses, state), offset, offset + limit))

    def cancel(self, job_id: str) -> Job:
        """Stop a job; finished stages of its run are kept.

        It counts as running until its process is gone.

        Raises:
            NotFoundError: there is none of this id.
            InputError: it is over already.
        """
        job = self.get(job_id)
        if job.state.is_over:
            raise InputError(f"job {job_id} is {job.state} already; only a job under way can be")
        with database_errors():
            self._client.cancel_workflow(job_id)
        return self.get(job_id)

    def log(self, job_id: str, *, offset: int = 0, limit: int = 2**18) -> LogPart:
        """Whole lines that the processes of a job logged, from `offset` bytes on.

        Raises:
            NotFoundError: there is no job of this id.
        """
        self._status(job_id)
        return read_log(self._files(job_id).log, offset, limit)

    def _files(self, job_id: str) -> JobFiles:
        return JobFiles.of(self._workspace, job_id)

    def _status(self, job_id: str) -> WorkflowStatus:
        found: Sequence[WorkflowStatus] = ()
        # Anything else is no id of ours, and may be more than a database or a path can take.
        if _ID.fullmatch(job_id) is not None:
            with database_errors():
                found = self._client.list_workflows(workflow_ids=[job_id], name=WORKFLOW)
        if not found:
            raise NotFoundError(f"there is no job {job_id!r}; GET /v1/jobs lists those there are")
        return found[0]

    def _jobs(self, found: Iterator[WorkflowStatus], state: JobState | None) -> Iterator[Job]:
        for status in found:
            job = job_of(status, self._files(status.workflow_id))
            if state is None or job.state is state:
                yield job
