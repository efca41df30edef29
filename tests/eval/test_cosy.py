"""CoSy against scipy, scikit-learn and neurons whose answer is known."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from eval.cosy import (
    ConceptTexts,
    CosySettings,
    CosyTask,
    concept_auroc,
    cosy,
    mean_activation_difference,
    retrieved_texts,
)
from eval.described_tails import described_tails
from eval.label_recovery import Population
from eval.metrics import Ranking
from eval.records import Figure
from eval.score_metrics import auroc, mad
from indexer.arrays import DoubleArray
from neurons.split_rows import Activations, Block

numbers = st.lists(st.integers(-4, 4), min_size=1, max_size=25)
N_SENTENCES, N_DESCRIPTORS, N_NEURONS, N_TEXTS = 900, 30, 60, 40
SETTINGS = CosySettings(concept_texts=N_TEXTS, control_texts=200, minimum_neurons=5, k=5)


@given(concept=numbers, control=numbers)
def test_auroc_is_mann_whitney_u_over_the_pairs(concept: list[int], control: list[int]) -> None:
    found = concept_auroc(np.array(concept, dtype=np.float32), np.array(control, dtype=np.float32))
    u = mannwhitneyu(concept, control).statistic
    assert found == pytest.approx(u / (len(concept) * len(control)))
    relevant = np.repeat([True, False], [len(concept), len(control)])
    assert found == pytest.approx(roc_auc_score(relevant, concept + control))
    assert found == pytest.approx(auroc(np.array(concept + control), relevant))


@given(concept=numbers, control=st.lists(st.integers(-4, 4), min_size=2, max_size=25))
def test_mad_as_the_metric_has_it(concept: list[int], control: list[int]) -> None:
    own, others = np.array(concept, dtype=np.float16), np.array(control, dtype=np.float16)
    relevant = np.repeat([True, False], [len(concept), len(control)])
    expected = mad(np.array(concept + control), relevant)
    found = mean_activation_difference(own, others)
    if expected is None:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(expected)
        assert mean_activation_difference(-own, -others) == pytest.approx(-expected)


def test_mad_worked_by_hand() -> None:
    """Mean 4 against mean 2, whose unbiased standard deviation is 2."""
    found = mean_activation_difference(np.array([3.0, 5.0]), np.array([0.0, 2.0, 4.0]))
    assert found == pytest.approx(1.0)


def test_texts_that_are_too_few() -> None:
    with pytest.raises(ValueError, match="found 0 concept texts"):
        concept_auroc(np.array([]), np.array([1.0]))
    with pytest.raises(ValueError, match="1 controls, expected 1 and 2 or more"):
        mean_activation_difference(np.array([1.0]), np.array([1.0]))


def unit_vectors(count: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 12)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_retrieved_texts_are_the_nearest_and_controls_are_others() -> None:
    sentences, descriptors = unit_vectors(300, 1), unit_vectors(4, 2)
    rows = np.random.default_rng(3).permutation(5000)[:300]
    few = SETTINGS.model_copy(update={"control_texts": 50})
    found = retrieved_texts(descriptors, sentences, rows, few, seed=4)
    for number, vector in enumerate(descriptors):
        cosines = dict(zip(rows.tolist(), (sentences @ vector).tolist(), strict=True))
        best = sorted(cosines, key=lambda row: -cosines[row])[:N_TEXTS]
        assert set(found.concept[number].tolist()) == set(best)
        control = set(found.control[number].tolist())
        assert len(control) == 50
        assert not control & set(best)
        assert control <= set(rows.tolist())
    alone = retrieved_texts(descriptors[2:3], sentences, rows, few, seed=4)
    assert alone.control[0].tolist() == found.control[2].tolist()
    other = retrieved_texts(descriptors, sentences, rows, few, seed=5)
    assert other.control[0].tolist() != found.control[0].tolist()


def test_all_others_are_controls_where_there_are_no_more() -> None:
    sentences = unit_vectors(2 * N_TEXTS + 5, 1)
    rows = np.arange(len(sentences))
    found = retrieved_texts(unit_vectors(1, 2), sentences, rows, SETTINGS, seed=0)
    assert len(found.control[0]) == N_TEXTS + 5
    with pytest.raises(ValueError, match=f"{2 * N_TEXTS} or more"):
        retrieved_texts(unit_vectors(1, 2), sentences[:79], rows[:79], SETTINGS, seed=0)


TEXTS = retrieved_texts(
    unit_vectors(N_DESCRIPTORS, 6),
    unit_vectors(N_SENTENCES, 7),
    np.arange(N_SENTENCES),
    SETTINGS,
    0,
)


def activations(values: DoubleArray) -> Activations:
    def blocks(n_units: int) -> Iterator[Block]:
        for first in range(0, values.shape[1], n_units):
            yield values[:, first : first + n_units].astype(np.float16)

    return Activations(values.shape[1], values.shape[0], blocks)


def ranking(length: int) -> Ranking:
    generator = np.random.default_rng(9)
    drawn = np.stack([generator.permutation(N_DESCRIPTORS)[:length] for _ in range(N_NEURONS)])
    return Ranking(drawn, np.full(N_NEURONS, length))


def nobody() -> Ranking:
    return Ranking(np.zeros((N_NEURONS, 1), dtype=np.int64), np.zeros(N_NEURONS, dtype=np.int64))


def task(values: DoubleArray, length: int) -> CosyTask:
    everyone = (Population("ffn", np.arange(N_NEURONS)),)
    samples = described_tails((ranking(length), nobody()), everyone)
    sizes = np.random.default_rng(2).integers(20, 60, size=N_DESCRIPTORS)
    return CosyTask(activations(values), TEXTS, sizes, samples, seed=1)


def one(figures: list[Figure], variant: str, metric: str) -> Figure:
    (found,) = [each for each in figures if (each.variant, each.metric) == (variant, metric)]
    return found


def noise() -> DoubleArray:
    return np.random.default_rng(11).normal(size=(N_SENTENCES, N_NEURONS))


def test_neurons_that_respond_to_their_first_descriptor() -> None:
    values = noise()
    for neuron, descriptor in enumerate(ranking(1).descriptors[:, 0].tolist()):
        values[TEXTS.concept[descriptor], neuron] += 3.0
    figures = cosy(task(values, 1), SETTINGS)
    area, rise = (one(figures, "tail=+ site=ffn", metric) for metric in ("AUROC", "MAD"))
    assert area.value == pytest.approx(0.983, abs=0.005)
    assert rise.value == pytest.approx(3.0, abs=0.1)
    assert (area.k, area.n, area.split) == (1, N_NEURONS, "test")
    assert area.null == pytest.approx(0.5, abs=0.06)
    assert area.baseline == pytest.approx(0.5, abs=0.06)
    assert one(figures, "best tail=+ site=ffn", "AUROC").value == area.value


def test_the_best_of_several_is_high_by_luck_alone() -> None:
    """Neurons that know nothing: their best is above one half, and so is that of random ones."""
    figures = cosy(task(noise(), 5), SETTINGS)
    mean = one(figures, "mean tail=+ site=ffn", "AUROC")
    best = one(figures, "best tail=+ site=ffn", "AUROC")
    assert mean.value == pytest.approx(0.5, abs=0.01)
    assert best.value is not None
    assert best.ci_low is not None
    assert best.ci_low > 0.53
    assert best.value == pytest.approx(best.null, abs=0.01)
    assert best.value == pytest.approx(best.baseline, abs=0.01)
    assert best.k == 5


def test_readings_against_brute_force() -> None:
    values = noise().astype(np.float16).astype(np.float64)
    figures = cosy(task(values, 3), SETTINGS)
    areas = np.array(
        [
            [
                concept_auroc(
                    values[TEXTS.concept[each], neuron], values[TEXTS.control[each], neuron]
                )
                for each in own
            ]
            for neuron, own in enumerate(ranking(3).descriptors.tolist())
        ]
    )
    expected = {"": areas[:, 0], "mean ": areas.mean(axis=1), "best ": areas.max(axis=1)}
    for reading, values_of in expected.items():
        for word in ("", "several "):
            found = one(figures, f"{reading}{word}tail=+ site=ffn", "AUROC")
            assert found.value == pytest.approx(values_of.mean())


def test_descriptors_without_texts_are_not_judged() -> None:
    """Generated texts of half of the descriptors; no random one comes from the other half."""
    known = {number: TEXTS.concept[number] for number in range(N_DESCRIPTORS // 2)}
    generated = ConceptTexts(known, {each: TEXTS.control[each] for each in known}, "generated")
    figures = cosy(replace(task(noise(), 1), texts=generated), SETTINGS)
    found = one(figures, "generated tail=+ site=ffn", "AUROC")
    assert found.n == (ranking(1).descriptors[:, 0] < N_DESCRIPTORS // 2).sum()
    assert found.baseline is not None
    none = cosy(replace(task(noise(), 1), texts=ConceptTexts({}, {})), SETTINGS)
    assert [each.metric for each in none] == ["refused", "refused"]
    assert "found 0 described neurons whose first descriptor has texts" in none[0].reason
