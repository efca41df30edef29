"""Which sentences show a neuron."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.views.exemplar_sets import QUANTILES, RANDOM, TOP, exemplar_rows


def test_sentences_are_chosen_as_by_hand() -> None:
    values = np.arange(101, dtype=np.float32)[::-1].copy()
    found = exemplar_rows(values, 3)
    assert values[found.top].tolist() == [100, 99, 98, 97, 96]
    # The quantile at 0.99 is among the strongest; the nearest below that is not, is 95.
    assert values[found.quantiles].tolist() == [95, 90, 75, 50, 25]


def test_between_two_sentences_the_one_below_is_at_the_quantile() -> None:
    values = np.arange(20, dtype=np.float32)
    # 0.9 * 19 = 17.1 and 0.75 * 19 = 14.25, 0.5 * 19 = 9.5, 0.25 * 19 = 4.75.
    assert exemplar_rows(values, 0).quantiles.tolist() == [14, 13, 12, 9, 4]


def test_ties_go_to_the_earlier_row() -> None:
    found = exemplar_rows(np.zeros(12, dtype=np.float32), 0)
    assert found.top.tolist() == [0, 1, 2, 3, 4]
    assert len(set(found.quantiles.tolist()) - set(found.top.tolist())) == len(QUANTILES)


def test_random_sentences_depend_on_the_seed_and_on_nothing_else() -> None:
    values = np.random.default_rng(0).normal(size=500).astype(np.float32)
    one, other = exemplar_rows(values, 1), exemplar_rows(-values, 1)
    assert set(one.random.tolist()) == set(other.random.tolist())
    assert one.random.tolist() == other.random.tolist()[::-1]
    assert set(one.random.tolist()) != set(exemplar_rows(values, 2).random.tolist())


def test_random_sentences_stand_for_all() -> None:
    values = np.arange(50, dtype=np.float32)
    drawn = np.concatenate([exemplar_rows(values, seed).random for seed in range(400)])
    counts = np.bincount(drawn, minlength=50)
    assert counts.sum() == 400 * RANDOM
    # 40 each are expected, with a standard deviation of 6.
    assert 10 < counts.min() < counts.max() < 70


@pytest.mark.parametrize("n_sentences", [1, 2, 5, 6, 9])
def test_a_small_corpus_shows_what_it_has(n_sentences: int) -> None:
    found = exemplar_rows(np.arange(n_sentences, dtype=np.float32), 0)
    assert len(found.top) == min(TOP, n_sentences)
    assert len(found.random) == min(RANDOM, n_sentences)
    assert not set(found.quantiles.tolist()) & set(found.top.tolist())


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=60), st.integers(0, 2**32))
def test_the_kinds_are_what_they_say(values: list[int], seed: int) -> None:
    array = np.array(values, dtype=np.float32)
    found = exemplar_rows(array, seed)
    rest = np.delete(array, found.top)
    assert array[found.top].min() >= rest.max(initial=-np.inf)
    assert (np.diff(array[found.top]) <= 0).all()
    assert (np.diff(array[found.quantiles]) <= 0).all()
    assert (np.diff(array[found.random]) <= 0).all()
    # Those that find their place are at or below the quantile itself.
    at = np.quantile(array, QUANTILES[: len(found.quantiles)], method="lower")
    assert (array[found.quantiles] <= at).all()
