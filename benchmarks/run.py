"""Measure neuroscribe and write `benchmarks/results.json`: `python -m benchmarks.run`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import (
    demo,
    embedded,
    extraction,
    gpu,
    large_corpus,
    luck,
    matching,
    memory,
    naming,
    recovery,
    scaling,
    service_answers,
    service_load,
    startup,
)
from benchmarks.corpora import shared_corpus
from benchmarks.records import Measurement, read_results, replaced, write_results

RESULTS = Path(__file__).with_name("results.json")

_FILE_WIDTH = 160


@dataclass(frozen=True)
class Benchmark:
    """A topic, how to measure it in a work folder, and whether it is quick."""

    topic: str
    measure: Callable[[Path], list[Measurement]]
    quick: bool

    def asked_for(self, names: Sequence[str]) -> bool:
        """Whether one of `names` is this topic or the part before one of its dots."""
        return any(self.topic == name or self.topic.startswith(f"{name}.") for name in names)


BENCHMARKS = (
    Benchmark("startup", startup.measure, quick=True),
    Benchmark("extraction", extraction.measure, quick=True),
    Benchmark("matching", matching.measure, quick=True),
    Benchmark("demo", demo.measure, quick=True),
    Benchmark("embedded", embedded.measure, quick=True),
    *(
        Benchmark(f"naming.{corpus}", partial(naming.measure, corpus=corpus), quick=False)
        for corpus in naming.FACETS
        if shared_corpus(corpus) is not None
    ),
    Benchmark("scaling", scaling.measure, quick=False),
    Benchmark("memory", memory.measure, quick=False),
    Benchmark("service_answers", service_answers.measure, quick=False),
    Benchmark("large_corpus", large_corpus.measure, quick=False),
    *(
        [Benchmark("service_load", service_load.measure, quick=False)]
        if service_load.available()
        else []
    ),
    *([Benchmark("gpu", gpu.measure, quick=False)] if gpu.available() else []),
    *(
        Benchmark(f"recovery.{corpus}", partial(recovery.measure, corpus=corpus), quick=False)
        for corpus in recovery.FACETS
        if shared_corpus(corpus) is not None
    ),
    *(
        Benchmark(f"luck.{corpus}", partial(luck.measure, corpus=corpus), quick=False)
        for corpus in recovery.FACETS
        if shared_corpus(corpus) is not None
    ),
)


def main() -> int:
    """Measure what the arguments ask for; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="leave out memory, naming, recovery and luck"
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help=f"repeatable: naming, recovery, {', '.join(each.topic for each in BENCHMARKS)}",
    )
    options = parser.parse_args()
    chosen = [
        each
        for each in BENCHMARKS
        if (each.asked_for(options.only) if options.only else each.quick or not options.quick)
    ]
    if not chosen:
        parser.error(f"nothing is called {', '.join(options.only)}")
    measured: list[Measurement] = []
    with tempfile.TemporaryDirectory(prefix="neuroscribe-bench-") as folder:
        for benchmark in chosen:
            print(f"measuring {benchmark.topic} ...", file=sys.stderr)
            found = benchmark.measure(Path(folder))
            measured += found
            # After each topic, so that a later failure loses nothing.
            write_results(RESULTS, replaced(read_results(RESULTS), benchmark.topic, found))
    show(measured)
    return int(any(each.met is False for each in measured))


def show(measurements: Sequence[Measurement]) -> None:
    """Print a table."""
    from rich.console import Console
    from rich.table import Table

    load = os.getloadavg()[0]
    table = Table(
        title=f"{os.cpu_count()} cores, load {load:.1f} at the end",
        box=None,
        pad_edge=False,
    )
    for column in ("name", "value", "unit", "goal", "met", "ratio", "against"):
        table.add_column(
            column,
            justify="right" if column in {"value", "ratio"} else "left",
            no_wrap=column == "name",
        )
    for each in measurements:
        table.add_row(
            each.name,
            f"{each.value:,.3g}" if each.value < 1000 else f"{each.value:,.0f}",
            each.unit,
            each.goal or "",
            "" if each.met is None else "yes" if each.met else "NO",
            "" if each.ratio is None else f"{each.ratio:.3g}",
            each.against or "",
        )
    # Into a file, where no terminal says how wide a line may be, names must not be cut.
    Console(width=None if sys.stdout.isatty() else _FILE_WIDTH).print(table)


if __name__ == "__main__":
    sys.exit(main())
