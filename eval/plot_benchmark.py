"""The benchmark at a glance: every data set with every matcher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eval.plot_canvas import (
    SERIES,
    UPPER_BOUND,
    Ink,
    Plot,
    draw,
    legend,
    legend_height,
    line_style,
    sample,
    shown_name,
)
from eval.plot_panels import quiet_grid, share_axis
from eval.plot_words import decimals
from eval.table import TextTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_ABOUT = (
    "Each mark is one method on one data set; the line through it is its 95 % interval. The open "
    "diamond shows what the true labels reach in the same matcher, the most to hope for. Marks "
    "whose lines overlap cannot be told apart."
)
_ROW_PIXELS = 14
_UPPER_NAME = "true labels (upper bound)"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkPoint:
    """One figure of one method on one data set; `value` is None where it could not be measured.

    `method` is what is compared: a matcher, or a matcher with a model and a proposer.
    """

    data_set: str
    method: str
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    upper_bound: float | None = None
    n: int


def benchmark_plot(points: Sequence[BenchmarkPoint], metric: str = "Precision@2") -> Plot | None:
    """Dots with intervals, data sets below each other, methods told apart by mark and colour.

    Data sets and methods come in order of appearance. None where nothing was measured.

    Raises:
        ValueError: a data set has a method twice, or there are more methods than marks.
    """
    measured = [point for point in points if point.value is not None]
    if not measured:
        return None
    sets = list(dict.fromkeys(point.data_set for point in measured))
    methods = list(dict.fromkeys(point.method for point in measured))
    _check(points, methods)
    bounded = any(point.upper_bound is not None for point in measured)
    title = f"{metric} by data set and method"
    names = [*(shown_name(method) for method in methods), _UPPER_NAME]
    height = 95 + (len(methods) + 1) * _ROW_PIXELS * len(sets) + legend_height(names)

    def paint(canvas: Canvas) -> None:
        panel = canvas.subplots()
        _paint(panel, measured, sets, methods)
        share_axis(panel, "x", metric)
        looks = [*SERIES[: len(methods)], UPPER_BOUND]
        legend(
            canvas,
            [
                (name, sample(look, line=False))
                for name, look in zip(names, looks, strict=True)
                if look is not UPPER_BOUND or bounded
            ],
        )

    alt = f"{title}. " + " ".join(_in_words(measured, data_set) for data_set in sets)
    return Plot(
        name="benchmark",
        question="How do the methods compare, data set by data set?",
        title=title,
        about=_ABOUT,
        alt=alt,
        svg=draw(title, alt, height, paint),
        height=height,
        table=_table(points, metric),
    )


def _check(points: Sequence[BenchmarkPoint], methods: Sequence[str]) -> None:
    places = [(point.data_set, point.method) for point in points]
    twice = {place for place in places if places.count(place) > 1}
    if twice:
        raise ValueError(f"{sorted(twice)[0]} is given more than once, expected once")
    if len(methods) > len(SERIES):
        raise ValueError(
            f"{len(methods)} methods, but {len(SERIES)} marks to tell them apart; plot fewer"
        )


def _paint(
    panel: Axes, points: Sequence[BenchmarkPoint], sets: Sequence[str], methods: Sequence[str]
) -> None:
    step = 0.8 / len(methods)
    for point in points:
        middle = sets.index(point.data_set)
        number = methods.index(point.method)
        place = middle + (number - (len(methods) - 1) / 2) * step
        look = SERIES[number]
        if point.ci_low is not None and point.ci_high is not None:
            ends = [point.ci_low, point.ci_high]
            panel.plot(ends, [place, place], color=look.ink, linewidth=1.5)
        if point.upper_bound is not None:
            panel.plot([point.upper_bound], [place], **line_style(UPPER_BOUND, line=False))
        if point.value is not None:
            panel.plot([point.value], [place], **line_style(look, line=False))
    for border in range(1, len(sets)):
        panel.axhline(border - 0.5, color=Ink.GRID, linewidth=0.8)
    panel.set_yticks(range(len(sets)), [shown_name(name, 28) for name in sets])
    panel.set_ylim(len(sets) - 0.5, -0.5)
    quiet_grid(panel, only="x")
    panel.tick_params(axis="y", length=0, labelcolor=Ink.TEXT)


def _in_words(points: Sequence[BenchmarkPoint], data_set: str) -> str:
    own = [point for point in points if point.data_set == data_set]
    said = ", ".join(f"{point.method} {decimals(point.value)}" for point in own)
    upper = max((point.upper_bound for point in own if point.upper_bound is not None), default=None)
    bound = "" if upper is None else f"; true labels {decimals(upper)}"
    return f"{data_set}: {said}{bound}."


def _table(points: Sequence[BenchmarkPoint], metric: str) -> TextTable:
    rows = [
        (
            point.data_set,
            point.method,
            decimals(point.value)
            if point.ci_low is None
            else f"{decimals(point.value)} [{decimals(point.ci_low)}, {decimals(point.ci_high)}]",
            decimals(point.upper_bound),
            f"{point.n:,}",
        )
        for point in points
    ]
    header = ("Data set", "Method", f"{metric} [interval]", "True labels", "n")
    return TextTable("", header, tuple(rows), n_left=2)
