"""Label recovery facet by facet: figures that belong side by side, and which of them lead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from eval.label_recovery import PROTOCOL
from eval.records import Figure
from eval.variants import Reading, Variant
from neurons.records import Tail


@dataclass(frozen=True, slots=True)
class Cutoff:
    """The neurons with at least `k` labels of AUROC `tau` or more, judged on k descriptors."""

    tau: float
    k: int


HEADLINE = Cutoff(0.9, 2)
FALLBACK = Cutoff(0.8, 1)
"""Led with where no neuron reaches `HEADLINE`."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Precision or recall, and what the same neurons get for other rankings or readings."""

    figure: Figure
    contained: Figure | None
    random_descriptors: Figure | None
    upper_bound: Figure | None


@dataclass(frozen=True, slots=True)
class CutoffFigures:
    """The figures of one population at one cutoff."""

    cutoff: Cutoff
    precision: Compared
    recall: Compared
    ceiling: Figure | None

    @property
    def n(self) -> int:
        """How many neurons the figures average over."""
        return self.precision.figure.n


@dataclass(frozen=True, slots=True)
class FacetPopulation:
    """What label recovery found for one facet on one tail of one site's neurons.

    `labels` counts the labels that could be judged, of all there are (its `n`). `cutoffs` holds
    those that some neuron reaches. `facet` and `site` are empty, `tail` is None, where there is
    one kind only.
    """

    facet: str
    site: str
    tail: Tail | None
    labels: Figure | None
    cutoffs: tuple[CutoffFigures, ...]

    @property
    def headline(self) -> CutoffFigures | None:
        """The figures to lead with, at `HEADLINE` or else `FALLBACK`; None where neither is."""
        found = {each.cutoff: each for each in self.cutoffs}
        return found.get(HEADLINE, found.get(FALLBACK))

    @property
    def shown_facet(self) -> str:
        """The facet, or what stands for it where there is one kind of labels only."""
        return self.facet or "labels"

    @property
    def note(self) -> str:
        """What a reader of the headline must be told, empty where nothing."""
        headline = self.headline
        if headline is not None and headline.cutoff == HEADLINE:
            return ""
        if headline is not None:
            return (
                f"No neuron carries {HEADLINE.k} labels of this facet with an AUROC of "
                f"{HEADLINE.tau:g} or more; shown are those that carry at least {FALLBACK.k} with "
                f"{FALLBACK.tau:g} or more."
            )
        if self.labels is not None and self.labels.value == 0:
            return f"None of its {self.labels.n} labels has enough sentences to be judged."
        return (
            "No neuron carries a label of this facet this strongly "
            f"(AUROC of {FALLBACK.tau:g} or more)."
        )


def facet_populations(figures: Iterable[Figure]) -> tuple[FacetPopulation, ...]:
    """Every facet, site and tail that label recovery judged, in order of appearance.

    A facet without a label that could be judged has one population without a site and a tail.
    What single proposers contributed is in `eval.proposer_shares`.

    Raises:
        ValueError: two figures differ in nothing but their numbers.
    """
    labels: dict[str, Figure] = {}
    found: dict[tuple[str, str, Tail | None], dict[_Place, Figure]] = {}
    for figure in figures:
        if figure.protocol != PROTOCOL:
            continue
        variant = Variant.parse(figure.variant)
        if variant.reading == Reading.EVERY_LABEL:
            labels[figure.facet] = figure
            continue
        if variant.proposer:
            continue
        group = found.setdefault((figure.facet, variant.site, variant.tail), {})
        place = _Place(variant.reading, figure.metric, variant.tau, figure.k)
        if place in group:
            raise ValueError(f"{figure.variant!r} has {figure.metric} twice for k={figure.k}")
        group[place] = figure
    silent = {facet for facet in labels if facet not in {key[0] for key in found}}
    return (
        *(FacetPopulation(*key, labels.get(key[0]), _cutoffs(own)) for key, own in found.items()),
        *(
            FacetPopulation(facet, "", None, labels[facet], ())
            for facet in labels
            if facet in silent
        ),
    )


def leading_populations(figures: Iterable[Figure]) -> tuple[FacetPopulation, ...]:
    """The populations whose headlines count: all but negative tails."""
    return tuple(
        population
        for population in facet_populations(figures)
        if population.tail is not Tail.NEGATIVE
    )


@dataclass(frozen=True, slots=True)
class SharedNote:
    """A note, and the facets with their sites that it holds for: `theme (ffn, hidden)`."""

    facets: tuple[str, ...]
    note: str


def shared_notes(populations: Iterable[FacetPopulation]) -> tuple[SharedNote, ...]:
    """The notes of populations that have one, each note once."""
    notes: dict[str, dict[str, list[str]]] = {}
    for each in populations:
        if each.note:
            sites = notes.setdefault(each.note, {}).setdefault(each.shown_facet, [])
            sites += [each.site] if each.site else []
    return tuple(
        SharedNote(
            tuple(
                f"{facet} ({', '.join(sites)})" if sites else facet for facet, sites in own.items()
            ),
            note,
        )
        for note, own in notes.items()
    )


@dataclass(frozen=True, slots=True)
class _Place:
    reading: str
    metric: str
    tau: float | None
    k: int | None


def _cutoffs(figures: dict[_Place, Figure]) -> tuple[CutoffFigures, ...]:
    cutoffs = []
    for place, precision in figures.items():
        if (place.reading, place.metric) != (Reading.HEADLINE, "P") or precision.n == 0:
            continue
        recall = figures.get(_Place(Reading.HEADLINE, "R", place.tau, place.k))
        if place.tau is None or place.k is None or recall is None:
            continue
        cutoffs.append(
            CutoffFigures(
                Cutoff(place.tau, place.k),
                _compared(precision, place, figures),
                _compared(recall, place, figures),
                figures.get(_Place(Reading.HEADLINE, "R_ceiling", place.tau, place.k)),
            )
        )
    return tuple(sorted(cutoffs, key=lambda each: (-each.cutoff.tau, each.cutoff.k)))


def _compared(figure: Figure, place: _Place, figures: dict[_Place, Figure]) -> Compared:
    def read(reading: Reading) -> Figure | None:
        return figures.get(_Place(reading, figure.metric, place.tau, place.k))

    return Compared(
        figure,
        read(Reading.CONTAINED),
        read(Reading.RANDOM_DESCRIPTORS),
        read(Reading.UPPER_BOUND),
    )
