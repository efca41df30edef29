"""The risk-coverage curve: of the neurons that are described, how many are right?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eval.facets import HEADLINE
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
from eval.plot_panels import columns_for, curve, grid, plain_line, share_axis
from eval.plot_words import decimals, interval, left_out, percent, place_name
from eval.records import Figure
from eval.table import TextTable
from eval.variant_words import VariantWords
from eval.variants import Reading

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

MOST_PANELS = 6
_STEPS = 40
_TITLE = "Precision at rank 1 against the share of described neurons that are kept"
_ABOUT = (
    "If only the surest descriptions are kept, are they right more often? The neurons are ordered "
    "by how sure the match is; moving left keeps fewer of them. A line that rises to the left "
    "means that the scores know which descriptions to trust. Random order gives the dotted level, "
    "naming the commonest descriptor every time the dashed line, and an order that puts every "
    "right description first the dash-dotted one. Only neurons that carry a label count."
)


@dataclass(frozen=True, slots=True)
class _Curve:
    name: str
    points: tuple[tuple[float, Figure], ...]

    @property
    def overall(self) -> float | None:
        """Precision over all described neurons, which random order has at every coverage."""
        return self.points[-1][1].null

    @property
    def span(self) -> tuple[float, ...]:
        """Places to draw smooth lines through."""
        low = self.points[0][0]
        return tuple(low + (1.0 - low) * step / _STEPS for step in range(_STEPS + 1))

    def perfect(self, coverage: float) -> float | None:
        """Precision of an order that puts every right description first."""
        return None if self.overall is None else min(1.0, self.overall / coverage)


def risk_coverage_plot(figures: Iterable[Figure]) -> Plot | None:
    """Figures of the reading `risk_coverage`, one panel for each facet and site.

    Their variant gives the share of described neurons kept as `coverage=0.1`. Low tails are left
    out. None without a curve of two points.
    """
    curves = _curves(figures)
    if not curves:
        return None
    shown, rest = curves[:MOST_PANELS], len(curves) - MOST_PANELS
    columns = columns_for(len(shown))
    height = 60 + 250 * -(-len(shown) // columns)

    def paint(canvas: Canvas) -> None:
        for panel, each in zip(
            grid(canvas, len(shown), columns, sharey=True, sharex=True), shown, strict=True
        ):
            span = each.span
            plain_line(panel, [(place, each.perfect(place)) for place in span], UPPER_BOUND.bare)
            plain_line(panel, [(place, each.overall) for place in span], NULL.bare)
            plain_line(panel, [(x, figure.baseline) for x, figure in each.points], BASELINE)
            curve(panel, each.points, VALUE)
            panel.set_title(shown_name(each.name, name_in(columns)))
            share_axis(panel, "y", "Precision at rank 1")
            share_axis(panel, "x", "Share of described neurons kept")
            panel.label_outer()
        legend(
            canvas,
            [
                ("surest first (band: 95 % interval)", sample(VALUE)),
                ("random order", sample(NULL.bare)),
                ("commonest descriptor", sample(BASELINE)),
                ("perfect order", sample(UPPER_BOUND.bare)),
            ],
        )

    alt = " ".join((f"{_TITLE}.", *(_in_words(each) for each in shown)))
    return Plot(
        name="risk-coverage",
        question="Are the surest descriptions right more often?",
        title=_TITLE,
        about=_ABOUT + left_out(max(0, rest), "facets or sites"),
        alt=alt,
        svg=draw(_TITLE, alt, height, paint),
        height=height,
        table=_table(curves),
    )


def _curves(figures: Iterable[Figure]) -> list[_Curve]:
    found: dict[tuple[str, str], dict[float | None, dict[float, Figure]]] = {}
    for figure in figures:
        words = VariantWords.parse(figure.variant)
        coverage = words.number("coverage")
        if words.plain != (Reading.RISK_COVERAGE,) or coverage is None or figure.metric != "P":
            continue
        if figure.value is not None and 0 < coverage <= 1 and not words.is_negative_tail:
            by_tau = found.setdefault((figure.facet, words.settings.get("site", "")), {})
            by_tau.setdefault(words.number("tau"), {})[coverage] = figure
    curves = []
    for place, by_tau in found.items():
        points = by_tau.get(HEADLINE.tau, next(iter(by_tau.values())))
        if len(points) > 1:
            name = place_name(*place)
            curves.append(_Curve(name, tuple(sorted(points.items()))))
    return curves


def _in_words(each: _Curve) -> str:
    points = [each.points[0], each.points[len(each.points) // 2], each.points[-1]]
    said = ", ".join(
        f"{decimals(figure.value)} with {percent(coverage)} kept"
        for coverage, figure in dict.fromkeys(points)
    )
    return f"{each.name}: {said}; random order {decimals(each.overall)}."


def _table(curves: Iterable[_Curve]) -> TextTable:
    rows = [
        (
            each.name,
            percent(coverage),
            interval(figure),
            decimals(each.overall),
            decimals(figure.baseline),
            decimals(each.perfect(coverage)),
            f"{figure.n:,}",
        )
        for each in curves
        for coverage, figure in each.points
    ]
    header = (
        "Facet", "Kept", "Precision [interval]", "Random order", "Commonest", "Perfect order", "n",
    )  # fmt: skip
    return TextTable("", header, tuple(rows), n_left=1)
