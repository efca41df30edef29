"""Judges on a tiny run: what they are asked, what comes out, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eval.judges import JudgeSettings
from eval.records import Figure
from indexer.engine import LocalEngine
from indexer.errors import InputError
from service.evaluated_run import EvaluatedRun
from service.imported_stage import no_model
from service.judge_protocols import detection_figures, fuzzing_figures, simulation_figures
from service.judged_run import draw_populations
from service.settings import RunSettings
from tests.descriptors.lm_fixtures import (
    MODEL,
    Asked,
    ChatServer,
    Reply,
    chat_server,
    completion,
    failure,
)

Adapter = Callable[[EvaluatedRun, JudgeSettings], list[Figure]]
SETTINGS = JudgeSettings(active_share=0.4)
"""So many texts are active for a corpus of 240 sentences to hold enough of them."""
POPULATIONS = [f"tail={tail} site={site}" for site in ("ffn", "hidden") for tail in "+-"]


def told(figures: list[Figure]) -> list[Figure]:
    """Those with a value."""
    return [figure for figure in figures if figure.value is not None]


@pytest.mark.parametrize(
    ("adapter", "metrics"),
    [
        (detection_figures, {"balanced_accuracy", "F1", "AUROC", "Spearman", "judge_sensitive"}),
        (fuzzing_figures, {"balanced_accuracy", "F1", "AUROC", "Spearman", "judge_sensitive"}),
    ],
)
def test_figures_of_both_judges_and_their_agreement(
    adapter: Adapter, metrics: set[str], evaluated_run: EvaluatedRun
) -> None:
    figures = adapter(evaluated_run, SETTINGS)
    found = told(figures)
    assert {figure.metric for figure in found} == metrics
    words = {figure.variant.split()[0] for figure in found}
    assert words == {"judge=embedding", "judge=words", "judge=embedding+words"}
    for figure in found:
        assert figure.split == "test"
        assert figure.n >= 10
        assert None not in (figure.null, figure.baseline, figure.ci_low, figure.ci_high)
    for where in POPULATIONS:
        own = [figure for figure in figures if figure.variant.endswith(where)]
        assert own, f"nothing is said of {where}"


def test_simulation_is_of_words_and_of_sentences_and_always_the_same(
    evaluated_run: EvaluatedRun,
) -> None:
    figures = simulation_figures(evaluated_run, SETTINGS)
    for level in ("level=word", "level=sentence"):
        metrics = {each.metric for each in told(figures) if level in each.variant}
        assert metrics == {"Pearson", "Spearman"}
    assert simulation_figures(evaluated_run, SETTINGS) == figures


@pytest.mark.parametrize("adapter", [detection_figures, fuzzing_figures, simulation_figures])
def test_too_few_texts_are_refused(adapter: Adapter, evaluated_run: EvaluatedRun) -> None:
    figures = adapter(evaluated_run, JudgeSettings(active_share=0.05))
    assert not told(figures)
    for figure in figures:
        assert figure.metric == "refused"
        assert "fewer_than_20_test_texts 25" in figure.reason


def test_drawn_texts_are_of_their_split_and_do_not_depend_on_who_else_is_drawn(
    evaluated_run: EvaluatedRun,
) -> None:
    rows = evaluated_run.split_rows
    test, validation = set(rows.test.tolist()), set(rows.validation.tolist())
    drawn = draw_populations(evaluated_run, SETTINGS)
    assert [each.where for each in drawn] == POPULATIONS
    for each in drawn:
        assert each.drawn == 25
        assert each.drawn == len(each.tails) + each.unfit.total()
        for tail in each.tails:
            assert set(tail.test.rows.tolist()) <= test
            assert set(tail.validation.rows.tolist()) <= validation
    more = draw_populations(evaluated_run, SETTINGS.model_copy(update={"neurons": 140}))
    texts = {tail.neuron: tail.test.rows.tolist() for each in more for tail in each.tails}
    again = [tail for each in drawn for tail in each.tails if tail.neuron in texts]
    assert len(again) > 10
    assert all(tail.test.rows.tolist() == texts[tail.neuron] for tail in again)


def test_layers_are_drawn_from_alike(evaluated_run: EvaluatedRun) -> None:
    for each in draw_populations(evaluated_run, SETTINGS):
        layers = [tail.neuron.neuron.layer for tail in each.tails]
        assert set(layers) == {0, 1}


@pytest.fixture
def imported_run(evaluated_run: EvaluatedRun) -> EvaluatedRun:
    """The same as a run whose activations come from a file would have it."""
    settings = evaluated_run.settings.model_copy(update={"model": "neurox:states.json"})

    def refuse() -> None:
        raise no_model(settings)

    return with_settings(evaluated_run, evaluated_run.path, settings, refuse)


def with_settings(
    run: EvaluatedRun,
    path: Path,
    settings: RunSettings,
    before_the_model: Callable[[], None] = lambda: None,
) -> EvaluatedRun:
    def subject() -> object:
        before_the_model()
        return run.subject

    return EvaluatedRun(
        path,
        settings,
        subject=subject,  # type: ignore[arg-type]
        encoder=lambda: run.encoder,
        engine=LocalEngine(),
    )


def test_imported_activations_are_detected_but_have_no_words(imported_run: EvaluatedRun) -> None:
    assert told(detection_figures(imported_run, SETTINGS))
    (fuzzing,) = fuzzing_figures(imported_run, SETTINGS)
    assert fuzzing.value is None
    assert "come from states.json, and there is no model to read a text with" in fuzzing.reason
    simulation = simulation_figures(imported_run, SETTINGS)
    assert all("level=sentence" in figure.variant for figure in told(simulation))
    (words,) = [figure for figure in simulation if figure.variant == "level=word"]
    assert words.reason == fuzzing.reason


FEW = JudgeSettings(
    neurons=10, texts=20, active_share=0.4, judges=("words",), lm=f"openai:{MODEL}", swaps=1
)


@pytest.fixture
def copied_run(evaluated_run: EvaluatedRun, tmp_path: Path) -> EvaluatedRun:
    """A copy that answers may be written to."""
    shutil.copytree(evaluated_run.path, tmp_path / "run")
    return with_settings(evaluated_run, tmp_path / "run", evaluated_run.settings)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """Scores a text by its length."""
    pytest.importorskip("openai")

    def answer(asked: Asked) -> Reply:
        content = asked.body["messages"][1]["content"]
        texts = json.JSONDecoder().raw_decode(content)[0]["texts"].values()
        scores = [min(10, len(text) // 10) for text in texts]
        return Reply(body=completion(json.dumps({"scores": scores})))

    with chat_server(answer) as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.base_url)
        yield running


def test_an_lm_judges_beside_the_others_and_is_paid_once(
    server: ChatServer, copied_run: EvaluatedRun
) -> None:
    figures = detection_figures(copied_run, FEW)
    asked = len(server.asked)
    assert asked > 0
    named = f"judge=openai:{MODEL}"
    assert {"balanced_accuracy", "F1", "AUROC"} <= {
        figure.metric for figure in told(figures) if figure.variant.startswith(named)
    }
    assert any(f"judge=words+openai:{MODEL}" in figure.variant for figure in told(figures))
    assert detection_figures(copied_run, FEW) == figures
    assert len(server.asked) == asked
    assert list((copied_run.path / "responses").rglob("*.json"))


def test_an_lm_that_cannot_be_used_leaves_the_others_their_figures(
    copied_run: EvaluatedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openai")
    with chat_server(lambda asked: failure(401, "no such key")) as broken:
        monkeypatch.setenv("OPENAI_BASE_URL", broken.base_url)
        figures = detection_figures(copied_run, FEW)
    refused = [figure for figure in figures if "openai" in figure.variant]
    assert refused
    assert all(figure.value is None for figure in refused)
    assert all(f"the judge openai:{MODEL} failed" in figure.reason for figure in refused)
    assert {figure.variant.split()[0] for figure in told(figures)} == {"judge=words"}


@pytest.mark.parametrize("written", ["embedded", "keyphrase"])
def test_a_proposer_without_a_chat_model_is_no_judge(
    written: str, evaluated_run: EvaluatedRun
) -> None:
    with pytest.raises(InputError, match="which is no chat model; what works: transformers:ID"):
        detection_figures(evaluated_run, SETTINGS.model_copy(update={"lm": written}))
