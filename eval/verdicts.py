"""Does a figure clear its controls? Said of single figures and of each facet's headline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from eval.facets import (
    MINIMUM_NEURONS,
    CutoffFigures,
    FacetPopulation,
    leading_populations,
)
from eval.records import Figure

_METRIC_WORDS = {
    "P": "precision",
    "R": "recall",
    "R_ceiling": "reachable recall",
    "gold_labels": "gold labels per neuron",
    "judged_labels": "labels judged",
    "described": "neurons described",
    "coverage": "neurons described",
    "Success": "success",
    "MAP": "mean average precision",
    "Spearman": "rank correlation",
    "named_descriptors": "descriptors that say their label",
    "labels_with_a_descriptor": "labels with a descriptor",
    "AURC": "area under the risk-coverage curve",
    "AURC_perfect": "smallest area under the risk-coverage curve",
    "prediction_share": "share of predictions",
    "prediction_precision": "precision of predictions",
}
_UNCUT_METRICS = {
    "gold_labels",
    "judged_labels",
    "described",
    "coverage",
    "prediction_share",
    "prediction_precision",
}


_LOWER_IS_BETTER = {"AURC"}


class Standing(StrEnum):
    """How a headline figure compares with its null and baseline."""

    CLEARS = "clears its controls"
    FAILS = "does not clear its controls"
    TOO_FEW = "too few neurons to judge"
    UNDECIDED = "cannot be compared with controls"


_WORST_FIRST = (Standing.TOO_FEW, Standing.FAILS, Standing.UNDECIDED, Standing.CLEARS)


@dataclass(frozen=True, slots=True)
class Headline:
    """A figure of the front page with its standing and the reason in words."""

    figure: Figure
    standing: Standing
    reason: str

    @property
    def name(self) -> str:
        """The figure in words, for example `precision@2`."""
        return figure_name(self.figure)


@dataclass(frozen=True, slots=True)
class FacetVerdict:
    """Precision and recall of a facet's headline, judged together: the worse one counts."""

    population: FacetPopulation
    figures: CutoffFigures
    precision: Headline
    recall: Headline

    @property
    def decisive(self) -> Headline:
        """The headline with the worse standing, precision among equals."""
        return min(
            (self.precision, self.recall), key=lambda each: _WORST_FIRST.index(each.standing)
        )

    @property
    def standing(self) -> Standing:
        """Cleared only if both are."""
        return self.decisive.standing

    @property
    def narrower(self) -> Figure | None:
        """Precision that counts narrower descriptors, where that clears its controls."""
        contained = self.figures.precision.contained
        if contained is None or judge(contained).standing is not Standing.CLEARS:
            return None
        return contained


def judge(figure: Figure) -> Headline:
    """Say whether a figure's interval lies wholly above its null and its baseline.

    Below them where a lower number is the better one, as for the area under a risk-coverage curve.
    A figure without a value, an interval or any control is undecided, and one over fewer than
    `MINIMUM_NEURONS` neurons is not judged; neither is ever passed.
    """
    name = figure_name(figure)
    if figure.value is None:
        return Headline(figure, Standing.UNDECIDED, f"{name} is undefined here (n = {figure.n}).")
    if figure.n < MINIMUM_NEURONS:
        reason = f"{name} averages over {figure.n} neurons, fewer than {MINIMUM_NEURONS}."
        return Headline(figure, Standing.TOO_FEW, reason)
    controls = {"null": figure.null, "baseline": figure.baseline}
    known = {label: value for label, value in controls.items() if value is not None}
    lower = figure.metric in _LOWER_IS_BETTER
    near_end = figure.ci_high if lower else figure.ci_low
    if near_end is None or not known:
        lacking = "no interval" if near_end is None else "neither null nor baseline"
        return Headline(figure, Standing.UNDECIDED, f"{name} has {lacking}.")
    missed = [
        label
        for label, value in known.items()
        if not (near_end < value if lower else near_end > value)
    ]
    compared = " and ".join(f"{label} {known[label]:.2f}" for label in missed or known)
    end, side = ("ends", "below") if lower else ("starts", "above")
    found = f"The interval of {name} {end} at {near_end:.2f}"
    if missed:
        return Headline(figure, Standing.FAILS, f"{found}, not {side} {compared}.")
    return Headline(figure, Standing.CLEARS, f"{found}, {side} {compared}.")


def judge_population(population: FacetPopulation) -> FacetVerdict | None:
    """The verdict on a facet and site, None where it has no headline."""
    headline = population.headline
    if headline is None:
        return None
    precision, recall = judge(headline.precision.figure), judge(headline.recall.figure)
    return FacetVerdict(population, headline, precision, recall)


def judge_facets(figures: Iterable[Figure]) -> tuple[FacetVerdict, ...]:
    """The verdict on each facet and site that has a headline, negative tails aside.

    Those that rest on too few neurons come last.
    """
    verdicts = [
        verdict
        for population in leading_populations(figures)
        if (verdict := judge_population(population)) is not None
    ]
    return tuple(sorted(verdicts, key=lambda each: each.standing is Standing.TOO_FEW))


def headline_figures(figures: Iterable[Figure]) -> tuple[Figure, ...]:
    """Precision and recall of label recovery to lead with, of every facet and site that has any.

    At tau 0.9 and k = 2, or where no neuron qualifies there, at tau 0.8 and k = 1; see
    `eval.facets`.
    """
    return tuple(
        compared.figure
        for population in leading_populations(figures)
        if (headline := population.headline) is not None
        for compared in (headline.precision, headline.recall)
    )


def figure_name(figure: Figure) -> str:
    """A figure's metric in words with its cutoff, for example `recall@5`."""
    words = _METRIC_WORDS.get(figure.metric, figure.metric.replace("_", " "))
    if figure.k is None or figure.metric in _UNCUT_METRICS:
        return words
    return f"{words}@{figure.k}"
