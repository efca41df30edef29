"""The pages of a benchmark: `RESULTS.md` and a self-contained `index.html` with its plots.

Corpus names, error messages and all other texts from outside are escaped. The HTML page carries a
content security policy that allows its one style sheet, by its hash, and pictures that it holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from eval.benchmark_averages import leading_rows
from eval.benchmark_records import BenchmarkResults, Column, RecoveryRow
from eval.benchmark_table import Section, sections
from eval.facets import HEADLINE
from eval.matchers import OURS, TRUE_LABELS
from eval.table import TextTable, markdown_row, markdown_text
from eval.web_page import page_part, page_templates, policy_hash, showable

if TYPE_CHECKING:
    from eval.plots import BenchmarkPoint, Plot

_TITLE = "neuroscribe benchmark"
_METRICS = ("precision", "recall")
_METHODS_OF_A_PLOT = 8
_FOLDER = "benchmark_templates"


def markdown_page(results: BenchmarkResults) -> str:
    """All sections as markdown text."""
    parts = [f"# {_TITLE}\n"]
    for section in sections(results):
        parts.append(f"{'#' * section.level} {markdown_text(section.title)}\n")
        if section.command:
            parts.append(f"    {' '.join(section.command.split())}\n")
        parts += [f"{markdown_text(paragraph)}\n" for paragraph in section.paragraphs]
        parts += [_markdown_table(table) for table in section.tables]
        if section.notes:
            parts.append("".join(f"* {markdown_text(note)}\n" for note in section.notes))
    return showable("\n".join(parts))


def html_page(results: BenchmarkResults) -> str:
    """All sections and plots as an HTML page that loads nothing."""
    style = page_part(_FOLDER, "benchmark.css")
    shown: tuple[Section, ...] = tuple(sections(results))
    page = (
        page_templates(_FOLDER)
        .get_template("benchmark.html.j2")
        .render(
            title=_TITLE,
            sections=shown,
            plots=tuple(benchmark_plots(results)),
            style=style,
            style_hash=policy_hash(style),
        )
    )
    return showable(page)


def benchmark_plots(results: BenchmarkResults) -> Iterator[Plot]:
    """Matchers compared for each column and site, and columns where there are several."""
    from eval.plots import benchmark_plot

    for title, points in _compared(results):
        methods = list(dict.fromkeys(point.method for point in points))
        for first in range(0, len(methods), _METHODS_OF_A_PLOT):
            shown = methods[first : first + _METHODS_OF_A_PLOT]
            plot = benchmark_plot([point for point in points if point.method in shown], title)
            if plot is not None:
                yield plot


def _compared(results: BenchmarkResults) -> Iterator[tuple[str, list[BenchmarkPoint]]]:
    several = len(results.columns) > 1
    for site in results.sites:
        for metric in _METRICS:
            words = f"{metric.capitalize()}@{HEADLINE.k} at tau {HEADLINE.tau:g}, {site}"
            for column in results.columns:
                rows = _comparable(results, column, site)
                yield (
                    f"{words} ({column})" if several else words,
                    [_point(row, metric, row.matcher) for row in rows],
                )
            if several:
                yield (
                    words,
                    [
                        _point(row, metric, str(column))
                        for column in results.columns
                        for row in _comparable(results, column, site)
                        if row.matcher == OURS
                    ],
                )


def _comparable(results: BenchmarkResults, column: Column, site: str) -> list[RecoveryRow]:
    """Rows to draw: true labels are drawn with each of them, as its upper bound."""
    return [
        row
        for row in leading_rows(results, column)
        if row.site == site and row.matcher != TRUE_LABELS
    ]


def _point(row: RecoveryRow, metric: str, method: str) -> BenchmarkPoint:
    from eval.plots import BenchmarkPoint

    return BenchmarkPoint(
        data_set=row.data_set,
        method=method,
        value=getattr(row, metric),
        ci_low=getattr(row, f"{metric}_low"),
        ci_high=getattr(row, f"{metric}_high"),
        upper_bound=getattr(row, f"{metric}_upper"),
        n=row.n,
    )


def _markdown_table(table: TextTable) -> str:
    rules = ["---" if place < table.n_left else "---:" for place in range(len(table.header))]
    title = [f"**{markdown_text(table.title)}**", ""] if table.title else []
    rows = [markdown_row(row) for row in table.rows]
    return "\n".join([*title, markdown_row(table.header), f"| {' | '.join(rules)} |", *rows, ""])
