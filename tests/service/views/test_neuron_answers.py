"""What is said of a neuron, against what `service.explain` says of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import NotFoundError
from neurons.records import NeuronId, Tail
from neurons.tokens import token_activations
from service.explain import explain_neuron
from service.explained import ExplainedTail
from service.finished_run import FinishedRun
from service.views.records import ActivationRecord, TailAnswer
from service.views.run_view import RunView

NEURONS = ("L0.ffn.7", "L1.ffn.13", "L0.hidden.3", "L1.hidden.11")


@pytest.fixture(scope="module")
def finished(small_run: Path) -> FinishedRun:
    return FinishedRun(small_run, "cpu")


@pytest.mark.parametrize("address", NEURONS)
def test_an_answer_is_what_explain_says(
    opened: RunView, finished: FinishedRun, address: str
) -> None:
    answer = opened.neuron(address)
    expected = explain_neuron(finished, address)
    assert (answer.run, answer.neuron) == ("small", address)
    assert f"L{answer.layer}.{answer.site}.{answer.unit}" == address
    assert answer.statistics == expected.statistics
    assert answer.group == expected.group
    for tail, told in zip(answer.tails, expected.tails, strict=True):
        assert_same(tail, told)


def assert_same(tail: TailAnswer, told: ExplainedTail) -> None:
    assert (tail.tail, tail.reason) == (told.tail, told.reason)
    assert (tail.together, tail.variety, tail.words) == (told.together, told.variety, told.words)
    assert [each.standing for each in tail.explanations] == list(told.standings)
    for explanation, match in zip(tail.explanations, told.matches, strict=True):
        assert explanation.model_dump(exclude={"type_name", "standing"}) == {
            "description": match.descriptor,
            "score": match.auroc,
            **match.model_dump(exclude={"descriptor", "auroc"}),
        }
    for shown, sentence in zip(tail.exemplars.top, told.exemplars, strict=True):
        assert (shown.sentence_id, shown.text) == (sentence.id, sentence.text)
        assert (shown.split, shown.activation) == (sentence.split, sentence.activation)
        assert shown.starts == tuple(token.start for token in sentence.tokens)
        assert shown.activations == tuple(token.activation for token in sentence.tokens)


@pytest.mark.parametrize("address", NEURONS[:2])
def test_every_exemplar_is_the_sentence_it_says(
    opened: RunView, finished: FinishedRun, address: str
) -> None:
    neuron = NeuronId.parse(address)
    stored = finished.store.array(neuron.layer_site)[:, neuron.unit].astype(np.float64)
    ids = finished.corpus.ids.to_pylist()
    for tail in opened.neuron(address).tails:
        signed = stored if tail.tail is Tail.POSITIVE else -stored
        sets = tail.exemplars
        assert (len(sets.top), len(sets.quantiles), len(sets.random)) == (5, 5, 5)
        for shown in (*sets.top, *sets.quantiles, *sets.random):
            row = ids.index(shown.sentence_id)
            assert shown.text == finished.corpus.text(row)
            assert shown.activation == stored[row]
            assert shown.quantile == np.mean(signed < signed[row])
            assert_tokens(shown, finished, neuron)
        # Nothing at the quantile of 0.25 is near the strongest.
        assert sets.quantiles[-1].quantile is not None
        assert sets.quantiles[-1].quantile <= 0.25


def assert_tokens(shown: ActivationRecord, finished: FinishedRun, neuron: NeuronId) -> None:
    read = token_activations(finished.subject, [shown.text], [neuron])[0]
    assert shown.tokens == tuple(token.text for token in read.tokens)
    assert [shown.text[start:].startswith(each) for start, each in _pairs(shown)] == [
        True for _ in shown.tokens
    ]
    np.testing.assert_allclose(shown.activations, read.activations[:, 0], atol=2e-4)


def _pairs(shown: ActivationRecord) -> list[tuple[int, str]]:
    return list(zip(shown.starts, shown.tokens, strict=True))


def test_both_tails_show_the_same_random_sentences(opened: RunView) -> None:
    positive, negative = (
        {each.sentence_id for each in tail.exemplars.random}
        for tail in opened.neuron(NEURONS[0]).tails
    )
    assert positive == negative
    others = opened.neuron(NEURONS[1]).tails[0].exemplars.random
    assert positive != {each.sentence_id for each in others}


def test_an_answer_is_kept_for_the_next_reader(opened: RunView) -> None:
    assert opened.neuron(NEURONS[0]) is opened.neuron(NEURONS[0])


def test_an_answer_is_plain_json(opened: RunView) -> None:
    text = opened.neuron(NEURONS[0]).model_dump_json()
    assert json.loads(text)["neuron"] == NEURONS[0]
    assert "NaN" not in text
    assert "Infinity" not in text


@pytest.mark.parametrize(
    "address",
    [
        "L2.ffn.0",
        "L0.ffn.48",
        "L0.hidden.32",
        "L0.attn.1",
        "L0.ffn.-1",
        "L00.ffn.1",
        "L0.ffn.01",
        "L0.ffn.1 ",
        "L0.ffn.1\n",
        "L0.ffn.\N{ARABIC-INDIC DIGIT ONE}",
        f"L0.ffn.{'9' * 30}",
        f"L{'9' * 10_000}.ffn.1",
        "../../etc/passwd",
        "",
    ],
)
def test_an_unknown_neuron_is_not_found(opened: RunView, address: str) -> None:
    with pytest.raises(NotFoundError, match="neuron") as error:
        opened.neuron(address)
    assert len(str(error.value)) < 400
