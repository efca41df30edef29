"""Planted units: how strong must a signal be to be found again?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from eval.plot_canvas import (
    BASELINE,
    NULL,
    SERIES,
    Plot,
    draw,
    legend,
    legend_height,
    sample,
    shown_name,
)
from eval.plot_panels import error_bars, plain_line, share_axis
from eval.plot_words import decimals, interval, joined
from eval.records import Figure
from eval.table import TextTable
from eval.variant_words import VariantWords

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure as Canvas

PROTOCOL = "planted"
K = 2
_SETTINGS = frozenset({"strength", "gold", "tail", "site"})
_TITLE = "Planted units: precision@2 by the strength of the planted signal"
_ABOUT = (
    "Here the truth is known: units were made of a real unit's noise and a signal for chosen "
    "concepts. Strength is the height of the signal in standard deviations of that noise. With "
    "gold from descriptors only the matcher is tested; with gold from hidden labels the catalog "
    "has to name the concept first, so that this line is the whole pipeline."
)
_GOLD_WORDS = {
    "descriptors": "gold from the catalog's descriptors",
    "labels": "gold from hidden labels",
}
_CONTROLS = {"null": NULL, "baseline": BASELINE}
_Curves = dict[tuple[str, str], dict[float, Figure]]


def planted_plot(figures: Iterable[Figure]) -> Plot | None:
    """`P` at k = 2 of the protocol `planted` by `strength=`, one line for each `gold=` and facet.

    Variants with plain words or other settings (parts, other readings) are left out. None without
    a line.
    """
    curves = _curves(figures)
    if not curves:
        return None
    shown = list(curves.items())[: len(SERIES)]

    def paint(canvas: Canvas) -> None:
        panel = canvas.subplots()
        entries: list[tuple[str, Artist]] = []
        controls = set()
        for (key, points), look in zip(shown, SERIES, strict=False):
            placed = sorted(points.items())
            if plain_line(panel, [(x, each.null) for x, each in placed], NULL):
                controls.add("null")
            if plain_line(panel, [(x, each.baseline) for x, each in placed], BASELINE):
                controls.add("baseline")
            error_bars(panel, placed, look, line=True)
            entries.append((_name(key), sample(look)))
        entries += [(name, sample(look)) for name, look in _CONTROLS.items() if name in controls]
        strengths = sorted({strength for _, points in shown for strength in points})
        panel.set_xticks(strengths, [f"{strength:g}" for strength in strengths])
        panel.set_xlabel("Strength of the signal (standard deviations of the unit's noise)")
        share_axis(panel, "y", "Precision@2 (bars: 95 % interval)")
        legend(canvas, entries)

    names = [*(_name(key) for key, _ in shown), *_CONTROLS]
    height = 290 + legend_height(names)
    alt = f"{_TITLE}. " + " ".join(_in_words(key, points) for key, points in shown)
    return Plot(
        name="planted",
        question="Are concepts found again that were planted?",
        title=_TITLE,
        about=_ABOUT,
        alt=alt,
        svg=draw(_TITLE, alt, height, paint),
        height=height,
        table=_table(curves),
    )


def _curves(figures: Iterable[Figure]) -> _Curves:
    found: _Curves = {}
    for figure in figures:
        if (figure.protocol, figure.metric, figure.k) != (PROTOCOL, "P", K):
            continue
        words = VariantWords.parse(figure.variant)
        strength = words.number("strength")
        if strength is None or figure.value is None or words.plain:
            continue
        if words.is_negative_tail or not _SETTINGS.issuperset(words.settings):
            continue
        key = (words.without("strength", "tail"), figure.facet)
        found.setdefault(key, {})[strength] = figure
    return found


def _name(key: tuple[str, str]) -> str:
    settings, facet = VariantWords.parse(key[0]).settings, key[1]
    gold = settings.pop("gold", "")
    others = (f"{name} {value}" for name, value in settings.items())
    return shown_name(joined((_GOLD_WORDS.get(gold, gold and f"gold {gold}"), *others, facet)), 60)


def _in_words(key: tuple[str, str], points: dict[float, Figure]) -> str:
    said = ", ".join(
        f"{decimals(figure.value)} at {strength:g}" for strength, figure in sorted(points.items())
    )
    return f"{_name(key) or 'all units'}: {said}."


def _table(curves: _Curves) -> TextTable:
    rows = [
        (
            _name(key) or "all units",
            f"{strength:g}",
            interval(figure),
            decimals(figure.null),
            decimals(figure.baseline),
            f"{figure.n:,}",
        )
        for key, points in curves.items()
        for strength, figure in sorted(points.items())
    ]
    header = ("Units", "Strength", "Precision@2 [interval]", "Null", "Baseline", "n")
    return TextTable("", header, tuple(rows), n_left=1)
