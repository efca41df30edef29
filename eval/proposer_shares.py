"""What proposers contributed to each facet's headline, read from the figures of an evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from eval.contributions import PRECISION, SHARE
from eval.facets import Cutoff, FacetPopulation, leading_populations
from eval.records import Figure
from eval.variants import Variant
from neurons.records import Tail


@dataclass(frozen=True, slots=True)
class ProposerShare:
    """How much of the predictions came from a proposer, or several, and how much of it was right.

    `precision` is None where there is no figure for it.
    """

    proposer: str
    share: Figure
    precision: Figure | None


@dataclass(frozen=True, slots=True)
class PopulationShares:
    """The proposers' shares of one facet and site at the cutoff of its headline."""

    population: FacetPopulation
    cutoff: Cutoff
    shares: tuple[ProposerShare, ...]

    @property
    def n(self) -> int:
        """How many predictions there are."""
        return self.shares[0].share.n


def proposer_shares(figures: Iterable[Figure]) -> tuple[PopulationShares, ...]:
    """Shares wherever a headline has any, negative tails aside, in order of appearance."""
    figures = tuple(figures)
    found: dict[_Place, dict[tuple[str, str], Figure]] = {}
    for figure in figures:
        variant = Variant.parse(figure.variant)
        if variant.proposer and figure.n:
            place = _Place(figure.facet, variant.site, variant.tail, variant.tau, figure.k)
            found.setdefault(place, {})[variant.proposer, figure.metric] = figure
    listed = []
    for population in leading_populations(figures):
        if population.headline is None:
            continue
        cutoff = population.headline.cutoff
        place = _Place(population.facet, population.site, population.tail, cutoff.tau, cutoff.k)
        own = found.get(place, {})
        shares = tuple(
            ProposerShare(name, figure, own.get((name, PRECISION)))
            for (name, metric), figure in own.items()
            if metric == SHARE
        )
        if shares:
            listed.append(PopulationShares(population, cutoff, shares))
    return tuple(listed)


class _Place(NamedTuple):
    facet: str
    site: str
    tail: Tail | None
    tau: float | None
    k: int | None
