"""The controls of every run of a benchmark, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from eval.benchmark_records import BenchmarkFigure, BenchmarkResults, Column
from eval.controls import PROTOCOL as CONTROLS
from eval.lexical import LexicalControl
from eval.null_memberships import NullKind
from eval.stability import HALVES
from eval.stability import PROTOCOL as STABILITY
from eval.table import TextTable
from eval.variant_words import VariantWords

_MISSING = "-"
_NULL_Q = "0.05"
_HEADER = (
    *("data set", "described", "under nulls", f"null pairs with q <= {_NULL_Q}"),
    *("learned", "null", "Jaccard@2 of halves", "null"),
)
CONTROLS_LEGEND = (
    "described: the share of neurons with a description, and the largest share under shuffled "
    "sentences, shuffled memberships and random descriptors, of which 0.05 is allowed. learned: "
    "the share of described tails whose first match is stronger than 19 of 20 units of the same "
    "layer reach with random weights; null: the same for random units judged by others. "
    "Jaccard@2: of the first two descriptors from two halves of the corpus, positive tails; null: "
    "one half shuffled."
)


def control_tables(results: BenchmarkResults, column: Column, site: str) -> Iterator[TextTable]:
    """Controls of each data set, and its learned matches layer by layer; none without figures."""
    corpora = list(dict.fromkeys(run.corpus for run in results.runs))
    own = {
        corpus: [each for each in results.figures if (each.corpus, each.column) == (corpus, column)]
        for corpus in corpora
    }
    rows = tuple(_row(corpus, figures, site) for corpus, figures in own.items() if figures)
    if rows:
        yield TextTable("", _HEADER, rows, 1)
    yield from _by_layer({corpus: _layers(figures, site) for corpus, figures in own.items()})


def _row(corpus: str, figures: Sequence[BenchmarkFigure], site: str) -> tuple[str, ...]:
    nulls = [_find(figures, CONTROLS, f"{kind} site={site}", "described") for kind in NullKind]
    pairs = [
        _find(figures, CONTROLS, f"{kind} q={_NULL_Q}", "false_discovery_share")
        for kind in NullKind
    ]
    learned = _find(figures, CONTROLS, str(LexicalControl.RANDOM_WEIGHTS), "learned")
    halves = _find(figures, STABILITY, f"{HALVES} tail=+ site={site}", "Jaccard")
    described = next((each.baseline for each in nulls if each is not None), None)
    return (
        corpus,
        _number(described),
        _number(_largest(nulls)),
        _number(_largest(pairs), 4),
        _number(None if learned is None else learned.value),
        _number(None if learned is None else learned.null),
        _number(None if halves is None else halves.value),
        _number(None if halves is None else halves.null),
    )


def _layers(figures: Iterable[BenchmarkFigure], site: str) -> dict[int, str]:
    """Share of learned matches of the positive tails of each layer."""
    found = {}
    for figure in figures:
        words = VariantWords.parse(figure.variant)
        where = (words.plain, words.settings.get("tail"), words.settings.get("site"))
        layer = words.settings.get("layer")
        if (
            layer is not None
            and (figure.protocol, figure.metric) == (CONTROLS, "learned")
            and where == ((str(LexicalControl.RANDOM_WEIGHTS),), "+", site)
        ):
            found[int(layer)] = _number(figure.value)
    return found


def _by_layer(learned: dict[str, dict[int, str]]) -> Iterator[TextTable]:
    layers = sorted({layer for own in learned.values() for layer in own})
    rows = tuple(
        (corpus, *(own.get(layer, _MISSING) for layer in layers))
        for corpus, own in learned.items()
        if own
    )
    if rows:
        header = ("data set", *(f"L{layer}" for layer in layers))
        yield TextTable("Learned matches by layer, positive tails", header, rows, 1)


def _find(
    figures: Iterable[BenchmarkFigure], protocol: str, variant: str, metric: str
) -> BenchmarkFigure | None:
    return next(
        (
            each
            for each in figures
            if (each.protocol, each.variant, each.metric) == (protocol, variant, metric)
        ),
        None,
    )


def _largest(figures: Iterable[BenchmarkFigure | None]) -> float | None:
    values = [each.value for each in figures if each is not None and each.value is not None]
    return max(values, default=None)


def _number(value: float | None, places: int = 3) -> str:
    return _MISSING if value is None else f"{value:.{places}f}"
