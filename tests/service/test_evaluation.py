"""Judging a finished run again, by other protocols, and by people."""

import json
import shutil
from pathlib import Path

import pytest

from eval.evaluation_file import read_evaluation
from eval.evaluation_settings import EvaluationSettings, ProtocolName
from eval.human_page import option_letter
from eval.human_sheet import HumanKey, HumanSettings
from eval.records import Figure
from indexer.errors import InputError
from indexer.storage import read_json
from neurons.records import Site
from service.evaluation import evaluate_run
from service.finished_run import FinishedRun
from service.human_check import write_human_check
from service.pipeline import run_pipeline
from service.protocols import PROTOCOLS
from service.run_directory import RunDirectory
from service.settings import RunSettings


@pytest.fixture
def out(small_run: Path, tmp_path: Path) -> Path:
    """A run that may be written to."""
    shutil.copytree(small_run, tmp_path / "run")
    return tmp_path / "run"


def protocols(out: Path) -> set[str]:
    return {figure.protocol for figure in read_evaluation(out)}


def stage_bytes(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "stages").glob("evaluate-*.json")}


def test_every_protocol_has_settings_and_an_adapter() -> None:
    settings = EvaluationSettings()
    assert set(PROTOCOLS) == set(ProtocolName)
    for name, protocol in PROTOCOLS.items():
        assert settings.of(name).model_dump_json()
        assert callable(protocol.adapter)


def test_a_run_is_judged_by_the_protocols_it_was_told(out: Path) -> None:
    assert protocols(out) == {"label_recovery", "controls", "observational", "stability"}


def test_what_was_computed_is_kept_and_added_to(out: Path) -> None:
    before, figures = stage_bytes(out), read_evaluation(out)
    found = evaluate_run(out, protocols=["polysemanticity"])
    assert found == read_evaluation(out)
    assert {name: stage_bytes(out)[name] for name in before} == before
    assert [each for each in found if each.protocol != "polysemanticity"] == figures
    assert any(each.protocol == "polysemanticity" for each in found)
    assert RunDirectory.open(out).manifest().stages["evaluate"].result["protocols"] == [
        "label_recovery",
        "controls",
        "observational",
        "stability",
        "polysemanticity",
    ]


def test_again_computes_the_same_figures_anew(out: Path) -> None:
    before = read_evaluation(out)
    (out / "evaluation" / "observational.json").write_text("[]")
    assert evaluate_run(out, protocols=["observational"], again=True) == before


def test_figures_of_other_explanations_go(out: Path, small_settings: RunSettings) -> None:
    evaluate_run(out, protocols=["polysemanticity"])
    matching = small_settings.matching.model_copy(update={"matches": 2})
    changed = small_settings.model_copy(update={"matching": matching})
    run_pipeline(changed, out, update=True)
    assert "polysemanticity" not in protocols(out)
    assert not (out / "evaluation" / "polysemanticity.json").exists()
    assert "evaluate-polysemanticity" not in RunDirectory.open(out).manifest().stages


def test_an_unknown_protocol_is_refused_and_the_run_stays(out: Path) -> None:
    before = (out / "manifest.json").read_bytes()
    with pytest.raises(InputError, match="--protocol guessing: expected all or one or more of"):
        evaluate_run(out, protocols=["guessing"])
    assert (out / "manifest.json").read_bytes() == before


def test_what_people_answered_is_kept_as_long_as_it_is_about_the_explanations(
    out: Path, small_settings: RunSettings, tmp_path: Path
) -> None:
    write_human_check(FinishedRun(out, "cpu"), HumanSettings(items=6, exemplars=4), seed=0)
    key = HumanKey.model_validate(read_json(out / "human" / "key.json"))
    rights = {entry.id: option_letter(entry.right) for entry in key.entries}
    file = tmp_path / "ann.json"
    file.write_text(json.dumps({"rater": "ann", "sheet": key.sheet, "answers": rights}))
    found = evaluate_run(out, answers=[file])
    accuracy = [each for each in found if (each.protocol, each.metric) == ("human", "accuracy")]
    assert [each.value for each in accuracy] == [1.0, 1.0]
    assert "human" in {each.protocol for each in evaluate_run(out, protocols=["observational"])}
    matching = small_settings.matching.model_copy(update={"matches": 1})
    run_pipeline(small_settings.model_copy(update={"matching": matching}), out, update=True)
    assert "human" not in protocols(out)


def agreement(figures: list[Figure], reading: str, metric: str) -> dict[str, Figure]:
    words = f"{reading} against=other"
    return {
        each.variant.removeprefix(words).strip(): each
        for each in figures
        if each.variant.startswith(words) and each.metric == metric
    }


def test_a_run_agrees_with_itself_and_less_with_another(
    out: Path, small_settings: RunSettings, tmp_path: Path
) -> None:
    shutil.copytree(out, tmp_path / "other")
    same = agreement(evaluate_run(out, against=tmp_path / "other"), "generators", "Jaccard")
    assert {each.value for each in same.values() if each.value is not None} == {1.0}
    assert all((each.baseline or 0.0) < 1.0 for each in same.values())
    shutil.rmtree(tmp_path / "other")
    matching = small_settings.matching.model_copy(update={"minimum_auroc": 0.7})
    stricter = small_settings.model_copy(update={"matching": matching})
    run_pipeline(stricter, tmp_path / "other")
    less = agreement(evaluate_run(out, against=tmp_path / "other"), "generators", "Jaccard")
    compared = [each.value for each in less.values() if each.value is not None]
    assert compared
    assert all(value < 1.0 for value in compared)


def test_runs_on_other_sentences_are_compared_by_the_texts_of_descriptors(
    out: Path, small_settings: RunSettings, tmp_path: Path
) -> None:
    reading = small_settings.reading.model_copy(update={"limit": 200})
    run_pipeline(small_settings.model_copy(update={"reading": reading}), tmp_path / "other")
    found = evaluate_run(out, against=tmp_path / "other")
    (counterparts,) = agreement(found, "corpora", "counterparts").values()
    assert counterparts.value is not None
    assert 0.0 < counterparts.value <= 1.0


def test_runs_on_other_neurons_cannot_be_compared(
    out: Path, small_settings: RunSettings, tmp_path: Path
) -> None:
    extraction = small_settings.extraction.model_copy(update={"sites": (Site.FFN,)})
    changed = small_settings.model_copy(update={"extraction": extraction})
    run_pipeline(changed, tmp_path / "other")
    with pytest.raises(InputError, match="is about other neurons"):
        evaluate_run(out, against=tmp_path / "other")
