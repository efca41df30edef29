"""Precision and recall over k, facet by facet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eval.facets import (
    FALLBACK,
    HEADLINE,
    MINIMUM_NEURONS,
    Compared,
    CutoffFigures,
    FacetPopulation,
    leading_populations,
)
from eval.plot_canvas import (
    BASELINE,
    NULL,
    UPPER_BOUND,
    VALUE,
    Plot,
    draw,
    legend,
    name_in,
    sample,
    shown_name,
)
from eval.plot_panels import curve, plain_line, share_axis
from eval.plot_words import decimals, interval, joined, left_out, place_name
from eval.records import Figure
from eval.table import TextTable
from eval.variant_words import without_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

MOST_ROWS = 5
_TITLE = "Precision and recall when k descriptors are read for each neuron"
_ABOUT = (
    "Precision: of the first k descriptors of a neuron, the share that name a label it carries. "
    "Recall: of the labels it carries, the share that are named. At each k only neurons with at "
    "least k labels count, so the neurons differ from point to point. The descriptions hold up "
    "where the band lies above the dotted and the dashed line; the true labels, matched in place "
    f"of descriptors, show how much can be hoped for. Points over fewer than {MINIMUM_NEURONS} "
    "neurons are left out."
)


@dataclass(frozen=True, slots=True)
class _Row:
    """The cutoffs of one facet and site at one tau, by k."""

    name: str
    tau: float
    cutoffs: tuple[CutoffFigures, ...]

    def compared(self, metric: str) -> list[tuple[int, Compared]]:
        return [
            (each.cutoff.k, each.precision if metric == "P" else each.recall)
            for each in self.cutoffs
        ]


def cutoff_plot(figures: Iterable[Figure]) -> Plot | None:
    """Label recovery at tau 0.9, or at 0.8 where that gives more points, low tails left out.

    A point needs `MINIMUM_NEURONS`. The facets and sites with the most neurons are shown. None
    without a point.
    """
    rows = _rows(figures)
    if not rows:
        return None
    shown = rows[:MOST_ROWS]
    height = 80 + 165 * len(shown)
    ks = sorted({each.cutoff.k for row in shown for each in row.cutoffs})

    def paint(canvas: Canvas) -> None:
        panels = canvas.subplots(len(shown), 2, squeeze=False, sharey=True, sharex=True)
        for own, row in zip(panels, shown, strict=True):
            for panel, metric, name in zip(own, "PR", ("precision", "recall"), strict=True):
                ending = f", τ = {row.tau:g}: {name}"
                panel.set_title(shown_name(row.name, name_in(2) - len(ending)) + ending)
                _paint_row(panel, row.compared(metric), ks)
                share_axis(panel, "y", f"{name.capitalize()}@k")
        for panel in panels[-1]:
            panel.set_xlabel("k: descriptors read per neuron")
        legend(
            canvas,
            [
                ("our descriptors (band: 95 % interval)", sample(VALUE)),
                ("null: shuffled", sample(NULL)),
                ("baseline: commonest", sample(BASELINE)),
                ("true labels", sample(UPPER_BOUND)),
            ],
        )

    alt = " ".join((f"{_TITLE}.", *(_in_words(row) for row in shown)))
    return Plot(
        name="precision-recall",
        question="How many of the descriptors are right, and how much do they find?",
        title=_TITLE,
        about=_ABOUT + left_out(len(rows) - len(shown), "facets or sites"),
        alt=alt,
        svg=draw(_TITLE, alt, height, paint),
        height=height,
        table=_table(rows),
    )


def _rows(figures: Iterable[Figure]) -> list[_Row]:
    rows = []
    for population in leading_populations(without_curves(figures)):
        by_tau = [_row(population, tau) for tau in (HEADLINE.tau, FALLBACK.tau)]
        rows.append(max(by_tau, key=lambda row: len(row.cutoffs)))
    found = (row for row in rows if row.cutoffs)
    return sorted(found, key=lambda row: -row.cutoffs[0].n)


def _row(population: FacetPopulation, tau: float) -> _Row:
    judged = (
        each for each in population.cutoffs if each.cutoff.tau == tau and each.n >= MINIMUM_NEURONS
    )
    name = place_name(population.facet, population.site)
    return _Row(name, tau, tuple(sorted(judged, key=lambda each: each.cutoff.k)))


def _paint_row(panel: Axes, compared: Sequence[tuple[int, Compared]], ks: Sequence[int]) -> None:
    upper = [(k, each.upper_bound.value) for k, each in compared if each.upper_bound is not None]
    plain_line(panel, upper, UPPER_BOUND)
    plain_line(panel, [(k, each.figure.baseline) for k, each in compared], BASELINE)
    plain_line(panel, [(k, each.figure.null) for k, each in compared], NULL)
    curve(panel, [(k, each.figure) for k, each in compared], VALUE)
    panel.set_xlim(ks[0] - 0.3, ks[-1] + 0.3)
    panel.set_xticks(ks, [str(k) for k in ks])


def _in_words(row: _Row) -> str:
    parts = []
    for metric, name in (("P", "precision"), ("R", "recall")):
        said = ", ".join(
            f"{decimals(each.figure.value)} at k = {k} ({_beside(each)})"
            for k, each in row.compared(metric)
        )
        parts.append(f"{name} {said}")
    return f"{row.name}, AUROC of {row.tau:g} or more: {'; '.join(parts)}."


def _beside(compared: Compared) -> str:
    upper = compared.upper_bound
    known = (
        ("null", compared.figure.null),
        ("baseline", compared.figure.baseline),
        ("true labels", None if upper is None else upper.value),
    )
    said = joined(f"{name} {decimals(value)}" for name, value in known if value is not None)
    return said or "without controls"


def _table(rows: Iterable[_Row]) -> TextTable:
    lines = [
        (
            row.name,
            "precision" if metric == "P" else "recall",
            f"{row.tau:g}",
            str(k),
            interval(each.figure),
            decimals(each.figure.null),
            decimals(each.figure.baseline),
            decimals(None if each.upper_bound is None else each.upper_bound.value),
            f"{each.figure.n:,}",
        )
        for row in rows
        for metric in "PR"
        for k, each in row.compared(metric)
    ]
    header = (
        "Facet", "Figure", "τ", "k", "Value [interval]", "Null", "Baseline", "True labels", "n",
    )  # fmt: skip
    return TextTable("", header, tuple(lines), n_left=2)
