"""Means over the neurons for which a quantity is defined."""

from __future__ import annotations

import numpy as np

from eval.mean_figures import mean_figure
from eval.records import Figure
from indexer.arrays import DoubleArray


def defined_mean(
    protocol: str,
    variant: str,
    metric: str,
    values: DoubleArray,
    *,
    seed: int,
    null: DoubleArray | None = None,
    baseline: DoubleArray | None = None,
    k: int | None = None,
    split: str = "test",
) -> Figure:
    """The mean of the values that are defined, with its interval; see `eval.mean_figures`.

    Args:
        protocol: see `Figure`.
        variant: see `Figure`.
        metric: see `Figure`.
        values: one value a neuron, NaN where it is undefined (`n_neurons`).
        seed: of the bootstrap.
        null: the same where nothing is to be found (`n_neurons`), those undefined left out.
        baseline: the same for a method that does not look at the neuron, likewise.
        k: see `Figure`.
        split: see `Figure`.
    """
    return mean_figure(
        _defined(values),
        protocol=protocol,
        variant=variant,
        metric=metric,
        k=k,
        split=split,
        null=None if null is None else _defined(null),
        baseline=None if baseline is None else _defined(baseline),
        seed=seed,
    )


def _defined(values: DoubleArray) -> DoubleArray:
    return np.asarray(values[~np.isnan(values)], dtype=np.float64)
