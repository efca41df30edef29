"""A run as a whole: what is said of it at a glance, and of words and texts."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eval.evaluation_file import read_evaluation
from eval.lexical import LexicalBaseline, LexicalLabel
from indexer.errors import InputError, RunError
from indexer.storage import read_json, write_json
from neurons.explanation_file import read_explanations
from neurons.records import NeuronId
from service.explain import explain_concept, explain_text
from service.finished_run import FinishedRun
from service.overview import overview_of
from service.run_library import RunLibrary
from service.views.records import RunState
from service.views.run_view import RunView


def test_the_overview_is_the_one_counted_from_files(opened: RunView, small_run: Path) -> None:
    found, expected = opened.overview(), overview_of(small_run)
    assert found.model_dump(exclude={"tails"}) == expected.model_dump(exclude={"tails"})
    assert found.tails == expected.tails


def test_the_evaluation_is_the_one_in_the_run(opened: RunView, small_run: Path) -> None:
    assert list(opened.evaluation()) == read_evaluation(small_run)


def test_the_layer_map_is_counted_as_by_a_plain_loop(opened: RunView, small_run: Path) -> None:
    explanations = read_explanations(small_run / "explanations.parquet")
    baseline = LexicalBaseline.read(small_run / "lexical.json")
    cells = opened.layer_map().cells
    assert [(cell.layer, cell.site.value) for cell in cells] == [
        (0, "ffn"), (0, "hidden"), (1, "ffn"), (1, "hidden")
    ]  # fmt: skip
    for cell in cells:
        place = f"L{cell.layer}.{cell.site}."
        own = [each for each in explanations if each.neuron.startswith(place)]
        first = [(each, each.matches[0]) for each in own if each.matches]
        assert cell.n_neurons == len({each.neuron for each in own})
        assert cell.described == len(first) / len(own)
        assert cell.median_score == np.median([match.auroc for _, match in first])
        standings = [
            baseline.standing(NeuronId.parse(each.neuron), each.tail, match.auroc)
            for each, match in first
        ]
        labels = Counter(each.label for each in standings if each is not None)
        assert cell.learned == labels[LexicalLabel.LEARNED] / labels.total()
        counts = Counter(match.descriptor for _, match in first)
        assert [counts[each] for each in cell.commonest] == sorted(counts.values())[:-4:-1]


def test_words_and_texts_are_answered_as_explain_does(opened: RunView, small_run: Path) -> None:
    run = FinishedRun(small_run, "cpu")
    words, text = "battery life", "The battery broke after two days and I want a refund."
    assert opened.concept(words, n_descriptors=3, n_neurons=4) == explain_concept(run, words, 3, 4)
    found, expected = opened.text(text, n_neurons=6), explain_text(run, text, 6)
    assert (found.run, found.text, found.n_described) == ("small", text, expected.n_described)
    assert [(each.neuron, each.tail) for each in found.neurons] == [
        (each.neuron, each.tail) for each in expected.firing
    ]
    for one, other in zip(found.neurons, expected.firing, strict=True):
        assert one.z == pytest.approx(other.z, abs=1e-6)
        assert one.explanation.description == other.match.descriptor


@pytest.mark.parametrize("blank", ["", " \n"])
def test_blank_words_and_texts_are_refused(opened: RunView, blank: str) -> None:
    with pytest.raises(InputError, match="blank"):
        opened.concept(blank, n_descriptors=1, n_neurons=1)
    with pytest.raises(InputError, match="blank"):
        opened.text(blank, n_neurons=1)


def test_a_card_counts_what_is_in_the_run(opened: RunView, small_run: Path) -> None:
    explanations = read_explanations(small_run / "explanations.parquet")
    card = opened.card()
    assert (card.name, card.state, card.problem) == ("small", RunState.FINISHED, "")
    assert (card.n_sentences, card.n_neurons) == (240, 160)
    assert card.n_described == sum(bool(each.matches) for each in explanations)
    assert card.n_descriptors == opened.overview().descriptors.kept
    assert (card.corpus, card.proposers) == ("sample", ("keyphrase",))
    # The folder's name, and not where it lies.
    assert "/" not in card.model + card.encoder


def test_the_card_of_a_list_says_the_same(add_run: Callable[[str], Path], runs: Path) -> None:
    add_run("small")
    library = RunLibrary(runs, 1)
    listed = library.cards()
    assert listed == [library.open("small").card()] == [library.card("small")]


def test_the_etag_is_of_what_the_run_was_made_with(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    one, other = add_run("one"), add_run("other")
    library = RunLibrary(runs, 2)
    etag = library.open("one").etag
    assert library.open("other").etag == etag
    manifest = read_json(other / "manifest.json")
    write_json(other / "manifest.json", manifest | {"seeds": {"run": 7}})
    assert library.open("other").etag != etag
    assert library.open("one").etag == etag
    assert read_json(one / "manifest.json") == manifest


def test_a_run_that_was_not_evaluated_has_no_figures(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    path = add_run("small")
    manifest = read_json(path / "manifest.json")
    del manifest["stages"]["evaluate"]
    write_json(path / "manifest.json", manifest)
    (path / "evaluation.json").unlink()
    assert RunLibrary(runs, 1).open("small").evaluation() == ()


@pytest.mark.parametrize(
    ("name", "other", "told"),
    [
        ("corpus.parquet", None, "corpus.parquet"),
        ("membership.npz", b"PK", "membership.npz"),
        ("descriptors.parquet", b"", "descriptors.parquet"),
        ("explanations.parquet", b"", "explanations.parquet"),
        ("neurons.parquet", b"", "neurons.parquet"),
        ("neuron_groups.json", b"{}", "neuron_groups.json"),
        ("lexical.json", b"[", "lexical.json"),
        ("evaluation.json", None, "evaluation.json"),
        ("activations/L0.ffn.npy", b"", "L0.ffn.npy"),
        ("activations/manifest.json", None, "extraction has not finished"),
        ("manifest.json", b"{}", "manifest.json"),
    ],
)
def test_a_damaged_run_is_told_when_it_is_opened(
    add_run: Callable[[str], Path], runs: Path, name: str, other: bytes | None, told: str
) -> None:
    path = add_run("small") / name
    if other is None:
        path.unlink()
    else:
        path.write_bytes(other)
    with pytest.raises(RunError, match=told):
        RunLibrary(runs, 1).open("small")


@pytest.mark.parametrize("part", ["model", "encoder"])
def test_a_model_that_is_gone_or_another_is_no_fault_of_who_asks(
    add_run: Callable[[str], Path], runs: Path, tmp_path: Path, part: str
) -> None:
    path = add_run("small")
    view = told_another(path, runs, {part: str(tmp_path / "gone")}, {})
    with pytest.raises(RunError, match=f"the {part} that small was made with cannot be loaded"):
        ask(view, part)
    view = told_another(path, runs, {}, {part: "another"})
    with pytest.raises(RunError, match="expected another"):
        ask(view, part)
    # What needs no model is answered.
    assert view.layer_map().cells


def told_another(
    path: Path, runs: Path, settings: dict[str, str], fingerprints: dict[str, str]
) -> RunView:
    """The run where its manifest says otherwise."""
    manifest = read_json(path / "manifest.json")
    changed = {
        "settings": manifest["settings"] | settings,
        "fingerprints": manifest["fingerprints"] | fingerprints,
    }
    write_json(path / "manifest.json", manifest | changed)
    try:
        return RunLibrary(runs, 1).open("small")
    finally:
        write_json(path / "manifest.json", manifest)


def ask(view: RunView, part: str) -> None:
    if part == "encoder":
        view.concept("late delivery", n_descriptors=1, n_neurons=1)
    else:
        view.neuron("L0.ffn.0")
