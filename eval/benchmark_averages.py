"""Averages over data sets, and which data sets count."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from eval.benchmark_records import BenchmarkResults, Column, RecoveryRow, data_set
from eval.facets import HEADLINE, Cutoff
from eval.matchers import OURS
from neurons.records import Tail


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A data set that an average leaves out, and why."""

    data_set: str
    reason: str


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over data sets with its 95% interval, None where a set has none."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class AverageRow:
    """One matcher averaged over the data sets of a column; means are None if a set lacks it.

    `precision_ratio` and `recall_ratio` are the mean divided by the mean of the upper bounds.
    """

    column: Column
    matcher: str
    precision: Mean | None
    recall: Mean | None
    precision_ratio: float | None
    recall_ratio: float | None


@dataclass(frozen=True, slots=True)
class ColumnAverages:
    """All matchers of a column, the data sets that they are averaged over, and all others."""

    column: Column
    site: str
    data_sets: tuple[str, ...]
    rows: tuple[AverageRow, ...]
    left_out: tuple[LeftOut, ...]


def leading_rows(
    results: BenchmarkResults, column: Column, cutoff: Cutoff = HEADLINE
) -> tuple[RecoveryRow, ...]:
    """Rows of the positive tail at one cutoff, of the facets that count, in order."""
    counting = {each.corpus: each for each in results.sets}
    return tuple(
        row
        for row in results.rows
        if row.column == column
        and row.tail == Tail.POSITIVE
        and (row.tau, row.k) == (cutoff.tau, cutoff.k)
        and counting[row.corpus].counts(row.facet)
    )


def column_averages(results: BenchmarkResults, column: Column, site: str) -> ColumnAverages:
    """Averages at the headline cutoff over the data sets where enough neurons qualify.

    How many qualify is the same for all matchers: those with k labels or more of AUROC tau or more.
    """
    rows = [row for row in leading_rows(results, column) if row.site == site]
    qualifying, left_out = _qualifying(results, column, rows)
    averages = tuple(
        _average(column, matcher, [row for row in qualifying if row.matcher == matcher], qualifying)
        for matcher in results.matchers
    )
    names = tuple(dict.fromkeys(row.data_set for row in qualifying))
    return ColumnAverages(column, site, names, averages, left_out)


def _qualifying(
    results: BenchmarkResults, column: Column, rows: Sequence[RecoveryRow]
) -> tuple[list[RecoveryRow], tuple[LeftOut, ...]]:
    averaged = {each.corpus for each in results.sets if each.averaged}
    qualifying: list[RecoveryRow] = []
    left_out: dict[str, str] = {}
    for row in rows:
        if row.corpus not in averaged:
            left_out[row.data_set] = "measured, but none of the sets that the average is over"
        elif row.n < results.minimum_neurons:
            left_out[row.data_set] = f"{_neurons(row.n)}, fewer than {results.minimum_neurons}"
        else:
            qualifying.append(row)
    found = {row.data_set for row in rows}
    for each in results.sets:
        if each.facets:
            absent = [facet for facet in each.facets if data_set(each.corpus, facet) not in found]
        else:
            absent = [] if any(row.corpus == each.corpus for row in rows) else [""]
        for facet in absent:
            left_out[data_set(each.corpus, facet)] = _why_absent(results, column, each.corpus)
    return qualifying, tuple(LeftOut(*pair) for pair in left_out.items())


def _neurons(count: int) -> str:
    return "1 neuron qualifies" if count == 1 else f"{count} neurons qualify"


def _why_absent(results: BenchmarkResults, column: Column, corpus: str) -> str:
    failed = [
        run.reason
        for run in results.runs
        if run.corpus == corpus and run.column == column and run.reason
    ]
    return f"the run failed: {failed[0]}" if failed else "it has no label that could be judged"


def _average(
    column: Column, matcher: str, own: Sequence[RecoveryRow], qualifying: Sequence[RecoveryRow]
) -> AverageRow:
    wanted = {row.data_set for row in qualifying}
    complete = bool(own) and {row.data_set for row in own} == wanted
    complete = complete and all(None not in (row.precision, row.recall) for row in own)
    if not complete:
        return AverageRow(column, matcher, None, None, None, None)
    precision = _mean([(row.precision, row.precision_low, row.precision_high) for row in own])
    recall = _mean([(row.recall, row.recall_low, row.recall_high) for row in own])
    return AverageRow(
        column,
        matcher,
        precision,
        recall,
        _ratio(precision, [row.precision_upper for row in own]),
        _ratio(recall, [row.recall_upper for row in own]),
    )


def _mean(figures: Sequence[tuple[float | None, float | None, float | None]]) -> Mean:
    """Half widths of independent sets add like standard errors: by their squares."""
    values = [value for value, _, _ in figures if value is not None]
    mean = math.fsum(values) / len(values)
    half_widths = [
        (high - low) / 2 for _, low, high in figures if low is not None and high is not None
    ]
    if len(half_widths) < len(figures):
        return Mean(mean, None, None)
    half = math.sqrt(math.fsum(each * each for each in half_widths)) / len(figures)
    return Mean(mean, max(0.0, mean - half), min(1.0, mean + half))


def _ratio(mean: Mean, upper: Sequence[float | None]) -> float | None:
    known = [each for each in upper if each is not None]
    if len(known) < len(upper) or not math.fsum(known):
        return None
    return mean.value / (math.fsum(known) / len(known))


def ours(averages: ColumnAverages) -> AverageRow | None:
    """The average of the run's own explanations, if they are among the matchers."""
    return next((row for row in averages.rows if row.matcher == OURS), None)
