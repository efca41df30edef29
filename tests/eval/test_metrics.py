import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_score, recall_score

from eval.metrics import Ranking, distinct_hits, precision_at_k, recall_at_k, recall_ceiling


def _means(labels: list[int | None], n_labels: int) -> np.ndarray:
    means = np.zeros((len(labels), n_labels), dtype=np.bool_)
    for descriptor, label in enumerate(labels):
        if label is not None:
            means[descriptor, label] = True
    return means


@st.composite
def _problems(draw: st.DrawFn, most_labels_meant: int) -> tuple[np.ndarray, np.ndarray, Ranking]:
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_neurons, n_labels = draw(st.integers(0, 6)), draw(st.integers(1, 6))
    n_descriptors, n_ranks = draw(st.integers(1, 8)), draw(st.integers(0, 8))
    n_ranks = min(n_ranks, n_descriptors)
    gold = generator.random((n_neurons, n_labels)) < 0.5
    meanings = np.zeros((n_descriptors, n_labels), dtype=np.bool_)
    for descriptor in range(n_descriptors):
        meant = generator.permutation(n_labels)[: generator.integers(most_labels_meant + 1)]
        meanings[descriptor, meant] = True
    ranked = np.empty((n_neurons, n_ranks), dtype=np.int64)
    for neuron in range(n_neurons):
        ranked[neuron] = generator.permutation(n_descriptors)[:n_ranks]
    lengths = generator.integers(n_ranks + 1, size=n_neurons)
    ranked[np.arange(n_ranks) >= lengths[:, None]] = -7
    return gold, meanings, Ranking(ranked, lengths)


def test_hits_by_hand() -> None:
    # Descriptors 0 and 1 mean label 0, descriptor 2 means label 1, descriptor 3 nothing.
    meanings = _means([0, 0, 1, None], 3)
    gold = np.array([[1, 1, 0], [1, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=np.bool_)
    ranking = Ranking(
        np.array([[0, 1, 2], [3, 2, 0], [9, 9, 9], [2, 9, 9]]), np.array([3, 3, 0, 1])
    )
    assert distinct_hits(gold, meanings, ranking, 1).tolist() == [1, 0, 0, 1]
    assert distinct_hits(gold, meanings, ranking, 2).tolist() == [1, 1, 0, 1]
    assert distinct_hits(gold, meanings, ranking, 5).tolist() == [2, 2, 0, 1]


def test_a_descriptor_with_two_labels_is_one_hit() -> None:
    meanings = np.array([[1, 1, 0], [0, 1, 0], [0, 1, 1]], dtype=np.bool_)
    gold = np.ones((2, 3), dtype=np.bool_)
    ranking = Ranking(np.array([[0, 1], [0, 2]]), np.array([2, 2]))
    assert distinct_hits(gold, meanings, ranking, 2).tolist() == [1, 2]


@given(_problems(most_labels_meant=1), st.integers(1, 9))
def test_hits_are_the_distinct_labels_found(
    problem: tuple[np.ndarray, np.ndarray, Ranking], k: int
) -> None:
    gold, meanings, ranking = problem
    expected = []
    for neuron in range(len(gold)):
        shown = ranking.descriptors[neuron, : ranking.lengths[neuron]][:k]
        meant = {int(label) for row in shown for label in np.flatnonzero(meanings[row])}
        expected.append(len(meant & set(np.flatnonzero(gold[neuron]).tolist())))
    assert distinct_hits(gold, meanings, ranking, k).tolist() == expected


@given(_problems(most_labels_meant=3), st.integers(1, 9))
def test_hits_with_several_meanings_match_a_loop(
    problem: tuple[np.ndarray, np.ndarray, Ranking], k: int
) -> None:
    gold, meanings, ranking = problem
    hits = distinct_hits(gold, meanings, ranking, k)
    for neuron in range(len(gold)):
        found: set[int] = set()
        expected = 0
        right = set(np.flatnonzero(gold[neuron]).tolist())
        for row in ranking.descriptors[neuron, : ranking.lengths[neuron]][:k]:
            meant = set(np.flatnonzero(meanings[row]).tolist()) & right
            expected += bool(meant - found)
            found |= meant
        assert hits[neuron] == expected
        assert hits[neuron] <= min(k, len(right), len(found))


@given(_problems(most_labels_meant=1), st.integers(1, 9))
def test_bounds_and_ceiling(problem: tuple[np.ndarray, np.ndarray, Ranking], k: int) -> None:
    gold, meanings, ranking = problem
    qualifying = np.flatnonzero(gold.sum(axis=1) >= 1)
    n_gold = gold[qualifying].sum(axis=1)
    hits = distinct_hits(gold[qualifying], meanings, ranking.take(qualifying), k)
    precision, recall = precision_at_k(hits, k), recall_at_k(hits, n_gold)
    assert ((precision >= 0) & (precision <= 1)).all()
    assert (recall <= recall_ceiling(n_gold, k)).all()
    assert (recall_ceiling(n_gold, k) <= 1).all()


def test_agrees_with_scikit_learn_without_redundancy() -> None:
    generator = np.random.default_rng(3)
    n_labels, k = 7, 3
    gold = generator.random((40, n_labels)) < 0.4
    gold[:, 0] = True
    ranked = np.array([generator.permutation(n_labels)[:k] for _ in range(40)])
    predicted = np.zeros_like(gold)
    np.put_along_axis(predicted, ranked, True, axis=1)
    hits = distinct_hits(gold, np.eye(n_labels, dtype=np.bool_), Ranking(ranked, np.full(40, k)), k)
    assert precision_at_k(hits, k).mean() == pytest.approx(
        precision_score(gold, predicted, average="samples")
    )
    assert recall_at_k(hits, gold.sum(axis=1)).mean() == pytest.approx(
        recall_score(gold, predicted, average="samples")
    )


def test_ceiling_by_hand() -> None:
    assert recall_ceiling(np.array([1, 2, 4]), 2).tolist() == [1.0, 1.0, 0.5]


@pytest.mark.parametrize(
    ("descriptors", "lengths", "message"),
    [
        (np.zeros((2, 3), dtype=np.int64), np.zeros(3, dtype=np.int64), "have shape"),
        (np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64), "have shape"),
        (np.zeros((2, 3), dtype=np.int64), np.array([0, 4]), "expected 0 to 3"),
        (np.zeros((2, 3), dtype=np.int64), np.array([-1, 2]), "expected 0 to 3"),
        (np.array([[0, -1]]), np.array([2]), "negative position"),
        (np.zeros((1, 2)), np.array([2]), "expected integers"),
    ],
)
def test_bad_rankings(descriptors: np.ndarray, lengths: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ranking(descriptors, lengths)


def test_entries_beyond_the_length_are_ignored() -> None:
    ranking = Ranking(np.array([[1, -1], [-5, 99]]), np.array([1, 0]))
    assert ranking.n_descriptors_needed == 2
    assert ranking.described.tolist() == [True, False]


def test_bad_arguments() -> None:
    one = Ranking(np.array([[2]]), np.array([1]))
    gold = np.ones((1, 2), dtype=np.bool_)
    with pytest.raises(ValueError, match="names descriptor 2"):
        distinct_hits(gold, np.ones((2, 2), dtype=np.bool_), one, 1)
    with pytest.raises(ValueError, match="expected \\(n_neurons, n_labels\\)"):
        distinct_hits(gold, np.ones((3, 3), dtype=np.bool_), one, 1)
    with pytest.raises(ValueError, match="gold has 2 neurons"):
        distinct_hits(np.ones((2, 2), dtype=np.bool_), np.ones((3, 2), dtype=np.bool_), one, 1)
    with pytest.raises(ValueError, match="k is 0"):
        distinct_hits(gold, np.ones((3, 2), dtype=np.bool_), one, 0)
    with pytest.raises(ValueError, match="expected 0 to k = 1"):
        precision_at_k(np.array([2]), 1)
    with pytest.raises(ValueError, match="without gold labels"):
        recall_at_k(np.array([0]), np.array([0]))
    with pytest.raises(ValueError, match="more hits than gold"):
        recall_at_k(np.array([2]), np.array([1]))
    with pytest.raises(ValueError, match="have shape"):
        recall_at_k(np.array([1]), np.array([1, 2]))
