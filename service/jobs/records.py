"""What a job is told, and what it answers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, TypeAdapter

from eval.evaluation_settings import ProtocolName
from indexer.records import Record
from service.settings import RunSettings

RUN_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
RunName = Annotated[str, StringConstraints(pattern=RUN_NAME)]
"""The name of a run's folder: no path can be written with it."""


class JobKind(StrEnum):
    """What a job does."""

    RUN = "run"
    CATALOG = "catalog"
    EXPLAIN = "explain"
    EVALUATE = "evaluate"
    REBUILD = "rebuild"


class JobState(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self in {JobState.DONE, JobState.FAILED, JobState.CANCELLED}


class RunJob(Record):
    """A corpus in; explanations, evaluation and report out.

    `settings.corpus` is `sample`, `upload:ID`, or a data set of the hub that the service allows.
    """

    kind: Literal[JobKind.RUN] = JobKind.RUN
    run: RunName
    settings: RunSettings
    update: bool = False


class CatalogJob(Record):
    """The same up to the catalog of descriptors."""

    kind: Literal[JobKind.CATALOG] = JobKind.CATALOG
    run: RunName
    settings: RunSettings
    update: bool = False


class ExplainJob(Record):
    """The rest of a run whose catalog has been built."""

    kind: Literal[JobKind.EXPLAIN] = JobKind.EXPLAIN
    run: RunName


class EvaluateJob(Record):
    """A finished run judged by protocols; those it was told if there are none."""

    kind: Literal[JobKind.EVALUATE] = JobKind.EVALUATE
    run: RunName
    protocols: tuple[ProtocolName, ...] = ()
    again: bool = False


class RebuildJob(Record):
    """The catalog of a run built again with the users' edits, matched and reported again."""

    kind: Literal[JobKind.REBUILD] = JobKind.REBUILD
    run: RunName


JobSpec = Annotated[
    RunJob | CatalogJob | ExplainJob | EvaluateJob | RebuildJob, Field(discriminator="kind")
]
JOB_SPEC: TypeAdapter[JobSpec] = TypeAdapter(JobSpec)


class JobProgress(Record):
    """Where a running job is: stage `number` of `n_stages`, `done` of `total` units in it.

    `doing` names what is counted; `total` is None where nothing is counted in the stage.
    """

    stage: str
    number: int
    n_stages: int
    doing: str = ""
    done: int = 0
    total: int | None = None


class JobProblem(Record):
    """Why a job failed: the kind of error in the tree of `indexer.errors`, and its message."""

    error: str
    message: str


class Job(Record):
    """A job as its users see it; `attempts` counts the workers that began it."""

    id: str
    kind: JobKind
    run: str
    state: JobState
    spec: JobSpec
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: int = 0
    progress: JobProgress | None = None
    result: dict[str, Any] | None = None
    problem: JobProblem | None = None
