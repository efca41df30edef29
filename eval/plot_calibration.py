"""Do q-values keep their promise where nothing is to be found?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval.null_distributions import OBSERVED, Calibration
from eval.plot_canvas import SERIES, Ink, Plot, draw, legend, line_style, sample, shown_name
from eval.plot_words import percent
from eval.table import TextTable

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_HEIGHT = 400
_TITLE = "q-values where nothing is to be found"
_ABOUT = (
    "A q-value promises how many false finds to expect. Here sentences or descriptors were mixed "
    "up, so that every find is false. The marks should stay on or below the diagonal; a mark above "
    "it means that the q-values promise too much. The lowest line is exactly none. Both axes are "
    "logarithmic."
)
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def calibration_plot(calibrations: Sequence[Calibration]) -> Plot | None:
    """The share of null pairs with a q-value of at most x against x, on logarithmic axes.

    What the run itself finds is in the table only. None without a null.
    """
    nulls = [each for each in calibrations if each.control != OBSERVED and each.levels]
    if not nulls:
        return None
    shown = nulls[: len(SERIES) - 1]
    positive = [share for each in shown for share in each.shares if share > 0]
    levels = sorted({level for each in calibrations for level in each.levels if level > 0})
    lowest = 10.0 ** math.floor(math.log10(min([*positive, *levels])))
    floor = lowest / 10

    def paint(canvas: Canvas) -> None:
        panel = canvas.subplots()
        entries: list[tuple[str, Artist]] = []
        for each, look in zip(shown, SERIES[1:], strict=False):
            shares = [share if share > 0 else floor for share in each.shares]
            panel.plot(each.levels, shares, **line_style(look), clip_on=False)
            entries.append((_words(each.control), sample(look)))
        diagonal = panel.plot([lowest, 1], [lowest, 1], color=Ink.QUIET, linewidth=1)
        _axes(panel, levels, floor)
        legend(canvas, [*entries, ("as promised", diagonal[0])])

    alt = f"{_TITLE}. " + " ".join(_in_words(each) for each in nulls)
    return Plot(
        name="q-calibration",
        question="Do the q-values keep their promise?",
        title=_TITLE,
        about=_ABOUT,
        alt=alt,
        svg=draw(_TITLE, alt, _HEIGHT, paint),
        height=_HEIGHT,
        table=_table(calibrations, levels),
    )


def _axes(panel: Axes, levels: Sequence[float], floor: float) -> None:
    from matplotlib.ticker import NullLocator

    panel.set(xscale="log", yscale="log")
    panel.set_xlim(levels[0] / 1.5, min(1.0, levels[-1] * 1.5))
    panel.set_ylim(floor, 1.0)
    panel.set_xticks(levels, [f"{level:g}" for level in levels])
    powers = [floor * 10**step for step in range(round(-math.log10(floor)) + 1)]
    panel.set_yticks(powers, ["none", *(_power_name(power) for power in powers[1:])])
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_minor_locator(NullLocator())
    panel.set_xlabel("q-value x (log scale)")
    panel.set_ylabel("Share of pairs with q ≤ x (log scale)")


def _power_name(power: float) -> str:
    exponent = round(math.log10(power))
    if exponent >= -3:
        return f"{power:g}"
    return "10" + str(exponent).translate(_SUPERSCRIPTS)


def _words(control: str) -> str:
    return "this run" if control == OBSERVED else shown_name(control.replace("_", " "))


def _in_words(each: Calibration) -> str:
    pairs = zip(each.levels, each.shares, strict=True)
    said = ", ".join(f"{percent(share)} of pairs have q ≤ {level:g}" for level, share in pairs)
    return f"{_words(each.control)}: {said}."


def _table(calibrations: Sequence[Calibration], levels: Sequence[float]) -> TextTable:
    rows = []
    for each in calibrations:
        known = dict(zip(each.levels, each.shares, strict=True))
        cells = (percent(known[level]) if level in known else "–" for level in levels)
        rows.append((_words(each.control), *cells))
    header = ("Pairs of", *(f"q ≤ {level:g}" for level in levels))
    return TextTable("", header, tuple(rows), n_left=1)
