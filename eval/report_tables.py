"""Evaluation figures set out for the report: all of them, in tables to open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.label_recovery import PROTOCOL as LABEL_RECOVERY
from eval.protocol_words import MEANING_OF_METRIC, metric_name
from eval.records import Figure
from eval.variant_words import VariantWords
from eval.variants import Reading, Variant
from neurons.records import Tail

_READING_WORDS: dict[str, str] = {
    Reading.HEADLINE: "all neurons that qualify",
    Reading.DESCRIBED: "described neurons only",
    Reading.CONTAINED: "descriptors inside a label",
    Reading.NAMED: "descriptors whose words say the label",
    Reading.RANDOM_DESCRIPTORS: "random descriptors",
    Reading.UPPER_BOUND: "true labels as descriptors",
    Reading.EVERY_NEURON: "every neuron",
    Reading.EVERY_LABEL: "every label",
    Reading.CONCEPT: "neurons found for a label",
    Reading.CONCEPT_UPPER_BOUND: "neurons found by the true labels",
    Reading.CONCEPT_CHANCE: "neurons drawn at random",
    Reading.RISK_COVERAGE: "surest described neurons",
    Reading.RISK_COVERAGE_EVERY_NEURON: "surest neurons of all",
}
_PLAIN_WORDS = {
    "ablate": "switched off",
    "best": "best of its descriptors",
    "both": "described in both",
    "contained": "descriptors inside a label",
    "exemplar_counts": "plain counting of exemplars",
    "halves": "two halves of the corpus",
    "mean": "mean over its descriptors",
    "meant": "concepts that a descriptor means",
    "seeds": "two seeds",
    "several": "neurons with several descriptors",
    "steer": "raised",
    "union": "all its descriptors together",
    "unplanted": "units without a signal",
    "upper_bound": "true labels as descriptors",
}
"""Words of other protocols that say too little by themselves."""

_Key = tuple[str, str, Tail | None, bool]
_HEADING_SETTINGS = frozenset({"site", "layer", "tau", "tail", "proposer"})


@dataclass(frozen=True, slots=True)
class FigureRow:
    """A line of an evaluation table."""

    name: str
    reading: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class FigureGroup:
    """The lines that share site, layer, tau and k; `heading` is empty where there is none."""

    heading: str
    rows: tuple[FigureRow, ...]


@dataclass(frozen=True, slots=True)
class EvaluationTable:
    """The figures of one protocol, facet and tail, those of curves and layers apart.

    Counts of labels, one a facet, share a table with an empty facet.
    `unreached` are the headings of groups that no neuron qualifies for, whose figures are all
    undefined.
    """

    protocol: str
    facet: str
    tail: Tail | None
    in_parts: bool
    groups: tuple[FigureGroup, ...]
    unreached: tuple[str, ...]

    @property
    def n_figures(self) -> int:
        """How many lines the table has."""
        return sum(len(group.rows) for group in self.groups)

    @property
    def meanings(self) -> tuple[str, ...]:
        """What the metrics of the table mean, as far as they are known."""
        metrics = (row.figure.metric for group in self.groups for row in group.rows)
        return tuple(
            dict.fromkeys(
                MEANING_OF_METRIC[metric] for metric in metrics if metric in MEANING_OF_METRIC
            )
        )


def evaluation_tables(figures: Sequence[Figure]) -> tuple[EvaluationTable, ...]:
    """Figures by protocol, facet and tail, then by site, layer, tau and k, in order of appearance.

    Figures of single layers and points of curves come in tables of their own (`in_parts`).
    """
    tables: dict[_Key, dict[str, list[FigureRow]]] = {}
    for figure in figures:
        variant, words = Variant.parse(figure.variant), VariantWords.parse(figure.variant)
        name = metric_name(figure)
        key = (figure.protocol, figure.facet, variant.tail, words.is_point_of_a_curve)
        if variant.reading == Reading.EVERY_LABEL:
            # One figure a facet: all facets share a table.
            key = (figure.protocol, "", None, False)
            name = f"{name}, {figure.facet}".rstrip(", ")
        row = FigureRow(name, reading_words(figure), figure)
        tables.setdefault(key, {}).setdefault(_heading(words, figure.k), []).append(row)
    protocols = list(dict.fromkeys(figure.protocol for figure in figures))

    def place(key: _Key) -> tuple[int, bool]:
        return protocols.index(key[0]), key[3]

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
        for key, groups in sorted(tables.items(), key=lambda pair: place(pair[0]))
    )


def reading_words(figure: Figure) -> str:
    """What a variant says besides its site, layer, tau and tail."""
    variant, words = Variant.parse(figure.variant), VariantWords.parse(figure.variant)
    if variant.proposer:
        return f"proposed by {variant.proposer}"
    told = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in words.settings.items()
        if name not in _HEADING_SETTINGS
    ]
    if figure.protocol == LABEL_RECOVERY:
        plain = " ".join(words.plain)
        return ", ".join([_READING_WORDS.get(plain, plain.replace("_", " ")), *told])
    plain_words = [_PLAIN_WORDS.get(word, word.replace("_", " ")) for word in words.plain]
    return ", ".join([*plain_words, *told])


def place_words(figure: Figure) -> str:
    """Facet, site, layer, tau, k and reading of a figure in one line, as far as it has them."""
    words = VariantWords.parse(figure.variant)
    parts = (figure.facet, _heading(words, None), reading_words(figure))
    return ", ".join(part for part in parts if part)


def _heading(words: VariantWords, k: int | None) -> str:
    settings = words.settings
    parts = (
        settings.get("site", ""),
        f"layer {settings['layer']}" if "layer" in settings else "",
        f"τ = {settings['tau']}" if "tau" in settings else "",
        "" if k is None else f"k = {k}",
    )
    return ", ".join(part for part in parts if part)


def _reached(rows: Sequence[FigureRow]) -> bool:
    return any(
        row.figure.n > 0 or row.figure.value is not None or row.figure.reason for row in rows
    )
