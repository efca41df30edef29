import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.intervals import (
    Interval,
    bootstrap_interval,
    ratio_interval,
)


def _scores(
    n_members: int, n_others: int, shift: float, seed: int, decimals: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    members = np.zeros(n_members + n_others, dtype=np.bool_)
    members[generator.permutation(members.size)[:n_members]] = True
    activations = generator.normal(size=members.size) + shift * members
    if decimals is not None:
        activations = activations.round(decimals)
    return activations.astype(np.float32), members


def _plain_bootstrap_aurocs(
    activations: np.ndarray, members: np.ndarray, n_resamples: int, seed: int
) -> np.ndarray:
    generator = np.random.default_rng(seed)
    wins = _wins(activations, members)
    n_members, n_others = wins.shape
    return np.array(
        [
            wins[generator.integers(n_members, size=n_members)][
                :, generator.integers(n_others, size=n_others)
            ].mean()
            for _ in range(n_resamples)
        ]
    )


def _wins(activations: np.ndarray, members: np.ndarray) -> np.ndarray:
    """1, or one half for a tie, for every pair of a member and a non-member."""
    inside, outside = activations[members][:, None], activations[~members][None, :]
    return (inside > outside) + 0.5 * (inside == outside)


def _brute_force_standard_error(activations: np.ndarray, members: np.ndarray) -> float:
    wins = _wins(activations, members)
    by_member, by_other = wins.mean(axis=1), wins.mean(axis=0)
    return float(
        np.sqrt(by_member.var(ddof=1) / by_member.size + by_other.var(ddof=1) / by_other.size)
    )


def test_mean_interval_is_the_normal_one_for_many_units() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, size=2000)
    interval = bootstrap_interval(values, seed=1, n_resamples=4000)
    assert interval is not None
    reach = 1.96 * values.std() / np.sqrt(2000)
    assert interval.low == pytest.approx(values.mean() - reach, abs=0.01)
    assert interval.high == pytest.approx(values.mean() + reach, abs=0.01)


def test_few_distinct_values_give_the_binomial_interval() -> None:
    from scipy.stats import binom

    values = np.r_[np.ones(30), np.zeros(70)]
    interval = bootstrap_interval(values, seed=1, n_resamples=20000)
    assert interval is not None
    assert interval.low == pytest.approx(binom.ppf(0.025, 100, 0.3) / 100, abs=0.0101)
    assert interval.high == pytest.approx(binom.ppf(0.975, 100, 0.3) / 100, abs=0.0101)


def test_both_ways_of_drawing_agree() -> None:
    values = np.random.default_rng(4).integers(0, 4, size=400) / 3.0

    def plain_mean(units: np.ndarray, axis: int) -> np.ndarray:
        return units.mean(axis=axis)

    counted = bootstrap_interval(values, seed=5, n_resamples=8000)
    drawn = bootstrap_interval(values, plain_mean, seed=5, n_resamples=8000)
    assert counted is not None
    assert drawn is not None
    assert counted.low == pytest.approx(drawn.low, abs=0.004)
    assert counted.high == pytest.approx(drawn.high, abs=0.004)


def test_other_statistics() -> None:
    values = np.r_[np.zeros(40), np.full(60, 9.0)]
    interval = bootstrap_interval(values, np.median, seed=0, level=0.5)
    assert interval == Interval(9.0, 9.0)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30), st.integers(0, 1000))
@settings(max_examples=50)
def test_order_does_not_matter_and_bounds_hold(values: list[float], seed: int) -> None:
    interval = bootstrap_interval(np.array(values), seed=seed, n_resamples=50)
    assert interval == bootstrap_interval(np.array(values[::-1]), seed=seed, n_resamples=50)
    assert interval is not None
    assert min(values) - 1e-9 <= interval.low <= interval.high <= max(values) + 1e-9


def test_small_and_bad_inputs() -> None:
    assert bootstrap_interval(np.array([0.5]), seed=0) is None
    with pytest.raises(ValueError, match="n_units >= 1"):
        bootstrap_interval(np.array([]), seed=0)
    with pytest.raises(ValueError, match="n_units"):
        bootstrap_interval(np.ones((2, 2)), seed=0)
    with pytest.raises(ValueError, match="NaN"):
        bootstrap_interval(np.array([0.5, np.nan]), seed=0)
    with pytest.raises(ValueError, match="level is 1"):
        bootstrap_interval(np.ones(3), seed=0, level=1.0)
    with pytest.raises(ValueError, match="n_resamples is 0"):
        bootstrap_interval(np.ones(3), seed=0, n_resamples=0)


def test_ratio_of_units_of_one_is_the_mean() -> None:
    hits = np.random.default_rng(0).integers(0, 2, size=500)
    ratio = ratio_interval(hits, np.ones_like(hits), seed=3, n_resamples=4000)
    mean = bootstrap_interval(hits, seed=4, n_resamples=4000)
    assert ratio is not None
    assert mean is not None
    assert ratio.low == pytest.approx(mean.low, abs=0.01)
    assert ratio.high == pytest.approx(mean.high, abs=0.01)


def test_ratio_interval_keeps_units_whole_and_forgets_their_order() -> None:
    """Two predictions that always go together say no more than one."""
    hits = np.random.default_rng(0).integers(0, 2, size=300)
    single = ratio_interval(hits, np.ones_like(hits), seed=3)
    paired = ratio_interval(2 * hits, np.full_like(hits, 2), seed=3)
    assert single == paired
    assert single == ratio_interval(hits[::-1], np.ones_like(hits), seed=3)


def test_ratio_interval_of_bad_units() -> None:
    one = np.array([1])
    assert ratio_interval(one, one, seed=0) is None
    with pytest.raises(ValueError, match="whole below 1"):
        ratio_interval(np.array([0, 1]), np.array([0, 1]), seed=0)
    for parts in (np.array([], dtype=np.int64), np.array([1, 2, 3])):
        with pytest.raises(ValueError, match="expected"):
            ratio_interval(parts, np.array([1, 2])[: parts.size], seed=0)
