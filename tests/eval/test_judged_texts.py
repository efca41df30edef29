import numpy as np
import pytest

from descriptors.records import Split
from eval.judged_texts import (
    ActivityBounds,
    Needed,
    Shortfall,
    TextSample,
    activity_bounds,
    draw_texts,
)
from indexer.arrays import DoubleArray, FloatArray, IntArray

N = 400
BOUNDS = ActivityBounds(active=359.5, inactive=200.0)
"""For strengths 0 to 399: the 40 strongest are active, 201 are not."""


def vectors(seed: int = 0) -> FloatArray:
    drawn = np.random.default_rng(seed).normal(size=(N, 8)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def drawn(
    strengths: DoubleArray,
    n_texts: int = 20,
    rows: IntArray | None = None,
    seed: int = 0,
) -> TextSample:
    found = draw_texts(
        strengths,
        BOUNDS,
        np.arange(N) if rows is None else rows,
        vectors(),
        n_texts,
        Needed(5, Split.TEST),
        np.random.default_rng(seed),
    )
    assert isinstance(found, TextSample)
    return found


STRENGTHS = np.random.default_rng(1).permutation(N).astype(np.float64)


def test_bounds_are_the_quantile_and_the_median() -> None:
    bounds = activity_bounds(np.arange(101, dtype=np.float64), 0.1)
    assert bounds == ActivityBounds(active=90.0, inactive=50.0)


def test_half_of_the_texts_are_active_and_their_strengths_are_told() -> None:
    sample = drawn(STRENGTHS)
    assert sample.active.sum() == 20
    assert len(sample.rows) == 40
    assert len(set(sample.rows.tolist())) == 40
    np.testing.assert_array_equal(sample.strengths, STRENGTHS[sample.rows])
    assert (sample.strengths[sample.active] > BOUNDS.active).all()
    assert (sample.strengths[~sample.active] <= BOUNDS.inactive).all()


def test_active_texts_come_from_every_tenth_of_their_strengths() -> None:
    sample = drawn(STRENGTHS)
    # The 40 active strengths are 360 to 399: two of each run of four.
    runs = (np.sort(sample.strengths[sample.active]) - 360) // 4
    np.testing.assert_array_equal(runs, np.repeat(np.arange(10), 2))


@pytest.mark.parametrize("n_texts", [21, 29, 33, 39])
def test_an_uneven_number_is_spread_as_evenly_as_can_be(n_texts: int) -> None:
    sample = drawn(STRENGTHS, n_texts)
    runs = (sample.strengths[sample.active].astype(np.int64) - 360) // 4
    counts = np.bincount(runs, minlength=10)
    assert counts.sum() == n_texts
    assert counts.max() - counts.min() == 1


def test_all_active_texts_are_taken_where_there_are_no_more() -> None:
    sample = drawn(STRENGTHS, n_texts=50)
    assert sample.active.sum() == 40
    assert (~sample.active).sum() == 40


def test_hard_texts_are_nearest_inactive_neighbours_of_active_ones() -> None:
    sample = drawn(STRENGTHS)
    assert sample.hard.sum() == 10
    assert not (sample.hard & sample.active).any()
    every = vectors()
    (inactive,) = np.nonzero(STRENGTHS < 201)
    near = every[sample.rows[sample.active]] @ every[inactive].T
    # Each is the nearest of some active text, or the next nearest where that one was taken.
    ranked = inactive[np.argsort(-near, axis=1)][:, : sample.hard.sum()]
    assert set(sample.rows[sample.hard].tolist()) <= set(ranked.ravel().tolist())
    random = sample.rows[~sample.hard & ~sample.active]
    assert near.max(axis=0)[np.isin(inactive, sample.rows[sample.hard])].mean() > (
        near.max(axis=0)[np.isin(inactive, random)].mean()
    )


def test_only_rows_of_the_split_are_drawn() -> None:
    own = np.arange(0, N, 2)
    assert set(drawn(STRENGTHS, 10, rows=own).rows.tolist()) <= set(own.tolist())


def test_the_order_tells_nothing_and_is_decided_by_the_seed() -> None:
    one, other, again = (drawn(STRENGTHS, seed=seed) for seed in (0, 1, 0))
    np.testing.assert_array_equal(one.rows, again.rows)
    np.testing.assert_array_equal(one.active, again.active)
    assert one.active.tolist() != other.active.tolist()
    assert 0 < one.active[:20].sum() < 20


def test_too_few_texts_are_told() -> None:
    assert draw_texts(
        STRENGTHS,
        BOUNDS,
        np.arange(N),
        vectors(),
        50,
        Needed(41, Split.VALIDATION),
        np.random.default_rng(0),
    ) == Shortfall("fewer_than_41_validation_texts")


def test_a_unit_that_rests_at_one_value_is_not_active_there() -> None:
    """Nine in ten strengths are equal, so that quantile and median are."""
    strengths = np.zeros(N)
    strengths[:20] = 1.0
    bounds = activity_bounds(strengths, 0.1)
    assert bounds == ActivityBounds(0.0, 0.0)
    found = draw_texts(
        strengths,
        bounds,
        np.arange(N),
        vectors(),
        20,
        Needed(5, Split.TEST),
        np.random.default_rng(0),
    )
    assert isinstance(found, Shortfall)
