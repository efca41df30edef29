"""Runs at a glance, from their manifests alone: a list of hundreds must not open any."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from indexer.errors import RunError
from indexer.storage import read_json
from service.identity import RunIdentity
from service.public_names import public_name
from service.stages import Manifest, StageRecord
from service.views.opened_run import MANIFEST
from service.views.records import RunCard, RunState

SETTINGS = "settings.json"
_TIMINGS, _LAST_STAGE = "timings.json", "report"


def was_finished(path: Path) -> bool:
    """Whether a run without manifest has had one: it is rewritten, or that was interrupted.

    The records of stages go while they are redone; how long each took stays.
    """
    try:
        return _LAST_STAGE in read_json(path / _TIMINGS)
    except (RunError, TypeError):
        return False


def card_of(path: Path) -> RunCard:
    """A run at a glance; one that cannot be read says why."""
    try:
        if (path / MANIFEST).is_file():
            manifest = Manifest.read(path / MANIFEST)
            return _card(path, RunState.FINISHED, manifest.settings, manifest.stages)
        settings = RunIdentity.read(path / SETTINGS).settings
        state = RunState.UPDATING if was_finished(path) else RunState.UNFINISHED
        return _card(path, state, settings, {})
    except RunError as error:
        return damaged_card(path, str(error))


def damaged_card(path: Path, problem: str) -> RunCard:
    """A run that cannot be read, and why; where it lies on the server is left out."""
    return RunCard(
        name=path.name,
        state=RunState.DAMAGED,
        corpus="",
        model="",
        encoder="",
        proposers=(),
        changed_at=_changed_at(path),
        problem=problem.replace(f"{path}/", "").replace(str(path), path.name),
    )


def _card(
    path: Path, state: RunState, settings: Mapping[str, Any], stages: Mapping[str, StageRecord]
) -> RunCard:
    results = {name: record.result for name, record in stages.items()}
    described = [_count(results, "match", f"described_{tail}") for tail in ("positive", "negative")]
    known = [each for each in described if each is not None]
    return RunCard(
        name=path.name,
        state=state,
        corpus=public_name(str(settings.get("corpus", ""))),
        model=public_name(str(settings.get("model", ""))),
        encoder=public_name(str(settings.get("encoder", ""))),
        proposers=tuple(str(each) for each in settings.get("proposers", ())),
        changed_at=_changed_at(path),
        n_sentences=_count(results, "corpus", "sentences"),
        n_descriptors=_count(results, "catalog", "kept"),
        n_neurons=_count(results, "match", "neurons"),
        n_described=sum(known) if known else None,
    )


def _count(results: Mapping[str, Any], stage: str, name: str) -> int | None:
    result = results.get(stage)
    found = result.get(name) if isinstance(result, dict) else None
    return found if isinstance(found, int) else None


def _changed_at(path: Path) -> datetime:
    """When the run was finished, or last touched."""
    for each in (path / MANIFEST, path / "stages", path / SETTINGS, path):
        try:
            # As `RunView` has it: the float of the system may be a microsecond off.
            return datetime.fromtimestamp(each.stat().st_mtime_ns / 1e9, UTC)
        except OSError:
            continue
    return datetime.fromtimestamp(0, UTC)
