import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_score, recall_score

from eval.metrics import (
    Ranking,
    average_precision,
    distinct_hits,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
    recall_ceiling,
    success_at_k,
)


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


def _ranked(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Hits of some neurons, never more than their gold labels, and the numbers of those."""
    generator = np.random.default_rng(seed)
    n_gold = generator.integers(1, 6, size=30)
    hits = generator.random((30, 5)) < generator.random()
    hits &= np.cumsum(hits, axis=1) <= n_gold[:, None]
    return hits, n_gold


def test_ranked_metrics_by_hand() -> None:
    # Hits at ranks 1 and 3 of 4 gold labels, at rank 2 of one, and none.
    hits = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0]], dtype=np.bool_)
    n_gold = np.array([4, 1, 2])
    assert success_at_k(hits, 1).tolist() == [1.0, 0.0, 0.0]
    assert success_at_k(hits, 9).tolist() == [1.0, 1.0, 0.0]
    second, third = 1 / np.log2(3), 1 / 2
    assert ndcg_at_k(hits, n_gold, 2).tolist() == pytest.approx([1 / (1 + second), second, 0.0])
    assert ndcg_at_k(hits, n_gold, 3).tolist() == pytest.approx(
        [(1 + third) / (1 + second + third), second, 0.0]
    )
    # With five ranks there is room for all four labels, of which two were found.
    fourth = 1 / np.log2(5)
    assert ndcg_at_k(hits, n_gold, 5)[0] == pytest.approx(
        (1 + third) / (1 + second + third + fourth)
    )
    assert average_precision(hits, n_gold).tolist() == pytest.approx([(1 + 2 / 3) / 4, 0.5, 0.0])
    assert average_precision(hits, n_gold, 2).tolist() == pytest.approx([1 / 4, 0.5, 0.0])


@given(st.integers(0, 2**32 - 1), st.integers(1, 7))
@settings(deadline=None)
def test_ranked_metrics_agree_with_pytrec_eval(seed: int, k: int) -> None:
    """A hit is a document of its own; gold labels that were not found are never retrieved."""
    hits, n_gold = _ranked(seed)
    judged, run = [], []
    for neuron, row in enumerate(hits):
        query = str(neuron)
        places = [f"label{rank}" if hit else f"other{rank}" for rank, hit in enumerate(row)]
        found = [place for place in places if place.startswith("label")]
        missed = [f"missed{label}" for label in range(n_gold[neuron] - len(found))]
        judged += [ir_measures.Qrel(query, label, 1) for label in (*found, *missed)]
        run += [ir_measures.ScoredDoc(query, place, -rank) for rank, place in enumerate(places)]
    oracle = {
        ir_measures.P @ k: precision_at_k(hits[:, :k].sum(axis=1), k),
        ir_measures.R @ k: recall_at_k(hits[:, :k].sum(axis=1), n_gold),
        ir_measures.Success @ k: success_at_k(hits, k),
        ir_measures.nDCG @ k: ndcg_at_k(hits, n_gold, k),
        ir_measures.AP @ k: average_precision(hits, n_gold, k),
        ir_measures.AP: average_precision(hits, n_gold),
    }
    found_values = {
        (each.measure, int(each.query_id)): each.value
        for each in ir_measures.pytrec_eval.iter_calc(list(oracle), judged, run)
    }
    for measure, ours in oracle.items():
        theirs = [found_values[measure, neuron] for neuron in range(len(hits))]
        assert ours.tolist() == pytest.approx(theirs), measure


@given(st.integers(0, 2**32 - 1), st.integers(1, 7))
def test_ranked_metrics_are_bounded_and_ordered(seed: int, k: int) -> None:
    hits, n_gold = _ranked(seed)
    ceiling = recall_ceiling(n_gold, k)
    ndcg, precise = ndcg_at_k(hits, n_gold, k), average_precision(hits, n_gold, k)
    success = success_at_k(hits, k)
    assert ((ndcg >= 0) & (ndcg <= success)).all()
    assert ((precise >= 0) & (precise <= np.minimum(ceiling, success))).all()
    assert (success >= precision_at_k(hits[:, :k].sum(axis=1), k)).all()
    assert ((success > 0) == (ndcg > 0)).all()
    best = np.arange(k) < n_gold[:, None]
    assert (ndcg_at_k(best, n_gold, k) == 1.0).all()
    assert average_precision(best, n_gold, k).tolist() == pytest.approx(ceiling.tolist())


def test_ranks_that_were_cut_off_are_misses() -> None:
    nothing = np.zeros((2, 0), dtype=np.bool_)
    for found in (
        success_at_k(nothing, 3),
        ndcg_at_k(nothing, np.array([1, 2]), 3),
        average_precision(nothing, np.array([1, 2])),
    ):
        assert found.tolist() == [0.0, 0.0]


def test_bad_ranked_hits() -> None:
    hits = np.array([[True, True]])
    with pytest.raises(ValueError, match="more hits than gold"):
        ndcg_at_k(hits, np.array([1]), 2)
    with pytest.raises(ValueError, match="without gold labels"):
        average_precision(hits, np.array([0]))
    with pytest.raises(ValueError, match="k is 0"):
        average_precision(hits, np.array([2]), 0)
    with pytest.raises(ValueError, match="numbers of labels"):
        ndcg_at_k(hits, np.array([2, 2]), 1)
    with pytest.raises(ValueError, match="true or false"):
        success_at_k(hits.astype(np.int64), 1)
