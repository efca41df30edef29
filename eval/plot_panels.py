"""Panels of a plot: how they are laid out, and the marks they share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from eval.plot_canvas import BASELINE, NULL, Ink, Look, line_style
from eval.records import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

BAND_OPACITY = 0.18


def columns_for(n_panels: int, most: int = 3) -> int:
    """How many panels stand side by side so that rows are evenly filled."""
    return math.ceil(n_panels / math.ceil(n_panels / most)) if n_panels else 1


def grid(canvas: Canvas, n_panels: int, columns: int, **shared: Any) -> list[Axes]:
    """Panels row by row; places without a panel stay empty."""
    rows = math.ceil(n_panels / columns)
    places = list(canvas.subplots(rows, columns, squeeze=False, **shared).flat)
    for unused in places[n_panels:]:
        unused.remove()
    return places[:n_panels]


def share_axis(panel: Axes, which: str, label: str) -> None:
    """An axis of shares from 0 to 1 with its label."""
    limits = (-0.02, 1.02)
    (panel.set_xlim if which == "x" else panel.set_ylim)(*limits)
    (panel.set_xlabel if which == "x" else panel.set_ylabel)(label)
    axis = panel.xaxis if which == "x" else panel.yaxis
    axis.set_ticks([0.0, 0.25, 0.5, 0.75, 1.0], ["0", "0.25", "0.5", "0.75", "1"])


def curve(panel: Axes, points: Sequence[tuple[float, Figure]], look: Look) -> None:
    """Values joined by a line, on a band between the ends of their intervals."""
    places = [place for place, figure in points if figure.value is not None]
    values = [figure.value for _, figure in points if figure.value is not None]
    panel.plot(places, values, **line_style(look))
    band = [
        (place, figure.ci_low, figure.ci_high)
        for place, figure in points
        if figure.ci_low is not None and figure.ci_high is not None
    ]
    if band:
        panel.fill_between(
            [place for place, _, _ in band],
            [low for _, low, _ in band],
            [high for _, _, high in band],
            color=look.ink,
            alpha=BAND_OPACITY,
            linewidth=0,
        )


def plain_line(panel: Axes, points: Iterable[tuple[float, float | None]], look: Look) -> bool:
    """Numbers joined by a line, those that are undefined left out; whether there are any."""
    known = [(place, value) for place, value in points if value is not None]
    if known:
        panel.plot(*zip(*known, strict=True), **line_style(look))
    return bool(known)


def error_bars(
    panel: Axes, points: Sequence[tuple[float, Figure]], look: Look, *, line: bool = False
) -> None:
    """Values with their intervals as upright bars."""
    places = [place for place, figure in points if figure.value is not None]
    values = [figure.value for _, figure in points if figure.value is not None]
    panel.plot(places, values, **line_style(look, line=line))
    for place, figure in points:
        if figure.ci_low is not None and figure.ci_high is not None:
            panel.plot([place, place], [figure.ci_low, figure.ci_high], color=look.ink)


def control_ticks(panel: Axes, place: float, figure: Figure, width: float) -> None:
    """Null and baseline of one figure as short level lines across its bar."""
    for level, look in ((figure.null, NULL), (figure.baseline, BASELINE)):
        if level is not None:
            panel.plot(
                [place - width / 2, place + width / 2],
                [level, level],
                color=look.ink,
                linestyle=look.dash,
                linewidth=2.2,
            )


def quiet_grid(panel: Axes, *, only: str) -> None:
    """Grid lines across one axis only."""
    panel.grid(visible=False, axis="y" if only == "x" else "x")
    panel.tick_params(labelcolor=Ink.QUIET)
