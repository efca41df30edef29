"""The observational protocol on neurons whose answer is known."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import f1_score, precision_recall_curve

from eval.described_tails import described_tails
from eval.label_recovery import Population
from eval.metrics import Ranking
from eval.observational import ObservationalSettings, ObservationalTask, observational
from eval.records import Figure
from indexer.arrays import DoubleArray
from neurons.split_rows import Activations, Block, SplitRows

N_SENTENCES, N_DESCRIPTORS, N_NEURONS = 600, 12, 24
TOPIC = np.random.default_rng(0).integers(N_DESCRIPTORS, size=N_SENTENCES)
ROWS = SplitRows(
    discover=np.arange(0, 300),
    validation=np.arange(300, 400),
    test=np.arange(400, 600),
    documents=np.arange(N_SENTENCES),
)
SETTINGS = ObservationalSettings(k=2, minimum_members=5, minimum_neurons=5)


def activations(values: DoubleArray) -> Activations:
    def blocks(n_units: int) -> Iterator[Block]:
        for first in range(0, values.shape[1], n_units):
            yield values[:, first : first + n_units].astype(np.float16)

    return Activations(values.shape[1], values.shape[0], blocks)


def membership() -> csr_matrix:
    return csr_matrix((np.arange(N_DESCRIPTORS)[:, np.newaxis] == TOPIC).astype(np.float64))


def first_topics() -> np.ndarray:
    return np.arange(N_NEURONS) % N_DESCRIPTORS


def planted(noise: float) -> DoubleArray:
    """Even neurons fire on one topic, odd ones on two in a row."""
    own = first_topics()
    fires = TOPIC[:, np.newaxis] == own
    fires |= (TOPIC[:, np.newaxis] == (own + 1) % N_DESCRIPTORS) & (np.arange(N_NEURONS) % 2 == 1)
    return np.asarray(fires + noise * np.random.default_rng(1).normal(size=fires.shape))


def ranking() -> Ranking:
    own = first_topics()
    both = np.stack([own, (own + 1) % N_DESCRIPTORS], axis=1)
    return Ranking(both, 1 + np.arange(N_NEURONS) % 2)


def nobody() -> Ranking:
    return Ranking(np.zeros((N_NEURONS, 1), dtype=np.int64), np.zeros(N_NEURONS, dtype=np.int64))


def task(values: DoubleArray, rankings: tuple[Ranking, Ranking] | None = None) -> ObservationalTask:
    everyone = (Population("ffn", np.arange(N_NEURONS)),)
    samples = described_tails(rankings or (ranking(), nobody()), everyone)
    return ObservationalTask(activations(values), membership(), ROWS, samples, seed=5)


def one(figures: list[Figure], variant: str, metric: str) -> Figure:
    (found,) = [each for each in figures if (each.variant, each.metric) == (variant, metric)]
    return found


def test_neurons_that_fire_on_what_is_named() -> None:
    figures = observational(task(planted(0.0)), SETTINGS)
    where = "tail=+ site=ffn"
    judged = one(figures, where, "judged")
    assert (judged.value, judged.n) == (1.0, N_NEURONS)
    # Half of the neurons fire on a second topic, which the first descriptor does not name.
    assert one(figures, where, "recall").value == 1.0
    assert one(figures, f"union {where}", "F1").value == 1.0
    precision = one(figures, where, "precision")
    assert precision.value is not None
    assert 0.7 < precision.value < 0.8
    assert (precision.k, one(figures, f"union {where}", "F1").k) == (1, 2)
    several = one(figures, f"several {where}", "F1")
    assert several.n == N_NEURONS // 2
    assert several.value is not None
    assert several.value == pytest.approx(2 / 3, abs=0.1)


@pytest.mark.parametrize("reading", ["", "union ", "best "])
def test_null_and_baseline_are_those_of_chance(reading: str) -> None:
    """A unit that knows nothing fires on nearly everything, or on too little to be right."""
    figures = observational(task(planted(0.05)), SETTINGS)
    found = one(figures, f"{reading}tail=+ site=ffn", "F1")
    assert found.null is not None
    assert found.baseline is not None
    assert found.ci_low is not None
    assert max(found.null, found.baseline) < 0.35 < found.ci_low


def test_neurons_that_know_nothing_are_at_their_null() -> None:
    noise = np.random.default_rng(8).normal(size=(N_SENTENCES, N_NEURONS))
    for reading in ("", "union ", "best "):
        found = one(observational(task(noise), SETTINGS), f"{reading}tail=+ site=ffn", "F1")
        assert found.value == pytest.approx(found.null, abs=0.04)
        assert found.value == pytest.approx(found.baseline, abs=0.04)


def test_first_descriptor_against_brute_force() -> None:
    """The best of all thresholds on discover and validation, told on test."""
    values = planted(0.6).astype(np.float16).astype(np.float64)
    fitted = np.concatenate([ROWS.discover, ROWS.validation])
    expected = []
    for neuron, topic in enumerate(first_topics()):
        column, named = values[:, neuron], topic == TOPIC
        precision, recall, cuts = precision_recall_curve(named[fitted], column[fitted])
        scores = 2.0 * precision * recall / np.maximum(precision + recall, 1e-12)
        chosen = cuts[cuts.size - 1 - int(np.argmax(scores[: cuts.size][::-1]))]
        expected.append(f1_score(named[ROWS.test], column[ROWS.test] >= chosen))
    found = one(observational(task(values), SETTINGS), "tail=+ site=ffn", "F1")
    assert found.value == pytest.approx(np.mean(expected))


def test_a_negative_tail_is_the_positive_one_of_the_negated_neuron() -> None:
    values = planted(0.3)
    positive = observational(task(values), SETTINGS)
    negative = observational(task(-values, (nobody(), ranking())), SETTINGS)
    values_of = {each.variant: each.value for each in negative if each.metric == "F1"}
    for each in positive:
        if each.metric == "F1":
            assert values_of[each.variant.replace("tail=+", "tail=-")] == each.value


def test_too_few_neurons_or_members_are_refused() -> None:
    figures = observational(task(planted(0.1)), SETTINGS)
    (silent,) = [each for each in figures if each.variant == "tail=- site=ffn"]
    assert silent.value is None
    assert "found 0 of 0 described neurons" in silent.reason
    strict = SETTINGS.model_copy(update={"minimum_members": 30})
    refused = observational(task(planted(0.1)), strict)
    assert [each.metric for each in refused] == ["refused", "refused"]
    assert f"of {N_NEURONS} described neurons" in refused[0].reason
    assert "30 test sentences" in refused[0].reason
    lonely = Ranking(ranking().descriptors, np.ones(N_NEURONS, dtype=np.int64))
    single = observational(task(planted(0.1), (lonely, nobody())), SETTINGS)
    assert "two descriptors" in one(single, "several tail=+ site=ffn", "refused").reason


def test_same_seed_same_figures() -> None:
    again = replace(task(planted(0.4)), seed=6)
    assert observational(task(planted(0.4)), SETTINGS) == observational(
        task(planted(0.4)), SETTINGS
    )
    assert observational(again, SETTINGS) != observational(task(planted(0.4)), SETTINGS)
