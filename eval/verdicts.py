"""Figures set out for reading: does a figure clear its controls, and which belong together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from eval.records import Figure

_METRIC_WORDS = {
    "P": "precision",
    "R": "recall",
    "R_ceiling": "reachable recall",
    "gold_labels": "gold labels per neuron",
    "described": "neurons described",
    "coverage": "neurons described",
}
_UNCUT_METRICS = {"gold_labels", "described", "coverage"}
_VARIANT_WORDS = {
    "": "all neurons that qualify",
    "described": "described neurons only",
    "contained": "second reading of meaning",
    "random_descriptors": "random descriptors",
    "upper_bound": "true labels as descriptors",
    "every_neuron": "every neuron",
}


class Standing(StrEnum):
    """How a headline figure compares with its null and baseline."""

    CLEARS = "clears its controls"
    FAILS = "does not clear its controls"
    UNDECIDED = "cannot be compared with controls"


@dataclass(frozen=True, slots=True)
class Headline:
    """A figure of the front page with its standing and the reason in words."""

    figure: Figure
    standing: Standing
    reason: str

    @property
    def name(self) -> str:
        """The figure in words, for example `precision@2`."""
        return figure_name(self.figure)


def judge(figure: Figure) -> Headline:
    """Say whether a figure's interval lies wholly above its null and its baseline.

    A figure without a value, an interval or any control is undecided, never passed.
    """
    name = figure_name(figure)
    if figure.value is None:
        return Headline(figure, Standing.UNDECIDED, f"{name} is undefined here (n = {figure.n}).")
    controls = {"null": figure.null, "baseline": figure.baseline}
    known = {label: value for label, value in controls.items() if value is not None}
    if figure.ci_low is None or not known:
        lacking = "no interval" if figure.ci_low is None else "neither null nor baseline"
        return Headline(figure, Standing.UNDECIDED, f"{name} has {lacking}.")
    missed = [label for label, value in known.items() if not figure.ci_low > value]
    compared = " and ".join(f"{label} {known[label]:.2f}" for label in missed or known)
    if missed:
        reason = f"The interval of {name} starts at {figure.ci_low:.2f}, not above {compared}."
        return Headline(figure, Standing.FAILS, reason)
    reason = f"The interval of {name} starts at {figure.ci_low:.2f}, above {compared}."
    return Headline(figure, Standing.CLEARS, reason)


def headline_figures(
    figures: Iterable[Figure], *, tau: float = 0.9, k: int = 2
) -> tuple[Figure, ...]:
    """Precision and recall of label recovery at one tau and k, of every facet."""
    return tuple(
        figure
        for figure in figures
        if figure.protocol == "label_recovery"
        and figure.variant == f"tau={tau:g}"
        and figure.metric in {"P", "R"}
        and figure.k == k
    )


@dataclass(frozen=True, slots=True)
class FigureRow:
    """A line of an evaluation table."""

    name: str
    variant: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class FigureGroup:
    """The lines that share tau and k; `heading` is empty where there is neither."""

    heading: str
    rows: tuple[FigureRow, ...]


@dataclass(frozen=True, slots=True)
class EvaluationTable:
    """The figures of one protocol and facet."""

    protocol: str
    facet: str
    groups: tuple[FigureGroup, ...]

    @property
    def n_figures(self) -> int:
        """How many lines the table has."""
        return sum(len(group.rows) for group in self.groups)


def evaluation_tables(figures: Sequence[Figure]) -> tuple[EvaluationTable, ...]:
    """Group figures by protocol and facet, then by tau and k, each in order of appearance."""
    tables: dict[tuple[str, str], dict[str, list[FigureRow]]] = {}
    for figure in figures:
        groups = tables.setdefault((figure.protocol, figure.facet), {})
        tau, variant = _split_variant(figure.variant)
        cutoffs = (f"τ = {tau}" if tau else "", "" if figure.k is None else f"k = {figure.k}")
        heading = ", ".join(cutoff for cutoff in cutoffs if cutoff)
        groups.setdefault(heading, []).append(
            FigureRow(figure_name(figure), _variant_words(variant), figure)
        )
    return tuple(
        EvaluationTable(
            protocol,
            facet,
            tuple(FigureGroup(heading, tuple(rows)) for heading, rows in groups.items()),
        )
        for (protocol, facet), groups in tables.items()
    )


def figure_name(figure: Figure) -> str:
    """A figure's metric in words with its cutoff, for example `recall@5`."""
    words = _METRIC_WORDS.get(figure.metric, figure.metric.replace("_", " "))
    if figure.k is None or figure.metric in _UNCUT_METRICS:
        return words
    return f"{words}@{figure.k}"


def _variant_words(variant: str) -> str:
    return _VARIANT_WORDS.get(variant, variant.replace("_", " "))


def _split_variant(variant: str) -> tuple[str, str]:
    first, _, rest = variant.partition(" ")
    if first.startswith("tau="):
        return first.removeprefix("tau="), rest
    return "", variant
