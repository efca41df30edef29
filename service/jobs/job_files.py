"""The folder of a job: what it was told, how far it is, what it logged and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from indexer.storage import read_json, write_json
from service.jobs.records import JOB_SPEC, JobProblem, JobProgress, JobSpec

_SPEC, _PROGRESS, _LOG, _OUTCOME = "spec.json", "progress.json", "log.jsonl", "outcome.json"


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
        """How far the job is, None before it has told."""
        path = self.folder / _PROGRESS
        return JobProgress.model_validate(read_json(path)) if path.is_file() else None

    def write_result(self, result: dict[str, Any]) -> None:
        """Keep what came of the job; its presence says that it is done."""
        write_json(self.folder / _OUTCOME, {"result": result})

    def write_problem(self, problem: JobProblem) -> None:
        """Keep why the job failed."""
        write_json(self.folder / _OUTCOME, {"problem": problem.model_dump(mode="json")})

    def outcome(self) -> dict[str, Any] | JobProblem | None:
        """The result or the problem, None while there is neither."""
        path = self.folder / _OUTCOME
        if not path.is_file():
            return None
        content = read_json(path)
        if "problem" in content:
            return JobProblem.model_validate(content["problem"])
        result: dict[str, Any] = content["result"]
        return result
