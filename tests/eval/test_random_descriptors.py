"""Descriptors that do not look at the neuron."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics import Ranking
from eval.random_descriptors import dealt_to_others, size_matched


def ranking(*lists: list[int]) -> Ranking:
    width = max(len(each) for each in lists)
    padded = [each + [0] * (width - len(each)) for each in lists]
    return Ranking(np.array(padded), np.array([len(each) for each in lists]))


def listed(found: Ranking) -> list[list[int]]:
    return [
        each[:length].tolist()
        for each, length in zip(found.descriptors, found.lengths, strict=True)
    ]


def test_the_nearest_in_size_is_drawn() -> None:
    sizes = np.array([10, 100, 12, 95, 50])
    found = size_matched(ranking([0], [1], [4]), sizes, nearest=1, seed=0)
    assert listed(found) == [[2], [3], [2]]


def test_what_may_not_be_drawn_is_not() -> None:
    sizes = np.array([10, 100, 12, 95, 50])
    allowed = np.array([True, True, False, True, True])
    assert listed(size_matched(ranking([0]), sizes, nearest=1, allowed=allowed, seed=0)) == [[4]]


def test_a_catalog_without_others_leaves_fewer() -> None:
    found = size_matched(ranking([0, 1], [2]), np.array([5, 6, 7]), seed=3)
    assert found.lengths.tolist() == [1, 1]
    assert listed(found)[0] == [2]


@given(seed=st.integers(0, 1000), nearest=st.integers(1, 12))
def test_draws_are_distinct_and_never_the_neurons_own(seed: int, nearest: int) -> None:
    generator = np.random.default_rng(seed)
    own = Ranking(
        np.stack([generator.permutation(30)[:4] for _ in range(12)]),
        generator.integers(1, 5, size=12),
    )
    found = size_matched(own, generator.integers(1, 50, size=30), nearest=nearest, seed=seed)
    assert found.lengths.tolist() == own.lengths.tolist()
    for drawn, theirs in zip(listed(found), listed(own), strict=True):
        assert len(set(drawn) | set(theirs)) == len(drawn) + len(theirs)


def test_draws_are_as_large_as_what_they_stand_for() -> None:
    sizes = np.arange(200)
    own = ranking(*[[each] for each in range(20, 180)])
    drawn = size_matched(own, sizes, nearest=10, seed=1).descriptors[:, 0]
    assert np.abs(sizes[drawn] - np.arange(20, 180)).max() <= 5
    assert np.unique(drawn - np.arange(20, 180)).size > 5


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="found 2 sizes and nearest 1, expected 3 sizes"):
        size_matched(ranking([2]), np.array([1, 2]), nearest=1, seed=0)
    with pytest.raises(ValueError, match="nearest 0"):
        size_matched(ranking([0]), np.array([1, 2]), nearest=0, seed=0)


def test_everyone_gets_the_list_of_another_of_the_same_length() -> None:
    own = ranking([0], [1], [2], [3, 4], [5, 6], [7, 8, 9])
    found = listed(dealt_to_others(own, seed=2))
    assert sorted(found[:3]) == [[0], [1], [2]]
    assert found[3:5] == [[5, 6], [3, 4]]
    assert all(each != theirs for each, theirs in zip(found, listed(own), strict=True))
    assert found[5] == []
