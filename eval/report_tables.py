"""Evaluation figures set out for the report: all of them, in tables to open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.records import Figure
from eval.variants import Reading, Variant
from eval.verdicts import figure_name
from neurons.records import Tail

_READING_WORDS: dict[str, str] = {
    Reading.HEADLINE: "all neurons that qualify",
    Reading.DESCRIBED: "described neurons only",
    Reading.CONTAINED: "descriptors inside a label",
    Reading.RANDOM_DESCRIPTORS: "random descriptors",
    Reading.UPPER_BOUND: "true labels as descriptors",
    Reading.EVERY_NEURON: "every neuron",
    Reading.EVERY_LABEL: "every label",
}


@dataclass(frozen=True, slots=True)
class FigureRow:
    """A line of an evaluation table."""

    name: str
    reading: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class FigureGroup:
    """The lines that share site, tau and k; `heading` is empty where there is none of them."""

    heading: str
    rows: tuple[FigureRow, ...]


@dataclass(frozen=True, slots=True)
class EvaluationTable:
    """The figures of one protocol, facet and tail.

    Counts of labels, one a facet, share a table with an empty facet.
    `unreached` are the headings of groups that no neuron qualifies for, whose figures are all
    undefined.
    """

    protocol: str
    facet: str
    tail: Tail | None
    groups: tuple[FigureGroup, ...]
    unreached: tuple[str, ...]

    @property
    def n_figures(self) -> int:
        """How many lines the table has."""
        return sum(len(group.rows) for group in self.groups)


def evaluation_tables(figures: Sequence[Figure]) -> tuple[EvaluationTable, ...]:
    """Figures by protocol, facet and tail, then by site, tau and k, in order of appearance."""
    tables: dict[tuple[str, str, Tail | None], dict[str, list[FigureRow]]] = {}
    for figure in figures:
        variant = Variant.parse(figure.variant)
        name = figure_name(figure)
        key = (figure.protocol, figure.facet, variant.tail)
        if variant.reading == Reading.EVERY_LABEL:
            # One figure a facet: all facets share a table.
            key, name = (figure.protocol, "", None), f"{name}, {figure.facet}".rstrip(", ")
        reading = _reading_words(variant)
        groups = tables.setdefault(key, {})
        groups.setdefault(_heading(variant, figure.k), []).append(FigureRow(name, reading, figure))
    return tuple(
        EvaluationTable(
            *key,
            groups=tuple(
                FigureGroup(heading, tuple(rows))
                for heading, rows in groups.items()
                if _reached(rows)
            ),
            unreached=tuple(heading for heading, rows in groups.items() if not _reached(rows)),
        )
        for key, groups in tables.items()
    )


def _reading_words(variant: Variant) -> str:
    if variant.proposer:
        return f"proposed by {variant.proposer}"
    return _READING_WORDS.get(variant.reading, variant.reading.replace("_", " "))


def _heading(variant: Variant, k: int | None) -> str:
    parts = (
        variant.site,
        "" if variant.tau is None else f"τ = {variant.tau:g}",
        "" if k is None else f"k = {k}",
    )
    return ", ".join(part for part in parts if part)


def _reached(rows: Sequence[FigureRow]) -> bool:
    return any(row.figure.n > 0 or row.figure.value is not None for row in rows)
