"""Percentile bootstrap intervals over units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import DoubleArray, IntArray

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


def ratio_interval(
    parts: IntArray,
    wholes: IntArray,
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int,
) -> Interval | None:
    """Percentile bootstrap interval of `sum(parts) / sum(wholes)` over units (`n_units`).

    Units are drawn whole, so what belongs to one unit stays together. The order of the units does
    not matter. A single unit says nothing about spread: no interval.

    Raises:
        ValueError: no units, shapes differ, a whole below 1, or a bad level or number of resamples.
    """
    _check_options(n_resamples, level)
    if parts.ndim != 1 or parts.shape != wholes.shape or parts.size == 0:
        raise ValueError(f"parts have shape {parts.shape} and wholes {wholes.shape}, expected (n,)")
    if (wholes < 1).any():
        raise ValueError("a unit has a whole below 1; leave it out first")
    if parts.size == 1:
        return None
    generator = np.random.default_rng(seed)
    distinct, counts = np.unique(np.stack([parts, wholes]), axis=1, return_counts=True)
    drawn = generator.multinomial(parts.size, counts / parts.size, size=n_resamples)
    sums = drawn @ distinct.T
    return _percentiles(np.asarray(sums[:, 0] / sums[:, 1], dtype=np.float64), level)


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


def _percentiles(estimates: DoubleArray, level: float) -> Interval:
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(estimates, [tail, 1.0 - tail])
    return Interval(float(low), float(high))
