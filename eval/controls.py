"""Nulls as first-class runs: where there is nothing to find, next to nothing may be described.

A figure's value is what the pipeline says under the null, and its `baseline` what it says of the
run itself. Unlike other figures a good one is small: see `goal` and `holds`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from eval.intervals import bootstrap_interval
from eval.null_distributions import (
    OBSERVED,
    Calibration,
    NullDistributions,
    StatisticHistogram,
    histograms_of,
)
from eval.null_matching import Matched
from eval.null_memberships import NullKind
from eval.records import Figure
from indexer.arrays import DoubleArray, IntArray
from indexer.records import Record
from neurons.matching import TAILS, MatchingSettings, judgeable
from neurons.records import NeuronId
from neurons.split_rows import SplitRows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PROTOCOL = "controls"
MAXIMUM_DESCRIBED = 0.05
"""The share of neurons that may be described where there is nothing to find."""


class ControlSettings(Record):
    """How nulls are drawn and told.

    `repeats` draws of each null are averaged. `levels` are q values: among all pairs of a null, at
    most that share may have so small a q. Fewer than `minimum_neurons` neurons, or described tails,
    make no figure.
    """

    repeats: int = Field(default=1, ge=1)
    levels: tuple[Annotated[float, Field(gt=0.0, lt=1.0)], ...] = Field(
        default=(0.01, 0.05, 0.1, 0.2), min_length=1
    )
    minimum_neurons: int = Field(default=20, ge=2)


def nothing_to_match(membership: csr_matrix, rows: SplitRows, settings: MatchingSettings) -> str:
    """Why no control can be matched, empty where some descriptor can.

    Args:
        membership: sentences of each descriptor (`n_descriptors, n_sentences`).
        rows: rows of each split.
        settings: of the run's matcher.
    """
    if judgeable(membership, rows, settings).any():
        return ""
    return (
        f"none of the {membership.shape[0]} descriptors has enough sentences in every split to be "
        "matched; give more sentences, or lower the minima of matching"
    )


def goal(figure: Figure) -> float | None:
    """The value that a null's figure must not exceed, None for a figure of another kind."""
    words = figure.variant.split()
    if figure.protocol != PROTOCOL or not words or words[0] not in set(NullKind):
        return None
    if figure.metric == "described":
        return MAXIMUM_DESCRIBED
    levels = [float(word[2:]) for word in words if word.startswith("q=")]
    return levels[0] if figure.metric == "false_discovery_share" and levels else None


def holds(figure: Figure) -> bool | None:
    """Whether a null's figure reaches its `goal`, None where there is no goal or no value."""
    bound = goal(figure)
    if bound is None or figure.value is None:
        return None
    return figure.value <= bound


def null_figures(
    observed: Matched,
    nulls: Mapping[NullKind, Matched],
    neurons: Sequence[NeuronId],
    settings: ControlSettings,
    seed: int,
) -> list[Figure]:
    """The share of neurons that each null describes, and of pairs that it calls significant.

    Args:
        observed: the run itself.
        nulls: what its nulls gave.
        neurons: the address of each matched column.
        settings: see `ControlSettings`; `levels` are those that were matched with.
        seed: of the intervals, which are bootstrapped over neurons.

    Raises:
        ValueError: other neurons were matched than are named.
    """
    if len(neurons) != len(observed.either):
        raise ValueError(f"{len(observed.either)} neurons were matched, {len(neurons)} are named")
    if len(neurons) < settings.minimum_neurons:
        reason = (
            f"the run has {len(neurons)} neurons, expected {settings.minimum_neurons} or more; "
            "read more sites or a larger model"
        )
        return [Figure.refused(PROTOCOL, reason, variant=kind, n=len(neurons)) for kind in nulls]
    figures = []
    for kind, null in nulls.items():
        for place in _places(neurons):
            figures.append(
                _figure(
                    f"{kind} {place.words}".rstrip(),
                    "described",
                    "validation",
                    place.of(null),
                    place.of(observed),
                    seed,
                )
            )
        for number, level in enumerate(settings.levels):
            figures.append(
                _figure(
                    f"{kind} q={level:g}",
                    "false_discovery_share",
                    "discover",
                    null.discovered[number],
                    observed.discovered[number],
                    seed,
                )
            )
    return figures


def null_distributions(
    observed: Matched,
    nulls: Mapping[NullKind, Matched],
    neurons: Sequence[NeuronId],
    levels: tuple[float, ...],
) -> NullDistributions:
    """What the report draws of the run and its nulls; constant neurons are left out."""
    histograms: list[StatisticHistogram] = []
    calibrations = []
    for control, matched in ((OBSERVED, observed), *nulls.items()):
        statistic = matched.best.statistic
        repeats = len(statistic) // len(neurons)
        varying = np.tile(matched.varying, repeats)
        sites = [neuron.site for neuron in neurons] * repeats
        kept = [site for site, varies in zip(sites, varying, strict=True) if varies]
        histograms += histograms_of(str(control), statistic[varying], kept, TAILS)
        shares = tuple(math.fsum(share) / share.size for share in matched.discovered)
        calibrations.append(Calibration(control=str(control), levels=levels, shares=shares))
    return NullDistributions(histograms=tuple(histograms), calibrations=tuple(calibrations))


@dataclass(frozen=True)
class _Place:
    """Neurons that a figure averages over, by one tail or either."""

    words: str
    neurons: IntArray
    tail: int | None

    def of(self, matched: Matched) -> DoubleArray:
        """Whether each of the neurons is described, averaged over draws (`n_neurons`)."""
        shares = matched.either if self.tail is None else matched.described[:, self.tail]
        return shares[self.neurons]


def _places(neurons: Sequence[NeuronId]) -> Iterator[_Place]:
    yield _Place("", np.arange(len(neurons)), None)
    names = np.array([neuron.site.value for neuron in neurons])
    for site in sorted(set(names.tolist())):
        own = np.flatnonzero(names == site)
        yield _Place(f"site={site}", own, None)
        for number, tail in enumerate(TAILS):
            yield _Place(f"tail={tail} site={site}", own, number)


def _figure(
    variant: str, metric: str, split: str, values: DoubleArray, baseline: DoubleArray, seed: int
) -> Figure:
    interval = bootstrap_interval(values, seed=seed)
    return Figure(
        protocol=PROTOCOL,
        variant=variant,
        metric=metric,
        split=split,
        value=math.fsum(values) / values.size,
        ci_low=None if interval is None else interval.low,
        ci_high=None if interval is None else interval.high,
        baseline=math.fsum(baseline) / baseline.size,
        n=values.size,
    )
