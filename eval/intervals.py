"""Intervals: percentile bootstrap over units; bootstrap and DeLong intervals of one AUROC."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import BoolArray, DoubleArray, IntArray

RealArray = NDArray[np.floating[Any]]
Statistic = Callable[..., Any]

_CELLS_AT_ONCE = 4_000_000
_UNITS_PER_DISTINCT_VALUE = 8


@dataclass(frozen=True, slots=True)
class Interval:
    """The two ends of an interval."""

    low: float
    high: float


def bootstrap_interval(
    values: RealArray,
    statistic: Statistic = np.mean,
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int,
) -> Interval | None:
    """Percentile bootstrap interval of a statistic over units, `values` being (`n_units`,).

    The order of the units does not matter. A single unit says nothing about spread: no interval.

    Args:
        values: one value a unit.
        statistic: numpy-like, takes an array and `axis`; must not depend on the order of the units.
        n_resamples: how often the units are drawn anew.
        level: the share of resampled statistics between the two ends.
        seed: fixes the draws.

    Raises:
        ValueError: no values, a value that is not finite, or a bad level or number of resamples.
    """
    _check_options(n_resamples, level)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"values have shape {values.shape}, expected (n_units,) with n_units >= 1")
    if not np.isfinite(values).all():
        raise ValueError("values hold NaN or infinity; leave undefined units out first")
    if values.size == 1:
        return None
    generator = np.random.default_rng(seed)
    distinct, counts = np.unique(values.astype(np.float64), return_counts=True)
    if statistic is np.mean and distinct.size * _UNITS_PER_DISTINCT_VALUE <= values.size:
        # Drawing how often each distinct value occurs is the same experiment, without the units.
        drawn = generator.multinomial(values.size, counts / values.size, size=n_resamples)
        estimates = np.asarray(drawn @ distinct / values.size, dtype=np.float64)
    else:
        units = np.repeat(distinct, counts)
        estimates = _resampled_statistics(units, statistic, n_resamples, generator)
    return _percentiles(estimates, level)


def auroc_interval(
    activations: RealArray,
    members: BoolArray,
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int,
) -> Interval | None:
    """Stratified percentile bootstrap interval of one AUROC, both arrays being (`n_sentences`,).

    Members and non-members are drawn anew, each among themselves. Only where the larger class
    falls between the values of the smaller one matters, so the cost follows the smaller class.
    Undefined with a single member or non-member; of no width when the classes do not overlap,
    where `auroc_analytic_interval` says more.

    Raises:
        ValueError: unequal shapes, activations not finite, no member or no non-member, bad options.
    """
    _check_options(n_resamples, level)
    inside, outside = _classes(activations, members)
    if min(inside.size, outside.size) == 1:
        return None
    small, large = sorted((inside, outside), key=len)
    values, counts = np.unique(small, return_counts=True)
    # Even places lie between two values of the smaller class, odd places on one of them.
    places = np.searchsorted(values, large, "left") + np.searchsorted(values, large, "right")
    shares = _resampled_wins(counts, places, n_resamples, np.random.default_rng(seed))
    return _percentiles(shares if small is inside else 1.0 - shares, level)


def auroc_standard_error(activations: RealArray, members: BoolArray) -> float | None:
    """DeLong's standard error of one AUROC, both arrays being (`n_sentences`,).

    From the placement values of members among non-members and the reverse, ties counting half:
    variance = var(member placements) / n1 + var(non-member placements) / n0 (DeLong, DeLong and
    Clarke-Pearson, Biometrics 44, 1988; from sorted values as in Sun and Xu, IEEE Signal Processing
    Letters 21, 2014). Undefined with a single member or non-member.

    Raises:
        ValueError: unequal shapes, activations not finite, no member or no non-member.
    """
    inside, outside = _classes(activations, members)
    return _standard_error(_placements(inside, outside), _placements(outside, inside))


def auroc_analytic_interval(
    activations: RealArray, members: BoolArray, *, level: float = 0.95
) -> Interval | None:
    """Normal interval of one AUROC on the logit scale with DeLong's standard error.

    At an AUROC of 0 or 1 the standard error is 0 and says nothing. There the interval is the exact
    binomial one of min(n1, n0) trials, which is on the safe side: an AUROC of value a has variance
    at most a (1 - a) / min(n1, n0). Undefined with a single member or non-member.

    Raises:
        ValueError: unequal shapes, activations not finite, no member or no non-member, bad level.
    """
    _check_options(1, level)
    inside, outside = _classes(activations, members)
    placements = _placements(inside, outside)
    error = _standard_error(placements, _placements(outside, inside))
    if error is None:
        return None
    value = float(placements.mean())
    tail = (1.0 - level) / 2.0
    farthest = float(tail ** (1.0 / min(inside.size, outside.size)))
    if value == 1.0:
        return Interval(farthest, 1.0)
    if value == 0.0:
        return Interval(0.0, 1.0 - farthest)
    centre = math.log(value / (1.0 - value))
    reach = NormalDist().inv_cdf(1.0 - tail) * error / (value * (1.0 - value))
    return Interval(_logistic(centre - reach), _logistic(centre + reach))


def _logistic(logit: float) -> float:
    return 0.5 + 0.5 * math.tanh(logit / 2.0)


def _check_options(n_resamples: int, level: float) -> None:
    if n_resamples < 1:
        raise ValueError(f"n_resamples is {n_resamples}, expected 1 or more")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level}, expected a share between 0 and 1")


def _resampled_statistics(
    units: DoubleArray, statistic: Statistic, n_resamples: int, generator: np.random.Generator
) -> DoubleArray:
    rows_at_once = max(1, _CELLS_AT_ONCE // units.size)
    parts = []
    for start in range(0, n_resamples, rows_at_once):
        shape = (min(rows_at_once, n_resamples - start), units.size)
        parts.append(statistic(units[generator.integers(units.size, size=shape)], axis=1))
    return np.concatenate(parts)


def _resampled_wins(
    counts: IntArray, places: IntArray, n_resamples: int, generator: np.random.Generator
) -> DoubleArray:
    """P(smaller class above larger) + P(equal) / 2, in each resample of both classes."""
    occupied, occupancy = np.unique(places, return_counts=True)
    n_small, n_large = int(counts.sum()), places.size
    ties = np.searchsorted(occupied, 2 * np.arange(counts.size) + 1)
    on_value = np.isin(2 * np.arange(counts.size) + 1, occupied)
    rows_at_once = max(1, _CELLS_AT_ONCE // (occupied.size + 2 * counts.size))
    parts = []
    for start in range(0, n_resamples, rows_at_once):
        rows = min(rows_at_once, n_resamples - start)
        small = generator.multinomial(n_small, counts / n_small, size=rows)
        large = generator.multinomial(n_large, occupancy / n_large, size=rows)
        upto = np.concatenate(
            [np.zeros((rows, 1), dtype=np.int64), np.cumsum(large, axis=1)], axis=1
        )
        twice_below = upto[:, ties] + upto[:, ties + on_value]
        parts.append((small * twice_below).sum(axis=1) / (2.0 * n_small * n_large))
    return np.concatenate(parts)


def _percentiles(estimates: DoubleArray, level: float) -> Interval:
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(estimates, [tail, 1.0 - tail])
    return Interval(float(low), float(high))


def _classes(activations: RealArray, members: BoolArray) -> tuple[DoubleArray, DoubleArray]:
    if activations.ndim != 1 or activations.shape != members.shape:
        raise ValueError(
            f"activations have shape {activations.shape} and members {members.shape}, "
            "expected (n_sentences,) for both"
        )
    if members.dtype != np.bool_:
        raise ValueError(f"members have type {members.dtype}, expected a boolean mask")
    values = activations.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("activations hold NaN or infinity")
    inside, outside = values[members], values[~members]
    if inside.size == 0 or outside.size == 0:
        raise ValueError(
            f"found {inside.size} members and {outside.size} non-members; "
            "AUROC needs at least one of each"
        )
    return inside, outside


def _placements(values: DoubleArray, others: DoubleArray) -> DoubleArray:
    """For each value the share of `others` below it, ties counting half."""
    ordered = np.sort(others)
    twice = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(twice / (2.0 * others.size), dtype=np.float64)


def _standard_error(members: DoubleArray, others: DoubleArray) -> float | None:
    if min(members.size, others.size) == 1:
        return None
    variance = members.var(ddof=1) / members.size + others.var(ddof=1) / others.size
    return float(np.sqrt(variance))
