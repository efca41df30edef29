"""Evaluation figures as tables to read: for the terminal and as markdown.

Figures are grouped by protocol, facet and split. Precision, recall and its ceiling share one row a
variant and k; every other metric gets a row of its own in a second table, so that none is lost.
Numbers are rounded here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eval.records import Figure

if TYPE_CHECKING:
    from rich.table import Table

_SIDE_BY_SIDE = ("P", "R", "R_ceiling")
_MISSING = "-"


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table whose cells are the text to show; the first `n_left` columns are words."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_left: int


def text_tables(figures: Iterable[Figure]) -> list[TextTable]:
    """The tables that show every figure once, groups and rows in the order they first appear.

    Raises:
        ValueError: two figures differ in nothing but their numbers.
    """
    groups: dict[tuple[str, str, str], list[Figure]] = {}
    for figure in figures:
        groups.setdefault((figure.protocol, figure.facet, figure.split), []).append(figure)
    tables = []
    for group in groups.values():
        beside = [figure for figure in group if figure.metric in _SIDE_BY_SIDE]
        others = [figure for figure in group if figure.metric not in _SIDE_BY_SIDE]
        if beside:
            tables.append(_retrieval_table(beside))
        if others:
            tables.append(_metric_table(others))
    return tables


def terminal_tables(figures: Iterable[Figure]) -> list[Table]:
    """The tables for a rich console, see `text_tables`; cells are plain text, never markup."""
    from rich.table import Table
    from rich.text import Text

    shown = []
    for table in text_tables(figures):
        drawn = Table(title=Text(table.title))
        for column, name in enumerate(table.header):
            drawn.add_column(Text(name), justify="left" if column < table.n_left else "right")
        for row in table.rows:
            drawn.add_row(*(Text(cell) for cell in row))
        shown.append(drawn)
    return shown


def markdown_table(figures: Iterable[Figure]) -> str:
    """The tables as markdown text, see `text_tables`; empty without figures."""
    return "\n".join(_markdown(table) for table in text_tables(figures))


def _retrieval_table(figures: Sequence[Figure]) -> TextTable:
    rows: dict[tuple[str, int | None], dict[str, Figure]] = {}
    for figure in figures:
        row = rows.setdefault((figure.variant, figure.k), {})
        if figure.metric in row:
            raise ValueError(
                f"{figure.protocol} {figure.variant!r} has {figure.metric} twice for k={figure.k}, "
                f"facet {figure.facet!r}, split {figure.split!r}"
            )
        row[figure.metric] = figure
    return TextTable(
        title=_title(figures[0]),
        header=(
            *("variant", "k", "P", "P null", "P baseline"),
            *("R", "R null", "R baseline", "R ceiling", "n"),
        ),
        rows=tuple(
            (
                variant,
                _whole(k),
                *_measured(row.get("P")),
                *_measured(row.get("R")),
                _measured(row.get("R_ceiling"))[0],
                " / ".join(dict.fromkeys(str(figure.n) for figure in row.values())),
            )
            for (variant, k), row in rows.items()
        ),
        n_left=1,
    )


def _metric_table(figures: Sequence[Figure]) -> TextTable:
    return TextTable(
        title=_title(figures[0]),
        header=("variant", "metric", "k", "value", "null", "baseline", "n"),
        rows=tuple(
            (figure.variant, figure.metric, _whole(figure.k), *_measured(figure), str(figure.n))
            for figure in figures
        ),
        n_left=2,
    )


def _title(figure: Figure) -> str:
    facet = f", facet {figure.facet}" if figure.facet else ""
    return f"{figure.protocol}{facet}, split {figure.split}"


def _measured(figure: Figure | None) -> tuple[str, ...]:
    """The value with its interval, the null and the baseline."""
    if figure is None:
        return (_MISSING, _MISSING, _MISSING)
    value = _rounded(figure.value)
    if figure.ci_low is not None or figure.ci_high is not None:
        value = f"{value} [{_rounded(figure.ci_low)}, {_rounded(figure.ci_high)}]"
    return (value, _rounded(figure.null), _rounded(figure.baseline))


def _rounded(number: float | None) -> str:
    return _MISSING if number is None else f"{number:.3f}"


def _whole(number: int | None) -> str:
    return _MISSING if number is None else str(number)


def _markdown(table: TextTable) -> str:
    rules = ["---" if column < table.n_left else "---:" for column in range(len(table.header))]
    lines = [_markdown_row(cells) for cells in (table.header, rules, *table.rows)]
    return "\n".join([f"**{_markdown_text(table.title)}**", "", *lines, ""])


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_markdown_text(cell) for cell in cells)} |"


def _markdown_text(text: str) -> str:
    """Text that neither ends a cell nor starts markdown or HTML."""
    for mark in ("\\", "|", "*", "_", "`", "<"):
        text = text.replace(mark, "\\" + mark)
    return " ".join(text.split())
