"""The main job: corpus in, neuron explanations, evaluation and report out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from eval.records import Figure
from indexer.engine import Engine
from indexer.errors import RunError
from indexer.records import Record
from service.imported_stage import stages_of
from service.report_stage import REPORT, ReportStage
from service.run_directory import RunDirectory
from service.settings import RunSettings

STAGES = (
    "corpus",
    "embed",
    "index",
    "extract",
    "propose",
    "catalog",
    "statistics",
    "match",
    "lexical",
    "neuron_groups",
    "exemplars",
    "evaluate",
    "report",
)


class RunSummary(Record):
    """What a run did and found; `results` holds what each stage counted."""

    out: str
    complete: bool
    reused: tuple[str, ...]
    recomputed: tuple[str, ...]
    results: dict[str, Any]
    figures: tuple[Figure, ...]
    report: str | None


def run_pipeline(
    settings: RunSettings,
    out: Path,
    *,
    update: bool = False,
    progress: bool = False,
    until: str | None = None,
    engine: Engine | None = None,
) -> RunSummary:
    """Do every stage that is not done yet, up to and with `until`.

    The engine computes the heavy stages (this process if None); it does not change the bytes.

    A catalog whose groups do not come from neurons is built without reading any.

    A process killed at any moment is resumed by the same call and ends with the same bytes.

    Raises:
        InputError: a setting, the corpus or a model cannot be used, or `out` holds another run.
        BackendError: the model does not compute what is captured from it.
        RunError: `out` cannot be written or is damaged.
        ValueError: `until` is no stage.
    """
    if until is not None and until not in STAGES:
        raise ValueError(f"{until!r} is no stage; stages are {', '.join(STAGES)}")
    last = STAGES.index(until) if until else len(STAGES) - 1
    told = settings.model_dump(mode="json")
    with _writing(out) as run:
        run.check(told, update=update)
        stages = stages_of(run, settings, progress, engine)
        needs_neurons = stages.groups_need_neurons or last > STAGES.index("catalog")
        _prepare(stages, needs_neurons)
        run.begin(told, update=update)
        for action in _actions(stages, needs_neurons)[: last + 1]:
            action()
        complete = last == len(STAGES) - 1
        if complete:
            run.finish(fingerprints=stages.fingerprints(), seeds={"run": settings.seed})
        return _summary(run, complete)


@contextmanager
def prepared_run(
    settings: RunSettings, out: Path, *, update: bool = False, progress: bool = False
) -> Iterator[ReportStage]:
    """A run in which every stage is done that comes before proposers are asked; locked meanwhile.

    `run_pipeline` with the same settings goes on from it. A folder that holds a run keeps its
    settings, so that a finished run stays complete as long as none of its stages is redone.

    Raises:
        InputError: a setting, the corpus or a model cannot be used, or `out` holds another run.
        BackendError: the model does not compute what is captured from it.
        RunError: `out` cannot be written or is damaged.
    """
    told = settings.model_dump(mode="json")
    with _writing(out) as run:
        run.check(told, update=update)
        stages = stages_of(run, settings, progress)
        _prepare(stages, stages.groups_need_neurons)
        if update or not run.begun:
            run.begin(told, update=update)
        for action in _actions(stages, stages.groups_need_neurons)[: STAGES.index("propose")]:
            action()
        yield stages


def report_run(out: Path) -> Path:
    """Rebuild the report of a finished run; returns its path.

    Raises:
        InputError: there is no run at `out`.
        RunError: the run is not complete or damaged.
    """
    with finished_stages(out) as stages:
        stages.run.forget("report")
        stages.report()
    return out / REPORT


def _prepare(stages: ReportStage, needs_neurons: bool) -> None:
    """Load and check what the user gave, before anything in the run changes."""
    if needs_neurons:
        stages.prepare_neurons()
    stages.prepare()


def _actions(stages: ReportStage, needs_neurons: bool) -> tuple[Callable[[], None], ...]:
    """What does each of `STAGES`."""
    return (
        stages.read,
        stages.embed,
        stages.build_index,
        stages.extract if needs_neurons else _skipped,
        stages.propose,
        stages.build_catalog,
        stages.describe_neurons,
        stages.match,
        lambda: stages.measure_lexical(stages.settings.lexical),
        stages.group_neurons,
        stages.show,
        stages.evaluate,
        stages.report,
    )


def actions_from(stages: ReportStage, first: str) -> tuple[Callable[[], None], ...]:
    """What does the stage `first` and each of `STAGES` after it, in a run that reads neurons."""
    return _actions(stages, needs_neurons=True)[STAGES.index(first) :]


def _skipped() -> None:
    """A stage that is not needed."""


@contextmanager
def _writing(out: Path) -> Iterator[RunDirectory]:
    run = RunDirectory.create(out)
    try:
        yield run
    finally:
        run.close()


def stored_settings(run: RunDirectory) -> RunSettings:
    """The settings a run was begun with.

    Raises:
        RunError: they cannot be read, or are those of another version.
    """
    try:
        return RunSettings.model_validate(run.settings())
    except ValidationError as error:
        raise RunError(
            f"{run.path} was written by another version ({error.error_count()} settings do not "
            "fit); begin another run, into another --out"
        ) from error


@contextmanager
def finished_stages(out: Path, *, progress: bool = False) -> Iterator[ReportStage]:
    """A finished run, open for its last stages to be done again; locked meanwhile.

    Raises:
        InputError: there is no run at `out`.
        RunError: the run is not complete, damaged or of another version.
    """
    RunDirectory.open(out)
    with _writing(out) as run:
        stages = stages_of(run, stored_settings(run), progress)
        yield stages
        run.finish(fingerprints=stages.fingerprints(), seeds={"run": stages.settings.seed})


def _summary(run: RunDirectory, complete: bool) -> RunSummary:
    from eval.evaluation_file import read_evaluation

    # Stages of an earlier run with other settings may lie beyond the last one gone through.
    gone_through = {*run.reused, *run.recomputed}
    stages = {name: record for name, record in run.stages().items() if name in gone_through}
    return RunSummary(
        out=str(run.path),
        complete=complete,
        reused=tuple(run.reused),
        recomputed=tuple(run.recomputed),
        results={name: stages[name].result for name in STAGES if name in stages},
        figures=tuple(read_evaluation(run.path)) if "evaluate" in stages else (),
        report=str(run.path / REPORT) if complete else None,
    )
