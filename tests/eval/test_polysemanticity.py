"""How many things neurons respond to, where it is known."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics.pairwise import cosine_similarity

from eval.described_tails import described_tails
from eval.label_recovery import Population
from eval.metrics import Ranking
from eval.polysemanticity import (
    PolysemanticitySettings,
    PolysemanticityTask,
    mean_pairwise_cosine,
    polysemanticity,
)
from eval.records import Figure
from eval.tail_analyses import ExemplarGroupCounter, VarianceExplainer
from indexer.arrays import DoubleArray
from neurons.exemplar_groups import ExemplarGroupSettings, distinct_groups
from neurons.joint import JointSettings, joint_explanations
from neurons.null import permuted_rows
from neurons.split_rows import Activations, Block, SplitRows

N_SENTENCES, N_DESCRIPTORS, N_NEURONS, DIMENSION = 1200, 20, 40, 6
TOPIC = np.random.default_rng(0).integers(N_DESCRIPTORS, size=N_SENTENCES)
ROWS = SplitRows(
    discover=np.arange(0, 600),
    validation=np.arange(600, 800),
    test=np.arange(800, 1200),
    documents=np.arange(N_SENTENCES),
)
SETTINGS = PolysemanticitySettings(minimum_neurons=5, fewest_exemplars=40, k=3)
FIRST = np.arange(N_NEURONS) % N_DESCRIPTORS


def activations(values: DoubleArray) -> Activations:
    def blocks(n_units: int) -> Iterator[Block]:
        for first in range(0, values.shape[1], n_units):
            yield values[:, first : first + n_units].astype(np.float32)

    return Activations(values.shape[1], values.shape[0], blocks)


def membership() -> csr_matrix:
    return csr_matrix((np.arange(N_DESCRIPTORS)[:, np.newaxis] == TOPIC).astype(np.float64))


def vectors() -> np.ndarray:
    drawn = np.random.default_rng(2).normal(size=(N_DESCRIPTORS, DIMENSION)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def ranking(length: int) -> Ranking:
    own = (FIRST[:, np.newaxis] + 7 * np.arange(3)) % N_DESCRIPTORS
    return Ranking(own, np.full(N_NEURONS, length))


def responding(n_topics: int) -> DoubleArray:
    """Each neuron responds to the first descriptors of its ranking, the first most."""
    values = np.random.default_rng(3).normal(size=(N_SENTENCES, N_NEURONS))
    for place in range(n_topics):
        values += (4.0 - place) * (TOPIC[:, np.newaxis] == ranking(3).descriptors[:, place])
    return values


def task(values: DoubleArray, length: int) -> PolysemanticityTask:
    nobody = Ranking(np.zeros((N_NEURONS, 1), np.int64), np.zeros(N_NEURONS, np.int64))
    samples = described_tails((ranking(length), nobody), (Population("ffn", np.arange(N_NEURONS)),))
    return PolysemanticityTask(activations(values), membership(), ROWS, vectors(), samples, seed=1)


def one(figures: list[Figure], variant: str, metric: str) -> Figure:
    (found,) = [each for each in figures if (each.variant, each.metric) == (variant, metric)]
    return found


@pytest.mark.parametrize("k", [2, 3])
def test_cosine_against_scikit_learn(k: int) -> None:
    own = Ranking(ranking(3).descriptors, np.arange(N_NEURONS) % 4)
    found = mean_pairwise_cosine(own, vectors(), k)
    for neuron, length in enumerate(own.lengths.tolist()):
        used = min(length, k)
        if used < 2:
            assert np.isnan(found[neuron])
            continue
        cosines = cosine_similarity(vectors()[own.descriptors[neuron, :used]])
        expected = cosines[~np.eye(used, dtype=np.bool_)].mean()
        assert found[neuron] == pytest.approx(expected, abs=1e-6)


def test_neurons_of_three_topics() -> None:
    figures = polysemanticity(task(responding(3), 3), SETTINGS)
    where = "tail=+ site=ffn"
    groups = one(figures, where, "exemplar_groups")
    assert groups.value is not None
    assert groups.null is not None
    assert groups.value > 1.5
    assert groups.null < 0.2
    covered = one(figures, where, "covered")
    assert covered.value is not None
    assert covered.null is not None
    assert covered.null < 0.1 < 0.8 < covered.value
    assert one(figures, where, "several_descriptors").value == 1.0
    gain = one(figures, f"several {where}", "explained_variance_gain")
    first, every = (
        each
        for each in figures
        if (each.variant, each.metric) == (f"several {where}", "explained_variance")
    )
    assert (first.k, every.k, gain.k) == (1, 3, 3)
    assert first.value is not None
    assert every.value is not None
    assert every.value - first.value == pytest.approx(gain.value)
    # Of a variance of 1 + (16 + 9 + 4) / 20 - (9 / 20) ** 2 all but the noise can be explained, and
    # validation does not confirm every third descriptor.
    assert 0.4 < every.value < 1.0 - 1.0 / (1.0 + 29 / 20 - (9 / 20) ** 2)
    assert gain.value is not None
    assert gain.value > 0.15
    assert gain.null == pytest.approx(0.0, abs=0.01)
    assert gain.baseline == pytest.approx(0.0, abs=0.02)
    assert (first.baseline, every.baseline is None) == (None, False)


def test_neurons_of_one_topic_gain_nothing() -> None:
    figures = polysemanticity(task(responding(1), 3), SETTINGS)
    groups = one(figures, "tail=+ site=ffn", "exemplar_groups")
    assert groups.value == pytest.approx(1.0, abs=0.1)
    gain = one(figures, "several tail=+ site=ffn", "explained_variance_gain")
    assert gain.value == pytest.approx(0.0, abs=0.01)


def test_cosine_stands_beside_random_descriptors() -> None:
    alike = replace(task(responding(2), 2), descriptor_vectors=vectors())
    near = vectors()
    for first, second in ranking(2).descriptors[:, :2].tolist()[:3]:
        near[second] = near[first]
    found = one(
        polysemanticity(replace(alike, descriptor_vectors=near), SETTINGS),
        "several tail=+ site=ffn",
        "descriptor_cosine",
    )
    plain = one(polysemanticity(alike, SETTINGS), "several tail=+ site=ffn", "descriptor_cosine")
    assert found.value is not None
    assert plain.value is not None
    assert plain.baseline is not None
    assert found.value > plain.value + 0.05
    assert found.baseline is not None
    assert found.baseline < found.value - 0.05
    assert plain.value == pytest.approx(mean_pairwise_cosine(ranking(2), vectors(), 2).mean())


def test_what_is_too_little_is_refused() -> None:
    single = polysemanticity(task(responding(1), 1), SETTINGS)
    where = "tail=+ site=ffn"
    assert one(single, where, "several_descriptors").value == 0.0
    assert (
        "found 0 neurons with two descriptors" in one(single, f"several {where}", "refused").reason
    )
    silent = [each for each in single if each.variant == "tail=- site=ffn"]
    assert [each.metric for each in silent] == ["refused"]
    greedy = SETTINGS.model_copy(update={"fewest_exemplars": 201})
    (refused,) = polysemanticity(task(responding(1), 1), greedy)
    assert "found 400 test sentences, expected 402 or more" in refused.reason


def test_some_neurons_are_analysed_and_the_same_ones_again() -> None:
    some = SETTINGS.model_copy(update={"analysed_neurons": 9})
    figures = polysemanticity(task(responding(2), 2), some)
    assert one(figures, "tail=+ site=ffn", "exemplar_groups").n == 9
    assert one(figures, "several tail=+ site=ffn", "explained_variance_gain").n == 9
    assert one(figures, "several tail=+ site=ffn", "descriptor_cosine").n == N_NEURONS
    assert figures == polysemanticity(task(responding(2), 2), some)


def test_groups_are_those_of_the_test_exemplars() -> None:
    column = responding(2)[ROWS.test, 0].astype(np.float32)
    counter = ExemplarGroupCounter(membership(), ROWS, 40, ExemplarGroupSettings(), seed=3)
    own, null = counter.count(column)
    exemplars = ROWS.test[np.argsort(-column, kind="stable")[:40]]
    options = ExemplarGroupSettings(shuffles=0)
    expected = distinct_groups(exemplars, membership(), ROWS.test, ROWS.documents, options, 0)
    assert (own.groups, own.covered) == (len(expected.descriptors), expected.covered)
    assert own.groups == 2
    assert null.covered < own.covered
    with pytest.raises(ValueError, match="n_exemplars is 401, expected 1 to the 400"):
        ExemplarGroupCounter(membership(), ROWS, 401, ExemplarGroupSettings(), seed=3)


def test_variances_are_those_of_the_joint_explanation() -> None:
    """The pursuit over the neuron's own descriptors, and over shuffled documents."""
    values = responding(3)[:, :1]
    own = ranking(3).descriptors[0]
    explainer = VarianceExplainer(membership(), ROWS, JointSettings(), seed=5)
    column = values[:, 0].astype(np.float32)
    found = explainer.explained(column, own)
    options = JointSettings(shuffles=0)
    all_three, _ = joint_explanations(values, membership()[own], ROWS, options, 0)
    alone, _ = joint_explanations(values, membership()[own[:1]], ROWS, options, 0)
    assert found.all == pytest.approx(all_three.explained_variance, abs=1e-5)
    assert found.first == pytest.approx(alone.explained_variance, abs=1e-5)
    assert found.gain == found.all - found.first
    generator = np.random.default_rng(5)
    shuffled = values.copy()
    for rows in (ROWS.discover, ROWS.validation, ROWS.test):
        shuffled[rows] = values[rows][permuted_rows(ROWS.documents[rows], generator)]
    null, _ = joint_explanations(shuffled, membership()[own], ROWS, options, 0)
    told = explainer.explained(column, own, shuffled=True)
    assert told.all == pytest.approx(null.explained_variance, abs=1e-5)


def test_a_constant_activation_has_no_variance_to_explain() -> None:
    explainer = VarianceExplainer(membership(), ROWS, JointSettings(), seed=5)
    found = explainer.explained(np.ones(N_SENTENCES, dtype=np.float32), np.array([0, 1]))
    assert np.isnan(found.first)
    assert np.isnan(found.all)
