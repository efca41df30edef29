"""How well the best descriptor fits each tail, in the run and under its nulls, on disk.

The report draws from it what a figure cannot hold: the distributions side by side, and how often q
values below a level occur where there is nothing to find.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from indexer.arrays import DoubleArray
from indexer.errors import RunError
from indexer.records import Record
from indexer.storage import read_json, write_json
from neurons.records import Site, Tail

DISTRIBUTIONS_FILE = "null_distributions.json"
OBSERVED = "observed"
"""Names the run itself among its nulls."""

N_BINS = 100


class StatisticHistogram(Record):
    """Tails of a site by the statistic of the descriptor that fits them best.

    `control` is a null, or `OBSERVED` for the run. Bin i counts the values from i / 100 up to
    (i + 1) / 100; values below 0 are in the first bin.
    """

    control: str
    site: Site
    tail: Tail
    counts: tuple[int, ...] = Field(min_length=N_BINS, max_length=N_BINS)


class Calibration(Record):
    """The share of all (neuron, tail, descriptor) with a q value of each level or below it."""

    control: str
    levels: tuple[float, ...]
    shares: tuple[float, ...]

    @model_validator(mode="after")
    def _one_share_a_level(self) -> Self:
        if len(self.levels) != len(self.shares):
            raise ValueError(f"{len(self.levels)} levels and {len(self.shares)} shares")
        return self


class NullDistributions(Record):
    """The content of `null_distributions.json`; `reason` says why it is empty."""

    reason: str = ""
    histograms: tuple[StatisticHistogram, ...] = ()
    calibrations: tuple[Calibration, ...] = ()


def statistic_counts(statistics: DoubleArray) -> tuple[int, ...]:
    """How many values fall into each bin of a `StatisticHistogram`; any shape, at most 1."""
    bins = np.clip(np.floor(statistics.ravel() * N_BINS), 0, N_BINS - 1).astype(np.int64)
    return tuple(np.bincount(bins, minlength=N_BINS).tolist())


def histograms_of(
    control: str, statistics: DoubleArray, sites: Sequence[Site], tails: Sequence[Tail]
) -> tuple[StatisticHistogram, ...]:
    """A histogram of each site and tail; `statistics` is `n_neurons, n_tails`, sites `n_neurons`.

    Sites come in alphabetical order.
    """
    names = np.array([site.value for site in sites])
    return tuple(
        StatisticHistogram(
            control=control,
            site=Site(site),
            tail=tail,
            counts=statistic_counts(statistics[names == site, column]),
        )
        for site in sorted(set(names.tolist()))
        for column, tail in enumerate(tails)
    )


def write_distributions(run: Path, distributions: NullDistributions) -> Path:
    """Write the file of the run directory `run`; returns its path.

    Raises:
        RunError: the file cannot be written.
    """
    path = run / DISTRIBUTIONS_FILE
    write_json(path, distributions.model_dump(mode="json"))
    return path


def read_distributions(run: Path) -> NullDistributions:
    """Read the file of the run directory `run`.

    Raises:
        RunError: the file is missing or damaged.
    """
    path = run / DISTRIBUTIONS_FILE
    try:
        return NullDistributions.model_validate(read_json(path))
    except ValidationError as error:
        raise RunError(
            f"{path} is damaged ({error.error_count()} fields do not fit); evaluate the run again "
            "to rewrite it"
        ) from error
