"""A catalog is built again, with the user's edits, from what was proposed before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from descriptors.catalog import kept
from descriptors.edit_file import append_edits
from descriptors.edit_records import Seed, phrase_key, user_descriptor_id
from service.catalog_editing import EditableCatalog
from service.catalog_rebuild import rebuild_catalog
from service.edit_outcome import edit_catalog
from service.pipeline import run_pipeline
from service.proposal_files import read_proposals
from service.report_stage import ReportStage
from service.settings import RunSettings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, review_corpus: Path) -> Path:
    out = tmp_path_factory.mktemp("real") / "run"
    settings = RunSettings.model_validate(
        {
            "corpus": str(review_corpus),
            "device": "cpu",
            "proposers": ("keyphrase",),
            "group_sources": ("embeddings",),
            "membership": {"false_discovery_rate": 0.9},
        }
    )
    run_pipeline(settings, out, until="catalog")
    return out


@pytest.fixture
def real(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "real"))


def _files(run: Path) -> dict[str, bytes]:
    files = (path for path in run.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def test_without_edits_nothing_is_redone(real: Path) -> None:
    before = _files(real)
    assert rebuild_catalog(real).recomputed == ()
    assert _files(real) == before


def test_edits_are_in_the_rebuilt_catalog(real: Path) -> None:
    first, second, third, *_ = EditableCatalog.open(real).descriptors

    def edits(catalog: EditableCatalog) -> list[Any]:
        return [
            catalog.seed("headphones"),
            catalog.rename(first.id, "a new name"),
            catalog.ban(second.text),
            catalog.lock(third.text),
        ]

    expected = {each.text for each in edit_catalog(real, edits).changed}
    summary = rebuild_catalog(real)
    assert (summary.recomputed, summary.matched) == (("catalog",), False)
    rebuilt = EditableCatalog.open(real)
    assert rebuilt.pending == ()
    assert summary.catalog["edits"]["total"] == 4
    assert summary.catalog["edits"]["unresolved"] == []
    # Several groups may have the same phrase proposed; kept descriptors come first.
    found = {each.text: each for each in reversed(rebuilt.descriptors)}
    assert expected <= set(found)
    assert found["a new name"].renamed_from == first.text
    assert found["a new name"].support == first.support
    banned = [each for each in rebuilt.descriptors if each.text == second.text]
    assert "banned_by_user" in {each.reason for each in banned}
    assert not any(each.kept for each in banned)
    assert (found[third.text].kept, found[third.text].locked) == (True, True)
    assert found["headphones"].id == user_descriptor_id("headphones")
    again = _files(real)
    assert rebuild_catalog(real).recomputed == ()
    assert _files(real) == again


def test_locked_descriptors_outlive_their_groups(real: Path) -> None:
    locked = kept(EditableCatalog.open(real).descriptors)
    edit_catalog(real, lambda catalog: [catalog.lock(each.id) for each in locked])
    stored = json.loads((real / "settings.json").read_text("utf-8"))["settings"]
    coarse = {**stored["grouping"], "minimum_group": 12, "mean_group": 20}
    settings = RunSettings.model_validate({**stored, "grouping": coarse})
    run_pipeline(settings, real, until="catalog")
    found = {each.id: each for each in EditableCatalog.open(real).descriptors}
    proposals = read_proposals(real / "proposals" / "proposals.jsonl")
    proposed = {phrase_key(proposal.text) for proposal in proposals}
    gone = [each for each in locked if phrase_key(each.text) not in proposed]
    assert gone
    for each in gone:
        assert found[each.id] == each.model_copy(update={"locked": True})
    texts = {each.text for each in kept(tuple(found.values())) if each.locked}
    assert texts == {each.text for each in locked}


@pytest.mark.parametrize(
    ("done", "goes_on"),
    [(("extract",), False), (("extract", "match"), True), (("extract", "exemplars"), True)],
)
def test_only_a_run_that_came_to_matching_is_matched_again(
    real: Path, monkeypatch: pytest.MonkeyPatch, done: tuple[str, ...], goes_on: bool
) -> None:
    for name in done:
        record = json.loads((real / "stages" / "index.json").read_text("utf-8")) | {"name": name}
        (real / "stages" / f"{name}.json").write_text(json.dumps(record), "utf-8")
    called: list[str] = []
    actions = ["match", "measure_lexical", "group_neurons", "show", "evaluate", "report"]
    for name in actions:
        monkeypatch.setattr(ReportStage, name, lambda *_, name=name: called.append(name))
    monkeypatch.setattr(ReportStage, "fingerprints", lambda _: {})
    assert rebuild_catalog(real).matched is goes_on
    assert called == (actions if goes_on else [])
    assert (real / "manifest.json").is_file() is goes_on


def test_a_rebuild_leaves_what_a_whole_run_would(
    small_run: Path, small_settings: RunSettings, tmp_path: Path
) -> None:
    """Also the lexical baseline, which is that of the catalog."""
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    banned = kept(EditableCatalog.open(run).descriptors)[0].text
    edit_catalog(run, lambda catalog: [catalog.ban(banned)])
    assert "lexical" in rebuild_catalog(run).recomputed
    assert run_pipeline(small_settings, run).recomputed == ()


def test_a_killed_rebuild_keeps_the_edits(real: Path) -> None:
    append_edits(real, [Seed(text="headphones")])
    (real / "descriptors.parquet").unlink()
    (real / "stages" / "catalog.json").unlink()
    assert rebuild_catalog(real).recomputed == ("catalog",)
    texts = [each.text for each in EditableCatalog.open(real).descriptors]
    assert "headphones" in texts
