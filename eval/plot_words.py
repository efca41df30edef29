"""Numbers as plots, their tables and their text alternatives write them."""

from __future__ import annotations

from collections.abc import Iterable

from eval.records import Figure

MISSING = "–"


def decimals(number: float | None, places: int = 2) -> str:
    """A number with a true minus sign; a dash where it is undefined."""
    if number is None:
        return MISSING
    return f"{number:.{places}f}".replace("-", "\N{MINUS SIGN}")


def percent(share: float) -> str:
    """A share between 0 and 1 in percent, with one decimal below ten; never rounded to none."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    places = 1 if share < 0.0995 else 0
    return f"{100 * share:.{places}f}".removesuffix(".0") + " %"


def interval(figure: Figure) -> str:
    """A figure's value with its interval, if it has one."""
    if figure.ci_low is None or figure.ci_high is None:
        return decimals(figure.value)
    return f"{decimals(figure.value)} [{decimals(figure.ci_low)}, {decimals(figure.ci_high)}]"


def place_name(facet: str, site: str) -> str:
    """A facet with its site: `theme (ffn)`; `labels` where there is one kind of labels only."""
    name = facet or "labels"
    return f"{name} ({site})" if site else name


def left_out(number: int, what: str) -> str:
    """A sentence about what a plot has no room for, empty where it shows everything."""
    return f" {number} more {what} are in the tables below." if number else ""


def joined(parts: Iterable[str]) -> str:
    """Parts of a sentence one after another, those that are empty left out."""
    return ", ".join(part for part in parts if part)
