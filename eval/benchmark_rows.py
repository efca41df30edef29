"""From figures of label recovery to rows of the benchmark's table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from eval.benchmark_records import RecoveryRow
from eval.label_recovery import PROTOCOL
from eval.matchers import OURS, TRUE_LABELS
from eval.records import Figure
from eval.variants import Reading, Variant
from neurons.records import Tail


@dataclass(frozen=True, slots=True)
class RunPlace:
    """The run that rows are of, and the cutoffs they are wanted at."""

    corpus: str
    model: str
    proposer: str
    taus: tuple[float, ...]
    ks: tuple[int, ...]


class _Place(NamedTuple):
    """Neurons that are judged together at one cutoff."""

    facet: str
    site: str
    tail: Tail
    tau: float
    k: int


_Judged = dict[_Place, dict[str, Figure]]
"""Figures by place, then by metric."""


def own_rows(
    run: RunPlace, figures: Sequence[Figure], matchers: Iterable[str], seconds: float | None
) -> list[RecoveryRow]:
    """Rows of our own matcher, and of the same with true labels, from a run's evaluation.

    Args:
        run: where they belong.
        figures: all of the run's evaluation; other protocols and readings are passed over.
        matchers: which are wanted; those of rivals are passed over.
        seconds: what matching took in the run.
    """
    wanted = set(matchers)
    headline, upper = _judged(run, figures, Reading.HEADLINE), _upper_bounds(run, figures)
    rows: list[RecoveryRow] = []
    if OURS in wanted:
        rows += _rows(run, OURS, headline, headline, upper, seconds)
    if TRUE_LABELS in wanted:
        rows += _rows(run, TRUE_LABELS, upper, headline, upper, None)
    return rows


def rival_rows(
    run: RunPlace,
    matcher: str,
    figures: Sequence[Figure],
    own_figures: Sequence[Figure],
    seconds: float,
) -> list[RecoveryRow]:
    """Rows of a rival, with the ceilings and upper bounds of the run's own evaluation."""
    headline = _judged(run, own_figures, Reading.HEADLINE)
    found = _judged(run, figures, Reading.HEADLINE)
    return list(_rows(run, matcher, found, headline, _upper_bounds(run, own_figures), seconds))


def failed_rows(
    run: RunPlace, matcher: str, own_figures: Sequence[Figure], reason: str
) -> list[RecoveryRow]:
    """A row without numbers wherever the matcher should have been judged."""
    return [
        _row(run, matcher, place, {"n": figures["P"].n, "reason": reason})
        for place, figures in _judged(run, own_figures, Reading.HEADLINE).items()
    ]


def _upper_bounds(run: RunPlace, figures: Sequence[Figure]) -> _Judged:
    return _judged(run, figures, Reading.UPPER_BOUND)


def _judged(run: RunPlace, figures: Iterable[Figure], reading: Reading) -> _Judged:
    found: _Judged = {}
    for figure in figures:
        variant = Variant.parse(figure.variant)
        if figure.protocol != PROTOCOL or figure.k is None or figure.k not in run.ks:
            continue
        if variant != Variant(reading, variant.tau, variant.tail, variant.site):
            continue
        if variant.tau is None or variant.tail is None or variant.tau not in run.taus:
            continue
        place = _Place(figure.facet, variant.site, variant.tail, variant.tau, figure.k)
        found.setdefault(place, {})[figure.metric] = figure
    return found


def _rows(
    run: RunPlace,
    matcher: str,
    judged: _Judged,
    headline: _Judged,
    upper: _Judged,
    seconds: float | None,
) -> Iterator[RecoveryRow]:
    for place, figures in judged.items():
        told = headline.get(place, {})
        controlled = told if matcher == TRUE_LABELS else figures
        bounds = upper.get(place, {})
        yield _row(
            run,
            matcher,
            place,
            {
                **_numbers("precision", figures["P"], controlled.get("P"), bounds.get("P")),
                **_numbers("recall", figures["R"], controlled.get("R"), bounds.get("R")),
                "recall_ceiling": told["R_ceiling"].value if "R_ceiling" in told else None,
                "n": figures["P"].n,
                "seconds": seconds,
            },
        )


def _row(run: RunPlace, matcher: str, place: _Place, numbers: dict[str, Any]) -> RecoveryRow:
    return RecoveryRow(
        corpus=run.corpus,
        model=run.model,
        proposer=run.proposer,
        matcher=matcher,
        **place._asdict(),
        **numbers,
    )


def _numbers(
    name: str, figure: Figure, controlled: Figure | None, bound: Figure | None
) -> dict[str, float | None]:
    """The columns of precision or recall."""
    upper = None if bound is None else bound.value
    ratio = None if figure.value is None or not upper else figure.value / upper
    return {
        name: figure.value,
        f"{name}_low": figure.ci_low,
        f"{name}_high": figure.ci_high,
        f"{name}_null": None if controlled is None else controlled.null,
        f"{name}_baseline": None if controlled is None else controlled.baseline,
        f"{name}_upper": upper,
        f"{name}_ratio": ratio,
    }
