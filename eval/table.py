"""Evaluation figures as tables to read: for the terminal and as markdown.

`compact_tables` shows what label recovery found, one row a cutoff; `full_tables` shows every
figure, one row each. Numbers are rounded here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from eval.facets import (
    MINIMUM_NEURONS,
    CutoffFigures,
    FacetPopulation,
    leading_populations,
    shared_notes,
)
from eval.records import Figure
from eval.variants import Variant
from eval.verdicts import judge_population
from neurons.records import Tail

if TYPE_CHECKING:
    from rich.console import Group

_MISSING = "-"
_COMPACT_HEADER = ("tau", "k", "P@k", "null", "baseline", "R@k", "ceiling", "n")
_WIDTHS = {"P@k": 17, "R@k": 17, "n": 5, "reading": 18, "metric": 13, "value": 20}
"""Columns of several tables stand below each other."""

COMPACT_LEGEND = (
    "P@k and R@k: precision and recall with 95% intervals over the n neurons that carry at least k "
    "labels with an AUROC of tau or more. null: shuffled sentences. baseline: the commonest "
    "descriptors. ceiling: the recall that k descriptors can reach. Fewer than "
    f"{MINIMUM_NEURONS} neurons are too few to judge."
)
_FULL_HEADER = ("reading", "metric", "value", "null", "baseline", "n")


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table whose cells are the text to show; the first `n_left` columns are words.

    `note` is a sentence below it; without rows there is only the note.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_left: int
    note: str = ""


def compact_tables(figures: Iterable[Figure]) -> list[TextTable]:
    """Precision and recall of label recovery for each facet and site, negative tails aside.

    Facets without a neuron to judge share a note. Figures of other protocols are in `full_tables`.

    Raises:
        ValueError: two figures differ in nothing but their numbers.
    """
    populations = leading_populations(figures)
    tables = [_compact_table(population) for population in populations if population.cutoffs]
    silent = shared_notes(each for each in populations if not each.cutoffs)
    return [*tables, *(TextTable("; ".join(own.facets), (), (), 0, own.note) for own in silent)]


def full_tables(figures: Iterable[Figure]) -> list[TextTable]:
    """Every figure once; figures share a table that share all but their reading and metric.

    Groups and rows come in the order they first appear. Where no neuron qualifies, the group is
    named in one note a facet, site and tail.

    Raises:
        ValueError: two figures differ in nothing but their numbers.
    """
    populations: dict[_Population, dict[str, list[Figure]]] = {}
    for figure in figures:
        variant = Variant.parse(figure.variant)
        population = _Population(
            figure.protocol, figure.facet, figure.split, variant.site, variant.tail
        )
        cutoff = _cutoff_words(variant.tau, figure.k)
        populations.setdefault(population, {}).setdefault(cutoff, []).append(figure)
    tables = []
    for population, groups in populations.items():
        empty = [
            cutoff
            for cutoff, group in groups.items()
            if not any(each.n or each.reason for each in group)
        ]
        tables += [
            _full_table(f"{population.title}{cutoff and f', {cutoff}'}", group)
            for cutoff, group in groups.items()
            if cutoff not in empty
        ]
        if empty:
            note = " at ".join(["no neuron qualifies", *filter(None, ["; ".join(empty)])])
            tables.append(TextTable(population.title, (), (), 0, note))
    return tables


def terminal_tables(tables: Iterable[TextTable]) -> list[Group]:
    """The tables for a rich console, under their titles; cells are plain text, never markup."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    shown = []
    for table in tables:
        parts: list[Text | Table] = [Text(table.title, style="bold")]
        if table.rows:
            drawn = Table(box=None, pad_edge=False)
            for column, name in enumerate(table.header):
                side: Literal["left", "right"] = "left" if column < table.n_left else "right"
                width = _WIDTHS.get(name)
                drawn.add_column(Text(name), justify=side, overflow="fold", min_width=width)
            for row in table.rows:
                drawn.add_row(*(Text(cell) for cell in row))
            parts.append(drawn)
        if table.note:
            parts.append(Text(table.note))
        shown.append(Group(*parts))
    return shown


def markdown_table(figures: Iterable[Figure]) -> str:
    """All figures as markdown text, see `full_tables`; empty without figures."""
    return "\n".join(_markdown(table) for table in full_tables(figures))


@dataclass(frozen=True, slots=True)
class _Population:
    protocol: str
    facet: str
    split: str
    site: str
    tail: Tail | None

    @property
    def title(self) -> str:
        named = (
            ("facet", self.facet),
            ("split", self.split),
            ("site", self.site),
            ("tail", self.tail or ""),
        )
        return ", ".join([self.protocol, *(f"{name} {part}" for name, part in named if part)])


def _compact_table(population: FacetPopulation) -> TextTable:
    return TextTable(
        title=_compact_title(population),
        header=_COMPACT_HEADER,
        rows=tuple(_compact_row(cutoff) for cutoff in population.cutoffs),
        n_left=0,
    )


def _compact_title(population: FacetPopulation) -> str:
    name = ", ".join(part for part in (population.shown_facet, population.site) if part)
    said = []
    if (labels := population.labels) is not None:
        said.append(f"{labels.value:.0f} of {labels.n} labels judged")
    if (verdict := judge_population(population)) is not None:
        cutoff = verdict.figures.cutoff
        said.append(f"{verdict.standing} at {_cutoff_words(cutoff.tau, cutoff.k)}")
    return f"{name}: {'; '.join(said)}" if said else name


def _compact_row(figures: CutoffFigures) -> tuple[str, ...]:
    precision = figures.precision.figure
    ceiling = figures.ceiling
    return (
        f"{figures.cutoff.tau:g}",
        str(figures.cutoff.k),
        _estimate(precision, 2),
        _rounded(precision.null, 2),
        _rounded(precision.baseline, 2),
        _estimate(figures.recall.figure, 2),
        _rounded(None if ceiling is None else ceiling.value, 2),
        str(figures.n),
    )


def _full_table(title: str, figures: Sequence[Figure]) -> TextTable:
    rows: dict[tuple[str, str], Figure] = {}
    for figure in figures:
        variant = Variant.parse(figure.variant)
        reading = _reading_words(variant)
        place = (reading, figure.metric)
        if place in rows:
            raise ValueError(f"{title}: {figure.variant!r} has {figure.metric} twice")
        rows[place] = figure
    return TextTable(
        title=title,
        header=_FULL_HEADER,
        rows=tuple((*place, *figure_cells(figure)) for place, figure in rows.items()),
        n_left=2,
        note=" ".join(dict.fromkeys(figure.reason for figure in figures if figure.reason)),
    )


def figure_cells(figure: Figure) -> tuple[str, str, str, str]:
    """Value with interval, null, baseline and n."""
    return (
        _estimate(figure, 3),
        _rounded(figure.null, 3),
        _rounded(figure.baseline, 3),
        str(figure.n),
    )


def _reading_words(variant: Variant) -> str:
    words = (
        variant.reading or variant.proposer or "headline",
        "" if variant.coverage is None else f"coverage={variant.coverage:g}",
        "" if variant.layer is None else f"layer={variant.layer}",
    )
    return " ".join(word for word in words if word)


def _cutoff_words(tau: float | None, k: int | None) -> str:
    parts = ("" if tau is None else f"tau {tau:g}", "" if k is None else f"k {k}")
    return ", ".join(part for part in parts if part)


def _estimate(figure: Figure, places: int) -> str:
    value = _rounded(figure.value, places)
    if figure.ci_low is None and figure.ci_high is None:
        return value
    return f"{value} [{_rounded(figure.ci_low, places)}, {_rounded(figure.ci_high, places)}]"


def _rounded(number: float | None, places: int) -> str:
    return _MISSING if number is None else f"{number:.{places}f}"


def _markdown(table: TextTable) -> str:
    lines = [f"**{markdown_text(table.title)}**", ""]
    if table.rows:
        rules = ["---" if column < table.n_left else "---:" for column in range(len(table.header))]
        lines += [markdown_row(table.header), f"| {' | '.join(rules)} |"]
        lines += [markdown_row(row) for row in table.rows]
        lines.append("")
    if table.note:
        lines += [markdown_text(table.note), ""]
    return "\n".join(lines)


def markdown_row(cells: Sequence[str]) -> str:
    """A line of a markdown table; cells are plain text."""
    return f"| {' | '.join(markdown_text(cell) for cell in cells)} |"


def markdown_text(text: str) -> str:
    """Text that neither ends a cell nor starts markdown or HTML."""
    for mark in ("\\", "|", "*", "_", "`", "<"):
        text = text.replace(mark, "\\" + mark)
    # Brackets hold intervals; they are a link only before a parenthesis.
    return " ".join(text.replace("](", "]\\(").split())
