import numpy as np
import pytest

from eval.judged_tails import Descriptions, describe, random_descriptors, spread_over_layers

TEXTS = [f"phrase {number}" for number in range(30)]
SIZES = np.arange(1, 31, dtype=np.int64) * 10


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_tails_are_spread_evenly_over_layers() -> None:
    layers = np.array([0] * 50 + [1] * 30 + [2] * 40)
    chosen = spread_over_layers(layers, 30, rng())
    assert np.bincount(layers[chosen]).tolist() == [10, 10, 10]
    assert (np.diff(chosen) > 0).all()


def test_a_layer_with_few_tails_gives_all_and_others_more() -> None:
    layers = np.array([0] * 2 + [1] * 30 + [2] * 40)
    assert np.bincount(layers[spread_over_layers(layers, 20, rng())]).tolist() == [2, 9, 9]


def test_all_tails_are_taken_where_there_are_no_more() -> None:
    assert spread_over_layers(np.array([3, 1, 1]), 20, rng()).tolist() == [0, 1, 2]
    assert spread_over_layers(np.empty(0, dtype=np.int64), 20, rng()).tolist() == []


def test_descriptions_are_joined_and_compared_with_unlike_ones() -> None:
    ranked = [(0, 1), (1, 2), (3,), (4, 0), (5,)]
    found = describe(ranked, TEXTS, SIZES, 2, rng())
    first = found[0]
    assert isinstance(first, Descriptions)
    assert first.own == "phrase 0; phrase 1"
    # The second and the fourth share a descriptor with it.
    assert sorted(first.swapped) == ["phrase 3", "phrase 5"]


def test_swapped_descriptions_repeat_where_too_few_differ() -> None:
    (found, _, _) = describe([(0,), (0, 1), (2,)], TEXTS, SIZES, 3, rng())
    assert found is not None
    assert found.swapped == ("phrase 2",) * 3


def test_a_tail_that_shares_a_descriptor_with_all_others_has_no_null() -> None:
    found = describe([(0,), (0, 1), (2, 0)], TEXTS, SIZES, 1, rng())
    assert found[0] is None
    assert [each is None for each in found[1:]] == [True, True]


@pytest.mark.parametrize("seed", range(5))
def test_random_descriptors_are_others_of_about_the_same_size(seed: int) -> None:
    own = (15, 3)
    drawn = random_descriptors(own, SIZES, rng(seed))
    assert len(drawn) == 2
    assert not set(drawn) & set(own)
    # Ten descriptors around the sixteenth, and ten around the fourth, which has three below it.
    assert 9 <= drawn[0] <= 21
    assert drawn[1] <= 11


def test_random_descriptors_are_all_different_and_as_many_as_there_are() -> None:
    assert sorted(random_descriptors((0, 1, 2), SIZES[:5], rng())) == [3, 4]
    assert random_descriptors((0,), SIZES[:1], rng()) == ()
