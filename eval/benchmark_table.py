"""A benchmark as sections of words and tables, which the pages show one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eval.benchmark_averages import (
    AverageRow,
    ColumnAverages,
    Mean,
    column_averages,
    leading_rows,
)
from eval.benchmark_controls import CONTROLS_LEGEND, control_tables
from eval.benchmark_records import (
    BenchmarkResults,
    BenchmarkRun,
    Column,
    RecoveryRow,
    TargetResult,
)
from eval.benchmark_targets import benchmark_targets
from eval.facets import HEADLINE
from eval.matchers import about_matcher
from eval.table import TextTable
from neurons.records import Tail

_MISSING = "-"
_VERDICTS = {True: "reached", False: "MISSED", None: "open"}
_DETAIL_HEADER = (
    *("matcher", "tau", "k", "P@k", "null", "baseline", "upper bound", "of it"),
    *("R@k", "null", "baseline", "upper bound", "of it", "ceiling", "n", "seconds"),
)
LEGEND = (
    "P@k and R@k: precision and recall at k with 95% intervals over the n neurons that carry at "
    "least k labels with a test AUROC of tau or more. null: the same matcher where the sentences "
    "of descriptors were shuffled (for matchers other than ours on 1,024 neurons drawn from all). "
    "baseline: the commonest descriptors, or labels for matchers that rank labels. upper bound: "
    "our matcher with the true labels as descriptors; of it: the value divided by that. ceiling: "
    "the recall that k descriptors can reach. seconds: what the matcher took on all neurons."
)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page.

    `paragraphs` come before the tables and `notes` are listed after them; `command` is shown as it
    is typed, above all of them.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    command: str = ""
    tables: tuple[TextTable, ...] = ()
    notes: tuple[str, ...] = ()
    level: int = 2


def sections(results: BenchmarkResults) -> Iterator[Section]:
    """Everything a benchmark found, what matters most first."""
    yield _circumstances(results)
    if results.failed:
        yield Section("What failed", notes=results.failed)
    yield _targets(benchmark_targets(results))
    for column in results.columns:
        for site in results.sites:
            yield _averages(results, column_averages(results, column, site))
            yield _at_a_glance(results, column, site)
            yield from _controls(results, column, site)
    yield _runs(results.runs)
    yield Section(
        "Every data set",
        ("Label recovery on the positive tail; the negative one is in table.parquet.", LEGEND),
    )
    yield from _details(results)
    yield Section(
        "The matchers",
        notes=tuple(f"{name}: {about_matcher(name)}" for name in results.matchers),
    )


def _controls(results: BenchmarkResults, column: Column, site: str) -> Iterator[Section]:
    tables = tuple(control_tables(results, column, site))
    if tables:
        yield Section(f"Controls: {column}, {site}", (CONTROLS_LEGEND,), tables=tables)


def _circumstances(results: BenchmarkResults) -> Section:
    told = results.circumstances
    minutes = sum(run.seconds or 0.0 for run in results.runs) / 60
    versions = ", ".join(f"{name} {version}" for name, version in told.versions.items())
    rows = (
        ("date", told.date),
        ("machine", f"{told.cores} cores, {told.memory_gb:.0f} GB, {told.processor}"),
        ("time", f"{minutes:.1f} min in {len(results.runs)} runs{_earlier(results)}"),
        ("versions", versions),
    )
    table = TextTable("", ("", ""), rows, 2)
    return Section("How it was made", command=told.command, tables=(table,))


def _earlier(results: BenchmarkResults) -> str:
    continued = sum(run.continued for run in results.runs)
    return f", {continued} of which went on from stages done earlier" if continued else ""


def _targets(targets: Sequence[TargetResult]) -> Section:
    rows = tuple(
        (
            each.target,
            each.wanted,
            each.found or _MISSING,
            _VERDICTS[each.reached],
            each.missed_by or _MISSING,
        )
        for each in targets
    )
    header = ("target", "wanted", "found", "", "missed by, or why open")
    return Section("What it was to reach", tables=(TextTable("", header, rows, 5),))


def _averages(results: BenchmarkResults, averages: ColumnAverages) -> Section:
    paragraph = (
        f"P@{HEADLINE.k} and R@{HEADLINE.k} at tau {HEADLINE.tau:g} over "
        f"{', '.join(averages.data_sets) or 'no data set'}: the sets where at least "
        f"{results.minimum_neurons} {averages.site} neurons qualify. Intervals follow from those "
        "of the sets."
    )
    table = TextTable(
        "",
        ("matcher", "P@2", "of upper bound", "R@2", "of upper bound"),
        tuple(_average_row(row) for row in averages.rows),
        1,
    )
    return Section(
        f"Average over data sets: {averages.column}, {averages.site}",
        (paragraph,),
        tables=(table,) if averages.data_sets else (),
        notes=tuple(f"left out: {each.data_set}: {each.reason}" for each in averages.left_out),
    )


def _average_row(row: AverageRow) -> tuple[str, ...]:
    return (
        row.matcher,
        _mean(row.precision),
        _number(row.precision_ratio),
        _mean(row.recall),
        _number(row.recall_ratio),
    )


def _at_a_glance(results: BenchmarkResults, column: Column, site: str) -> Section:
    """Data sets below each other, matchers side by side."""
    rows = [row for row in leading_rows(results, column) if row.site == site]
    names = tuple(dict.fromkeys(row.data_set for row in rows))
    found = {(row.data_set, row.matcher): row for row in rows}
    tables = []
    for metric in ("precision", "recall"):
        lines = []
        for name in names:
            own = [found.get((name, matcher)) for matcher in results.matchers]
            n = max((row.n for row in own if row is not None), default=0)
            values = (None if row is None else getattr(row, metric) for row in own)
            lines.append((name, *(_number(value) for value in values), f"{n:,}"))
        title = f"{metric.capitalize()}@{HEADLINE.k}, tau {HEADLINE.tau:g}"
        tables.append(TextTable(title, ("data set", *results.matchers, "n"), tuple(lines), 1))
    return Section(
        f"Data sets and matchers: {column}, {site}", tables=tuple(tables) if names else ()
    )


def _runs(runs: Sequence[BenchmarkRun]) -> Section:
    header = (
        *("corpus", "model", "proposer", "options", "sentences", "neurons", "descriptors"),
        *("described", "minutes"),
    )
    rows = tuple(
        (
            run.corpus,
            run.model,
            run.proposer,
            run.options or _MISSING,
            _whole(run.sentences),
            _whole(run.neurons),
            _whole(run.descriptors),
            "FAILED" if run.reason else _number(run.described),
            _MISSING if run.seconds is None else f"{run.seconds / 60:.1f}",
        )
        for run in runs
    )
    words = (
        "described: the share of neurons with a description on either tail. minutes: what a run "
        "took beyond what it shares with those above it, matchers and protocols included."
    )
    return Section("The runs", (words,), tables=(TextTable("", header, rows, 4),))


def _details(results: BenchmarkResults) -> Iterator[Section]:
    groups: dict[tuple[str, str, Column], list[RecoveryRow]] = {}
    for row in results.rows:
        if row.tail == Tail.POSITIVE and not row.reason:
            groups.setdefault((row.data_set, row.site, row.column), []).append(row)
    for (name, site, column), rows in groups.items():
        shown = [row for row in rows if row.n]
        silent = sorted({f"tau {row.tau:g}, k {row.k}" for row in rows if not row.n})
        table = TextTable("", _DETAIL_HEADER, tuple(_detail(row) for row in shown), 1)
        notes = (f"no neuron qualifies at: {'; '.join(silent)}",) if silent else ()
        yield Section(
            f"{name}: {column}, {site}", tables=(table,) if shown else (), notes=notes, level=3
        )


def _detail(row: RecoveryRow) -> tuple[str, ...]:
    return (
        row.matcher,
        f"{row.tau:g}",
        str(row.k),
        _estimate(row.precision, row.precision_low, row.precision_high),
        _number(row.precision_null),
        _number(row.precision_baseline),
        _number(row.precision_upper),
        _number(row.precision_ratio),
        _estimate(row.recall, row.recall_low, row.recall_high),
        _number(row.recall_null),
        _number(row.recall_baseline),
        _number(row.recall_upper),
        _number(row.recall_ratio),
        _number(row.recall_ceiling),
        f"{row.n:,}",
        _MISSING if row.seconds is None else f"{row.seconds:.0f}",
    )


def _mean(mean: Mean | None) -> str:
    return _MISSING if mean is None else _estimate(mean.value, mean.low, mean.high)


def _estimate(value: float | None, low: float | None, high: float | None) -> str:
    interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"{_number(value)}{interval}"


def _number(value: float | None) -> str:
    return _MISSING if value is None else f"{value:.3f}"


def _whole(count: int | None) -> str:
    return _MISSING if count is None else f"{count:,}"
