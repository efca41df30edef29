"""The stages that a job goes through, in order, for telling how far it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from indexer.errors import NotFoundError
from service.evaluation_stage import stage_name
from service.jobs.records import CatalogJob, EvaluateJob, ExplainJob, JobSpec, RebuildJob, RunJob
from service.pipeline import STAGES, stored_settings
from service.run_directory import RunDirectory
from service.settings import RunSettings

_EVALUATE = STAGES.index("evaluate")
_CATALOG = STAGES.index("catalog")


def stages_of_job(spec: JobSpec, run: Path) -> tuple[str, ...]:
    """The stages of a job on the run at `run`; each protocol is one.

    Raises:
        NotFoundError: its settings are needed and there is no run.
        RunError: its settings are needed and cannot be read.
    """
    match spec:
        case RunJob():
            return _with_protocols(STAGES, spec.settings.evaluation.protocols)
        case CatalogJob():
            return STAGES[: _CATALOG + 1]
        case ExplainJob():
            return _with_protocols(STAGES, settings_of(run).evaluation.protocols)
        case EvaluateJob():
            told = spec.protocols or settings_of(run).evaluation.protocols
            return _with_protocols(STAGES[_EVALUATE:], told)
        case RebuildJob():
            after = tuple(name for name in STAGES[_CATALOG:] if name != "statistics")
            return _with_protocols(after, settings_of(run).evaluation.protocols)


def settings_of(run: Path) -> RunSettings:
    """The settings a run was begun with.

    Raises:
        NotFoundError: there is no run.
        RunError: they cannot be read, or are those of another version.
    """
    directory = RunDirectory(run, None)
    if not directory.begun:
        raise NotFoundError(f"there is no run {run.name!r}; a job of kind run begins one")
    return stored_settings(directory)


def _with_protocols(stages: tuple[str, ...], protocols: Iterable[str]) -> tuple[str, ...]:
    place = stages.index("evaluate")
    return (*stages[:place], *map(stage_name, protocols), *stages[place:])
