"""What a benchmark is to reach, and by how much it is missed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from eval.benchmark_averages import column_averages, leading_rows, ours
from eval.benchmark_figure_targets import FIGURE_TARGETS, figure_target
from eval.benchmark_records import (
    BenchmarkFigure,
    BenchmarkResults,
    Column,
    RecoveryRow,
    TargetResult,
)
from eval.matchers import OURS

PRECISION, RECALL, OF_UPPER_BOUND = 0.75, 0.50, 0.85
LONGEST_MINUTES = 60.0
_TIME = "time of the whole benchmark"
_LONGEST = f"<= {LONGEST_MINUTES:g} min on two cores"
_FREQUENCY = "frequency"
_NO_SET = "no data set has enough qualifying neurons, or one lacks its figures"


def benchmark_targets(results: BenchmarkResults) -> tuple[TargetResult, ...]:
    """Every target with what was found, each column of the benchmark on its own."""
    found: list[TargetResult] = []
    for column in results.columns:
        several = f" ({column})" if len(results.columns) > 1 else ""
        own = _counting_figures(results, column)
        told = [
            *(each for site in results.sites for each in recovery_targets(results, column, site)),
            *(figure_target(target, own) for target in FIGURE_TARGETS),
        ]
        found += [each.model_copy(update={"target": each.target + several}) for each in told]
    return (*found, _time(results))


def _counting_figures(results: BenchmarkResults, column: Column) -> list[BenchmarkFigure]:
    """Figures of the facets that count, and those of no facet."""
    counting = {each.corpus: each for each in results.sets}
    return [
        figure
        for figure in results.figures
        if figure.column == column
        and (not figure.facet or counting[figure.corpus].counts(figure.facet))
    ]


def recovery_targets(
    results: BenchmarkResults, column: Column, site: str
) -> Iterator[TargetResult]:
    """What label recovery must reach: on average, and above the baseline on every data set."""
    averages = column_averages(results, column, site)
    average = ours(averages)
    name = f"label recovery, average of {len(averages.data_sets)} data sets, {site}"
    wanted = (
        f"P@2 >= {PRECISION:g} and R@2 >= {RECALL:.2f}, or both >= {OF_UPPER_BOUND:g} of the upper "
        "bound"
    )
    if average is None or average.precision is None or average.recall is None:
        yield TargetResult(
            target=name,
            wanted=wanted,
            found="",
            reached=None,
            missed_by=_NO_SET,
        )
    else:
        ratios = (average.precision_ratio, average.recall_ratio)
        plainly = _shortfalls(
            ("P@2", average.precision.value, PRECISION), ("R@2", average.recall.value, RECALL)
        )
        relatively = _shortfalls(
            ("P@2 of its bound", ratios[0], OF_UPPER_BOUND),
            ("R@2 of its bound", ratios[1], OF_UPPER_BOUND),
        )
        reached = not plainly or not relatively
        yield TargetResult(
            target=name,
            wanted=wanted,
            found=f"P@2 {average.precision.value:.3f} ({_share(ratios[0])} of the bound), "
            f"R@2 {average.recall.value:.3f} ({_share(ratios[1])})",
            reached=reached,
            missed_by="" if reached else f"{plainly}; {relatively}",
        )
    yield _above_baselines(results, column, site, averages.data_sets)


def _above_baselines(
    results: BenchmarkResults, column: Column, site: str, data_sets: Sequence[str]
) -> TargetResult:
    rows = [
        row
        for row in leading_rows(results, column)
        if row.site == site and row.data_set in data_sets
    ]
    failing = []
    for row in rows:
        if row.matcher == OURS:
            failing += [
                f"{row.data_set} {metric} starts at {_share(low)}, baselines reach {bound:.3f}"
                for metric, low, bound in _bounds(row, rows)
                if low is None or not low > bound
            ]
    n_sets = len(data_sets)
    return TargetResult(
        target=f"label recovery above its baselines, {site}",
        wanted="on every data set the interval lies above null and baseline with theirs",
        found=f"{n_sets} data sets" if n_sets else "",
        reached=not failing if n_sets else None,
        missed_by="; ".join(failing) if n_sets else _NO_SET,
    )


def _bounds(
    row: RecoveryRow, rows: Sequence[RecoveryRow]
) -> Iterator[tuple[str, float | None, float]]:
    """The low end of each metric, and the highest that null and baselines reach."""
    commonest = [
        each for each in rows if each.matcher == _FREQUENCY and each.data_set == row.data_set
    ]
    for metric, low, controls, high in (
        (
            "P@2",
            row.precision_low,
            (row.precision_null, row.precision_baseline),
            [each.precision_high for each in commonest],
        ),
        (
            "R@2",
            row.recall_low,
            (row.recall_null, row.recall_baseline),
            [each.recall_high for each in commonest],
        ),
    ):
        yield (
            metric,
            low,
            max((each for each in (*controls, *high) if each is not None), default=0.0),
        )


def _time(results: BenchmarkResults) -> TargetResult:
    minutes = sum(run.seconds or 0.0 for run in results.runs) / 60
    over = minutes - LONGEST_MINUTES
    continued = sum(run.continued for run in results.runs)
    if continued and over <= 0.0:
        return TargetResult(
            target=_TIME,
            wanted=_LONGEST,
            found=f"{minutes:.1f} min on {results.circumstances.cores} cores for a part of it",
            reached=None,
            missed_by=f"{continued} runs went on from stages done earlier; begin in a new folder",
        )
    return TargetResult(
        target=_TIME,
        wanted=_LONGEST,
        found=f"{minutes:.1f} min on {results.circumstances.cores} cores",
        reached=over <= 0.0,
        missed_by="" if over <= 0.0 else f"{over:.1f} min",
    )


def _shortfalls(*figures: tuple[str, float | None, float]) -> str:
    """How much each of the figures that fall short lacks, empty where none does."""
    parts = []
    for name, value, goal in figures:
        if value is None:
            parts.append(f"{name} is not known")
        elif value < goal:
            parts.append(f"{name} lacks {goal - value:.3f}")
    return ", ".join(parts)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
