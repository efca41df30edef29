"""Texts in cells of CSV files that a spreadsheet must not compute."""

from __future__ import annotations

GUARD = "'"
# Some spreadsheets take the full-width signs of East Asian keyboards for the plain ones.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_TAILS = ("+", "-")


def guarded(cell: str) -> str:
    """Put an apostrophe before a text that looks like a formula, or begins with one already.

    The name of a tail, a lone `+` or `-`, is no formula and stays as it is.
    """
    risky = cell.startswith((GUARD, *_FORMULA_STARTS)) and cell not in _TAILS
    return GUARD + cell if risky else cell
