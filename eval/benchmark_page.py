"""The pages of a benchmark: `RESULTS.md` and a self-contained `index.html` with its plots.

Corpus names, error messages and all other texts from outside are escaped. The HTML page carries a
content security policy that allows its one style sheet, by its hash, and pictures that it holds.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING

from eval.benchmark_averages import leading_rows
from eval.benchmark_records import BenchmarkResults, Column, RecoveryRow
from eval.benchmark_table import Section, sections
from eval.facets import HEADLINE
from eval.matchers import OURS, TRUE_LABELS
from eval.table import TextTable

if TYPE_CHECKING:
    from eval.plots import BenchmarkPoint, Plot

_TITLE = "neuroscribe benchmark"
_METRICS = ("precision", "recall")
_METHODS_OF_A_PLOT = 8
# Lone surrogates cannot be encoded; browsers read the other characters as damage or control.
_UNSHOWABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def markdown_page(results: BenchmarkResults) -> str:
    """All sections as markdown text."""
    parts = [f"# {_TITLE}\n"]
    for section in sections(results):
        parts.append(f"{'#' * section.level} {_markdown_text(section.title)}\n")
        if section.command:
            parts.append(f"    {' '.join(section.command.split())}\n")
        parts += [f"{_markdown_text(paragraph)}\n" for paragraph in section.paragraphs]
        parts += [_markdown_table(table) for table in section.tables]
        if section.notes:
            parts.append("".join(f"* {_markdown_text(note)}\n" for note in section.notes))
    return _UNSHOWABLE.sub("\ufffd", "\n".join(parts))


def html_page(results: BenchmarkResults) -> str:
    """All sections and plots as an HTML page that loads nothing."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("eval", "benchmark_templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = resources.files("eval").joinpath("benchmark_templates", "benchmark.css")
    text = style.read_text(encoding="utf-8")
    shown: tuple[Section, ...] = tuple(sections(results))
    page = environment.get_template("benchmark.html.j2").render(
        title=_TITLE,
        sections=shown,
        plots=tuple(benchmark_plots(results)),
        picture=_picture,
        style=text,
        style_hash=_hash(text),
    )
    return _UNSHOWABLE.sub("\ufffd", page)


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


def _picture(plot: Plot) -> str:
    """A plot as an address that holds it: as an image it can neither run nor load anything."""
    svg = _UNSHOWABLE.sub("\ufffd", plot.svg).encode("utf-8")
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")


def _markdown_table(table: TextTable) -> str:
    rules = ["---" if place < table.n_left else "---:" for place in range(len(table.header))]
    title = [f"**{_markdown_text(table.title)}**", ""] if table.title else []
    rows = [_markdown_row(row) for row in table.rows]
    return "\n".join([*title, _markdown_row(table.header), f"| {' | '.join(rules)} |", *rows, ""])


def _markdown_row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(_markdown_text(cell) for cell in cells)} |"


def _markdown_text(text: str) -> str:
    """Text that neither ends a cell nor starts markdown or HTML."""
    escaped = re.sub(r"([\\|*_`<])", r"\\\1", text)
    # Brackets hold intervals; they are a link only before a parenthesis.
    return " ".join(escaped.replace("](", "]\\(").split())
