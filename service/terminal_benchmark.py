"""A benchmark as a person reads it in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from service.terminal import new_console, table_of

if TYPE_CHECKING:
    from service.benchmark import BenchmarkSummary

_VERDICTS = {True: ("reached", "green"), False: ("MISSED", "bold red"), None: ("open", "yellow")}


def show_benchmark(summary: BenchmarkSummary) -> None:
    """Show what was reached, what failed, and where the table is."""
    console = new_console()
    rows = [
        (Text(*_VERDICTS[each.reached]), each.target, each.found or each.missed_by)
        for each in summary.targets
    ]
    console.print(table_of("what the benchmark was to reach", ("", "target", "found"), rows))
    console.print()
    for reason in summary.failed:
        console.print(Text(f"failed: {reason}", style="bold red"), soft_wrap=True)
    done = len(summary.runs)
    console.print(f"runs: {done}, of which {summary.reused} were taken over from before")
    # Printed without wrapping: a path cut in two cannot be copied.
    for name in (summary.results, summary.page, summary.table, summary.figures):
        console.print(name, soft_wrap=True)
