from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score

from descriptors.stability import (
    Candidate,
    candidates_of,
    jaccard_similarities,
    parts_of,
    stability_among,
    stable_choice,
)
from indexer.arrays import IntArray


def numbers(*values: int) -> IntArray:
    return np.array(values, dtype=np.int64)


def candidate(members: range, stability: float) -> Candidate:
    return Candidate(0, 0, np.array(members, dtype=np.int64), stability)


def test_similarities_by_hand() -> None:
    one = numbers(0, 0, 0, 1, 1)
    other = numbers(0, 0, 1, 1, 2)
    assert jaccard_similarities(one, other).tolist() == [
        [2 / 3, 1 / 4, 0.0],
        [0.0, 1 / 3, 1 / 2],
    ]


def test_a_number_no_sentence_has_is_similar_to_nothing() -> None:
    similarities = jaccard_similarities(numbers(0, 2, 2), numbers(1, 0, 0))
    assert similarities.tolist() == [[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40))
def test_similarities_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    one, other = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    similarities = jaccard_similarities(one, other)
    for first in range(similarities.shape[0]):
        for second in range(similarities.shape[1]):
            expected = jaccard_score(one == first, other == second, zero_division=0.0)
            assert similarities[first, second] == pytest.approx(expected)


@pytest.mark.parametrize(("n_one", "n_other"), [(3, 2), (0, 0)])
def test_clusterings_of_other_sentences_are_refused(n_one: int, n_other: int) -> None:
    with pytest.raises(ValueError, match=f"clusterings of {n_one} and {n_other} sentences"):
        jaccard_similarities(np.zeros(n_one, np.int64), np.zeros(n_other, np.int64))


def test_stability_is_the_mean_of_the_best_similarities() -> None:
    clusterings = [numbers(0, 0, 0, 1, 1), numbers(0, 0, 1, 1, 2), numbers(0, 0, 0, 1, 1)]
    found = {(c.clustering, c.cluster): c for c in candidates_of(clusterings, 1)}
    assert found[0, 0].stability == pytest.approx((2 / 3 + 1.0) / 2)
    assert found[0, 1].stability == pytest.approx((1 / 2 + 1.0) / 2)
    assert found[1, 0].stability == pytest.approx(2 / 3)
    assert found[1, 2].stability == pytest.approx(1 / 2)
    assert found[0, 0].members.tolist() == [0, 1, 2]
    assert found[1, 2].members.tolist() == [4]
    assert len(found) == 7


def test_candidates_are_large_enough_and_the_most_stable_come_first() -> None:
    random = np.random.default_rng(0)
    clusterings = [random.integers(0, 6, 60) for _ in range(3)]
    found = candidates_of(clusterings, 9)
    assert found
    assert all(len(each.members) >= 9 for each in found)
    stabilities = [each.stability for each in found]
    assert stabilities == sorted(stabilities, reverse=True)
    for each in found:
        assert np.all(clusterings[each.clustering][each.members] == each.cluster)


def test_clusters_found_every_time_are_stable_and_random_ones_are_not() -> None:
    random = np.random.default_rng(1)
    real = np.repeat(np.arange(4), 25)
    # The last half of the sentences falls anyhow.
    clusterings = [np.concatenate([real, random.integers(4, 8, 100)]) for _ in range(4)]
    for each in candidates_of(clusterings, 2):
        assert each.stability == 1.0 if each.cluster < 4 else each.stability < 0.3


def test_one_clustering_is_no_vote() -> None:
    with pytest.raises(ValueError, match="found 1 clusterings"):
        candidates_of([numbers(0, 1)], 1)


def choice(
    candidates: list[Candidate], coverage: float = 0.5, limit: int = 9
) -> list[tuple[int, int]]:
    """First and last member of each that is taken, of 100 sentences."""
    taken = stable_choice(
        candidates,
        100,
        minimum_stability=0.5,
        coverage=coverage,
        maximum_overlap=0.5,
        limit=limit,
    )
    return [(int(each.members[0]), int(each.members[-1])) for each in taken]


def test_what_shares_half_its_sentences_with_a_stabler_one_is_left_out() -> None:
    candidates = [
        candidate(range(20), 0.9),
        candidate(range(10, 30), 0.8),  # Half of it is taken.
        candidate(range(11, 31), 0.7),  # Less than half.
        candidate(range(4), 0.6),  # All of it is taken.
        candidate(range(60), 0.55),  # All of what is taken is in it.
    ]
    assert choice(candidates) == [(0, 19), (11, 30)]


def test_all_that_is_stable_is_taken_beyond_the_coverage() -> None:
    candidates = [candidate(range(60), 0.9), candidate(range(60, 70), 0.5)]
    assert choice(candidates) == [(0, 59), (60, 69)]


def test_the_unstable_are_taken_until_enough_is_covered() -> None:
    candidates = [
        candidate(range(10), 0.9),
        candidate(range(10, 40), 0.4),
        candidate(range(40, 60), 0.3),
        candidate(range(60, 80), 0.2),
    ]
    assert choice(candidates, coverage=0.5) == [(0, 9), (10, 39), (40, 59)]
    assert choice(candidates, coverage=0.0) == [(0, 9)]
    assert choice(candidates, coverage=1.0)[-1] == (60, 79)


def test_no_more_than_the_limit() -> None:
    candidates = [candidate(range(n * 10, n * 10 + 10), 0.9) for n in range(5)]
    assert len(choice(candidates, limit=3)) == 3


def test_parts_are_added_but_not_what_is_there_already() -> None:
    whole = np.arange(40)
    candidates = [
        candidate(range(30), 0.9),  # Three quarters of the whole: the same again.
        candidate(range(10), 0.8),
        candidate(range(11), 0.7),  # The one before again.
        candidate(range(20, 30), 0.6),
        candidate(range(30, 45), 0.2),  # Not all of it is a part.
    ]

    def parts(limit: int) -> list[int]:
        added = parts_of(
            candidates,
            [whole],
            100,
            maximum_similarity=0.5,
            limit=limit,
        )
        return [int(each.members[0]) for each in added]

    assert parts(9) == [0, 20, 30]
    assert parts(1) == [0]
    assert parts(0) == []


@given(st.integers(0, 50), st.floats(0.1, 1.0))
def test_no_two_taken_overlap_too_much(seed: int, maximum: float) -> None:
    random = np.random.default_rng(seed)
    clusterings = [random.integers(0, 7, 80) for _ in range(3)]
    taken = stable_choice(
        candidates_of(clusterings, 2),
        80,
        minimum_stability=0.0,
        coverage=1.0,
        maximum_overlap=maximum,
        limit=100,
    )
    sets = [set(each.members.tolist()) for each in taken]
    for place, one in enumerate(sets):
        for other in sets[:place]:
            assert len(one & other) / min(len(one), len(other)) < maximum


def test_stability_of_a_set_among_clusterings_by_hand() -> None:
    halves = np.array([0, 0, 0, 1, 1, 1])
    thirds = np.array([0, 0, 1, 1, 2, 2])
    # 2 of 3 sentences of the first half; the first third itself.
    assert stability_among(np.array([0, 1]), [halves, thirds]) == pytest.approx((2 / 3 + 1.0) / 2)
    assert stability_among(np.array([2, 3]), [halves]) == pytest.approx(1 / 4)


def test_stability_among_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="found 0 members and 1 clusterings"):
        stability_among(np.array([], dtype=np.int64), [np.array([0, 1])])
    with pytest.raises(ValueError, match="found 1 members and 0 clusterings"):
        stability_among(np.array([0]), [])
