"""A run's catalog built again with the user's edits, and what follows from it; nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from indexer.errors import RunError
from indexer.records import Record
from service.catalog_editing import check_is_run
from service.imported_stage import stages_of
from service.pipeline import STAGES, actions_from, stored_settings
from service.run_directory import RunDirectory

_NEEDED = ("corpus", "embed", "index", "propose")
_FIRST_AFTER = "match"
_AFTER = STAGES[STAGES.index(_FIRST_AFTER) :]


class RebuildSummary(Record):
    """What a rebuild did; `catalog` is what the catalog's stage counted."""

    run: str
    reused: tuple[str, ...]
    recomputed: tuple[str, ...]
    catalog: dict[str, Any]
    matched: bool


def rebuild_catalog(run: Path, *, progress: bool = False) -> RebuildSummary:
    """Build the catalog from the proposals at hand; match and report again where that was done.

    Raises:
        InputError: there is no run at `run`, or a model of it cannot be loaded.
        RunError: nothing was proposed yet, another process is writing the run, or it is damaged.
    """
    check_is_run(run)
    directory = RunDirectory.create(run)
    try:
        done = directory.stages()
        missing = [name for name in _NEEDED if name not in done]
        if missing:
            raise RunError(
                f"{run} has not come as far as a catalog (no stage {missing[0]}); finish it with "
                "the `neuroscribe catalog build` or `neuroscribe run` it was begun with"
            )
        stages = stages_of(directory, stored_settings(directory), progress)
        stages.build_catalog()
        # A stage that is killed while it is redone loses its record; those after it keep theirs.
        matched = any(name in done for name in _AFTER)
        if matched:
            for action in actions_from(stages, _FIRST_AFTER):
                action()
            seeds = {"run": stages.settings.seed}
            directory.finish(fingerprints=stages.fingerprints(), seeds=seeds)
        return RebuildSummary(
            run=str(run),
            reused=tuple(directory.reused),
            recomputed=tuple(directory.recomputed),
            catalog=directory.stages()["catalog"].result,
            matched=matched,
        )
    finally:
        directory.close()
