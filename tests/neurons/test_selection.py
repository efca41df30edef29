from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_matrix

from indexer.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from neurons.selection import UNUSED, best_first, first_distinct, overlap

N_SETS = 8
STATISTICS = arrays(
    np.float64, (N_SETS, 5), elements=st.sampled_from([-1.0, 0.0, 0.25, 0.5, 0.75, 1.0])
)


def greedy(
    ordered: IntArray, allowed: BoolArray, overlaps: FloatArray, maximum: float, limit: int
) -> list[list[int]]:
    """The places taken for each unit, by plain loops."""
    chosen = []
    for unit in range(len(ordered)):
        places: list[int] = []
        for place in range(ordered.shape[1]):
            apart = all(
                overlaps[ordered[unit, place], ordered[unit, taken]] < maximum for taken in places
            )
            if allowed[unit, place] and apart and len(places) < limit:
                places.append(place)
        chosen.append(places)
    return chosen


@given(
    sets=arrays(np.bool_, (N_SETS, 10)),
    statistic=STATISTICS,
    allowed=arrays(np.bool_, (5, N_SETS)),
    maximum=st.sampled_from([0.25, 0.5, 1.0]),
    limit=st.integers(1, 4),
    candidates=st.integers(1, 10),
)
@settings(max_examples=100, deadline=None)
def test_agrees_with_a_loop_over_units_and_places(
    sets: BoolArray,
    statistic: DoubleArray,
    allowed: BoolArray,
    maximum: float,
    limit: int,
    candidates: int,
) -> None:
    overlaps = overlap(csr_matrix(sets))
    ordered = best_first(statistic, candidates)
    allowed = allowed[:, : ordered.shape[1]]
    places, lengths = first_distinct(ordered, allowed, overlaps, maximum, limit)
    expected = greedy(ordered, allowed, overlaps, maximum, limit)
    assert [row[:length].tolist() for row, length in zip(places, lengths, strict=True)] == expected
    assert all((row[length:] == UNUSED).all() for row, length in zip(places, lengths, strict=True))


@given(sets=arrays(np.bool_, (5, 9)))
@settings(max_examples=60, deadline=None)
def test_overlap_agrees_with_python_sets(sets: BoolArray) -> None:
    found = overlap(csr_matrix(sets))
    members = [set(np.flatnonzero(row).tolist()) for row in sets]
    for first, own in enumerate(members):
        for second, other in enumerate(members):
            smaller = min(len(own), len(other))
            expected = len(own & other) / smaller if smaller else 0.0
            assert found[first, second] == np.float32(expected)


def test_overlap_counts_members_not_scores() -> None:
    stored = csr_matrix(
        (np.array([0.2, 0.0, 0.9]), np.array([0, 1, 1]), np.array([0, 2, 3])), shape=(2, 3)
    )
    np.testing.assert_array_equal(overlap(stored), [[1.0, 1.0], [1.0, 1.0]])


def test_no_sets_do_not_overlap() -> None:
    assert overlap(csr_matrix((0, 4))).shape == (0, 0)


@given(statistic=STATISTICS, limit=st.integers(1, 10))
@settings(max_examples=60, deadline=None)
def test_best_first_agrees_with_sorting(statistic: DoubleArray, limit: int) -> None:
    expected = [
        sorted(range(N_SETS), key=lambda number: (-column[number], number))[:limit]
        for column in statistic.T
    ]
    assert best_first(statistic, limit).tolist() == expected


def test_best_first_of_no_sets_is_empty() -> None:
    assert best_first(np.empty((0, 3)), 4).shape == (3, 0)


def test_a_set_that_was_not_taken_blocks_nothing() -> None:
    overlaps = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], np.float32)
    ordered = np.array([[0, 1, 2], [0, 1, 2]])
    allowed = np.array([[True, True, True], [False, True, True]])
    places, lengths = first_distinct(ordered, allowed, overlaps, 0.5, 3)
    np.testing.assert_array_equal(lengths, [2, 1])
    assert places[0, :2].tolist() == [0, 2]
    assert places[1, :1].tolist() == [1]


def test_an_overlap_of_exactly_the_maximum_is_skipped() -> None:
    overlaps = np.array([[1.0, 0.5], [0.5, 1.0]], np.float32)
    ordered, allowed = np.array([[0, 1]]), np.ones((1, 2), bool)
    assert first_distinct(ordered, allowed, overlaps, 0.5, 2)[1].tolist() == [1]
    assert first_distinct(ordered, allowed, overlaps, 0.51, 2)[1].tolist() == [2]
