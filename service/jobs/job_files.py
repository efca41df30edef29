"""The folder of a job: what it was told, how far it is, what it logged and what came of it."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from indexer.errors import BusyError, RunError
from indexer.records import Record
from indexer.storage import read_json, write_json
from service.jobs.records import JOB_SPEC, JobProblem, JobProgress, JobSpec

logger = logging.getLogger(__name__)

_SPEC, _PROGRESS, _LOG, _OUTCOME = "spec.json", "progress.json", "log.jsonl", "outcome.json"
_PRINTED, _LOCK, _DEATHS = "printed.txt", ".lock", "deaths"


class _Outcome(Record):
    result: dict[str, Any] | None = None
    problem: JobProblem | None = None


class JobFiles:
    """The files of one job.

    Args:
        folder: of the job, below the workspace.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, workspace: Path, job_id: str) -> JobFiles:
        """Those of a job in a workspace."""
        return cls(workspace / "jobs" / job_id)

    @property
    def log(self) -> Path:
        """What its processes logged, a JSON object a line."""
        return self.folder / _LOG

    @property
    def printed(self) -> Path:
        """What libraries printed in its processes, last words of a crash included."""
        return self.folder / _PRINTED

    @contextmanager
    def held(self) -> Iterator[int]:
        """Hold the job, so that no two processes do it; the answer may be handed to one.

        Raises:
            BusyError: a process is doing it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError("another process is doing this job; it must end first") from error
            yield lock
        finally:
            os.close(lock)

    @property
    def is_held(self) -> bool:
        """Whether a process is doing the job now."""
        try:
            lock = os.open(self.folder / _LOCK, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def count_death(self) -> int:
        """Note that a process of the job was killed; returns how many were."""
        with (self.folder / _DEATHS).open("ab") as handle:
            handle.write(b".")
            return handle.tell()

    def write_spec(self, spec: JobSpec) -> None:
        """Keep what the job is told."""
        write_json(self.folder / _SPEC, spec.model_dump(mode="json"))

    def spec(self) -> JobSpec:
        """What the job is told."""
        return JOB_SPEC.validate_python(read_json(self.folder / _SPEC))

    def write_progress(self, progress: JobProgress) -> None:
        """Tell how far the job is."""
        write_json(self.folder / _PROGRESS, progress.model_dump(mode="json"))

    def progress(self) -> JobProgress | None:
        """How far the job is, None before it has told, or where that cannot be read."""
        path = self.folder / _PROGRESS
        if not path.is_file():
            return None
        try:
            return JobProgress.model_validate(read_json(path))
        except (RunError, ValueError) as error:
            # It is written anew with the next step; the job itself is none the worse.
            logger.warning("the progress of job %s cannot be read: %s", self.folder.name, error)
            return None

    def write_result(self, result: dict[str, Any]) -> None:
        """Keep what came of the job; its presence says that it is done."""
        write_json(self.folder / _OUTCOME, {"result": result})

    def write_problem(self, problem: JobProblem) -> None:
        """Keep why the job failed."""
        write_json(self.folder / _OUTCOME, {"problem": problem.model_dump(mode="json")})

    def outcome(self) -> dict[str, Any] | JobProblem | None:
        """The result or the problem, None while there is neither, or it is damaged."""
        path = self.folder / _OUTCOME
        if not path.is_file():
            return None
        try:
            outcome = _Outcome.model_validate(read_json(path))
        except (RunError, ValueError) as error:
            # Done again, which takes but a moment: the stages are kept in the run.
            logger.warning("the outcome of job %s cannot be read: %s", self.folder.name, error)
            return None
        return outcome.result if outcome.problem is None else outcome.problem
