"""Agreement of two ranked lists against hand-worked cases and definitions written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics import Ranking
from eval.rank_agreement import jaccard_at_k, rank_biased_overlap

lists = st.lists(st.integers(0, 8), unique=True, max_size=6)


def ranking(*own: list[int]) -> Ranking:
    width = max(1, *(len(each) for each in own)) if own else 1
    padded = [each + [99] * (width - len(each)) for each in own]
    return Ranking(np.array(padded), np.array([len(each) for each in own]))


def single(own: list[int]) -> Ranking:
    return Ranking(np.array([own + [7] * (6 - len(own))]), np.array([len(own)]))


def test_jaccard_worked_by_hand() -> None:
    """Two of two, one of three, none, one side silent, both silent."""
    one = ranking([0, 1], [0, 1], [0, 1], [0, 1], [])
    other = ranking([1, 0], [0, 2], [2, 3], [], [])
    found = jaccard_at_k(one, other, 2)
    assert found[:4].tolist() == [1.0, 1 / 3, 0.0, 0.0]
    assert np.isnan(found[4])
    assert jaccard_at_k(one, other, 1)[:3].tolist() == [0.0, 1.0, 0.0]


@given(one=lists, other=lists, k=st.integers(1, 6))
def test_jaccard_is_that_of_sets_and_symmetric(one: list[int], other: list[int], k: int) -> None:
    (found,) = jaccard_at_k(single(one), single(other), k)
    (mirrored,) = jaccard_at_k(single(other), single(one), k)
    either = set(one[:k]) | set(other[:k])
    if not either:
        assert np.isnan(found)
        assert np.isnan(mirrored)
    else:
        assert found == mirrored == len(set(one[:k]) & set(other[:k])) / len(either)


def overlap_to_infinity(one: list[int], other: list[int], persistence: float) -> float:
    """The sum that defines rank-biased overlap, with agreement carried on beyond each list.

    Below the end of the shorter list its agreement goes on, with what the longer one adds; below
    the end of the longer one agreement stays as it is.
    """
    short, long = sorted((one, other), key=len)
    total = 0.0
    for depth in range(1, 1500):
        seen = min(depth, len(long))
        shared = len(set(short) & set(long[:seen])) if seen > len(short) else None
        if shared is None:
            agreement = len(set(short[:seen]) & set(long[:seen])) / seen
        else:
            at_short = len(set(short) & set(long[: len(short)]))
            agreement = (shared + at_short * (seen - len(short)) / len(short)) / seen
        total += (1.0 - persistence) * persistence ** (depth - 1) * agreement
    return total


@given(one=lists, other=lists, persistence=st.sampled_from([0.5, 0.9, 0.95]))
def test_overlap_as_defined(one: list[int], other: list[int], persistence: float) -> None:
    (found,) = rank_biased_overlap(single(one), single(other), 6, persistence)
    (mirrored,) = rank_biased_overlap(single(other), single(one), 6, persistence)
    if not one and not other:
        assert np.isnan(found)
    elif not one or not other:
        assert found == 0.0
    else:
        assert found == pytest.approx(overlap_to_infinity(one, other, persistence), abs=1e-9)
        assert found == pytest.approx(mirrored)
        assert -1e-12 <= found <= 1.0 + 1e-12


def test_overlap_worked_by_hand() -> None:
    """Persistence one half: same, disjoint, beginning of the other, swapped."""
    one = ranking([0, 1], [0, 1], [0], [0, 1])
    other = ranking([0, 1], [2, 3], [0, 1, 2], [1, 0])
    found = rank_biased_overlap(one, other, 5, persistence=0.5)
    # Swapped: agreement is 0 at depth 1, worth one half, and 1 from there on.
    assert found.tolist() == pytest.approx([1.0, 0.0, 1.0, 0.5])


def test_an_exchange_at_the_top_costs_more_than_one_below() -> None:
    same = ranking([0, 1, 2, 3], [0, 1, 2, 3])
    changed = ranking([9, 1, 2, 3], [0, 1, 2, 9])
    above, below = rank_biased_overlap(same, changed, 4)
    assert above < below < 1.0


def test_depth_cuts_lists_off() -> None:
    found = rank_biased_overlap(ranking([0, 1, 5]), ranking([0, 1, 6]), 2)
    assert found.tolist() == pytest.approx([1.0])


def test_arguments_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="rankings of 1 and 2 neurons at k = 1"):
        jaccard_at_k(ranking([0]), ranking([0], [1]), 1)
    with pytest.raises(ValueError, match="k = 0"):
        rank_biased_overlap(ranking([0]), ranking([0]), 0)
    with pytest.raises(ValueError, match=r"persistence is 1.0"):
        rank_biased_overlap(ranking([0]), ranking([0]), 2, 1.0)
