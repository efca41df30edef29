"""Figures that are the mean of a value over units, beside the same mean for null and baseline."""

from __future__ import annotations

import math

from eval.intervals import bootstrap_interval
from eval.records import Figure
from indexer.arrays import DoubleArray


def mean_figure(
    values: DoubleArray,
    *,
    protocol: str,
    variant: str,
    metric: str,
    k: int | None = None,
    split: str = "test",
    facet: str = "",
    null: DoubleArray | None = None,
    baseline: DoubleArray | None = None,
    seed: int,
) -> Figure:
    """The mean of `values` with its bootstrap interval over units (`n_units`).

    Without units the value is None; a single unit has no interval. `null` and `baseline` are
    averaged alike and may be of other units.

    Raises:
        ValueError: a value is not finite.
    """
    interval = bootstrap_interval(values, seed=seed) if values.size else None
    return Figure(
        protocol=protocol,
        variant=variant,
        metric=metric,
        k=k,
        split=split,
        facet=facet,
        value=mean(values),
        ci_low=None if interval is None else interval.low,
        ci_high=None if interval is None else interval.high,
        null=None if null is None else mean(null),
        baseline=None if baseline is None else mean(baseline),
        n=values.size,
    )


def mean(values: DoubleArray) -> float | None:
    """The mean, the same for any order of the values; None without values."""
    return math.fsum(values) / values.size if values.size else None
