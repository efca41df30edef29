"""Label recovery facet by facet: figures that belong side by side, and which of them lead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from eval.label_recovery import JUDGED_LABELS, PROTOCOL
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
"""Led with where too few neurons reach `HEADLINE`."""

MINIMUM_NEURONS = 30
"""A headline over fewer neurons is too uncertain to be called a success or a failure."""

_OF_NEURONS = frozenset(
    {
        Reading.HEADLINE,
        Reading.DESCRIBED,
        Reading.CONTAINED,
        Reading.NAMED,
        Reading.RANDOM_DESCRIPTORS,
        Reading.UPPER_BOUND,
        Reading.EVERY_NEURON,
    }
)
"""Readings whose figures average over neurons and lie side by side."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Precision or recall, and what the same neurons get for other rankings or readings."""

    figure: Figure
    contained: Figure | None
    random_descriptors: Figure | None
    upper_bound: Figure | None
    named: Figure | None = None


@dataclass(frozen=True, slots=True)
class CutoffFigures:
    """The figures of one population at one cutoff; `success` and `ndcg` of the headline only."""

    cutoff: Cutoff
    precision: Compared
    recall: Compared
    ceiling: Figure | None
    success: Figure | None = None
    ndcg: Figure | None = None

    @property
    def n(self) -> int:
        """How many neurons the figures average over."""
        return self.precision.figure.n


@dataclass(frozen=True, slots=True)
class FacetPopulation:
    """What label recovery found for one facet on one tail of one site's neurons.

    `labels` counts the labels that could be judged, of all there are (its `n`). `cutoffs` holds
    those that some neuron reaches. `facet` and `site` are empty, `tail` is None, where there is
    one kind only. `layer` is None but in `layer_populations`.
    """

    facet: str
    site: str
    tail: Tail | None
    labels: Figure | None
    cutoffs: tuple[CutoffFigures, ...]
    layer: int | None = None

    @property
    def headline(self) -> CutoffFigures | None:
        """The figures to lead with: at `HEADLINE`, or at `FALLBACK` where only there enough count.

        Enough are `MINIMUM_NEURONS`. None where no neuron reaches either.
        """
        found = {each.cutoff: each for each in self.cutoffs}
        strong, weak = found.get(HEADLINE), found.get(FALLBACK)
        if strong is None or weak is None:
            return strong or weak
        return weak if strong.n < MINIMUM_NEURONS <= weak.n else strong

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
            n_strong = sum(each.n for each in self.cutoffs if each.cutoff == HEADLINE)
            carry = (
                f"Only {n_strong} neurons carry"
                if n_strong > 1
                else ("Only one neuron carries" if n_strong else "No neuron carries")
            )
            return (
                f"{carry} {HEADLINE.k} labels of this facet with an AUROC of {HEADLINE.tau:g} or "
                f"more; shown are those that carry at least {FALLBACK.k} with {FALLBACK.tau:g} or "
                "more."
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
    All layers of a site are taken together, see `layer_populations` for single ones. What single
    proposers contributed is in `eval.proposer_shares`.

    Raises:
        ValueError: two figures differ in nothing but their numbers.
    """
    kept = tuple(figures)
    labels = _judged_labels(kept)
    found = _populations(kept, labels, single_layers=False)
    silent = [facet for facet in labels if facet not in {each.facet for each in found}]
    return (
        *found,
        *(FacetPopulation(facet, "", None, labels[facet], ()) for facet in silent),
    )


def layer_populations(figures: Iterable[Figure]) -> tuple[FacetPopulation, ...]:
    """The same layer by layer, where label recovery has told layers apart.

    Only precision, recall and their upper bounds are told of single layers.

    Raises:
        ValueError: two figures differ in nothing but their numbers.
    """
    kept = tuple(figures)
    return _populations(kept, _judged_labels(kept), single_layers=True)


def _judged_labels(figures: Iterable[Figure]) -> dict[str, Figure]:
    return {
        figure.facet: figure
        for figure in figures
        if figure.protocol == PROTOCOL
        and figure.metric == JUDGED_LABELS
        and Variant.parse(figure.variant).reading == Reading.EVERY_LABEL
    }


def _populations(
    figures: Iterable[Figure], labels: dict[str, Figure], *, single_layers: bool
) -> tuple[FacetPopulation, ...]:
    found: dict[tuple[str, str, Tail | None, int | None], dict[_Place, Figure]] = {}
    for figure in figures:
        variant = Variant.parse(figure.variant)
        if (
            figure.protocol != PROTOCOL
            or variant.reading not in _OF_NEURONS
            or variant.proposer
            or (variant.layer is not None) != single_layers
        ):
            continue
        key = (figure.facet, variant.site, variant.tail, variant.layer)
        place = _Place(variant.reading, figure.metric, variant.tau, figure.k)
        group = found.setdefault(key, {})
        if place in group:
            raise ValueError(f"{figure.variant!r} has {figure.metric} twice for k={figure.k}")
        group[place] = figure
    return tuple(
        FacetPopulation(facet, site, tail, labels.get(facet), _cutoffs(own), layer)
        for (facet, site, tail, layer), own in found.items()
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

        def beside(metric: str, own: _Place = place) -> Figure | None:
            return figures.get(replace(own, metric=metric))

        recall = beside("R")
        if place.tau is None or place.k is None or recall is None:
            continue
        cutoffs.append(
            CutoffFigures(
                Cutoff(place.tau, place.k),
                _compared(precision, place, figures),
                _compared(recall, place, figures),
                ceiling=beside("R_ceiling"),
                success=beside("Success"),
                ndcg=beside("nDCG"),
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
        read(Reading.NAMED),
    )
