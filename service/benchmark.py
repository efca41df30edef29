"""`neuroscribe benchmark`: data sets, models, proposers and matchers in one table.

`DIR/runs/CORPUS-MODEL` is an ordinary run that all proposers share, one after the other, so that
texts are read and neurons extracted once. `DIR/results/*.json` keeps what each run found; a repeat
of the same benchmark takes it over, and goes on where it was interrupted.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from eval.benchmark_records import (
    BenchmarkFigure,
    BenchmarkResults,
    BenchmarkRun,
    Circumstances,
    RecoveryRow,
    RunResult,
    TargetResult,
)
from eval.benchmark_targets import benchmark_targets
from indexer.errors import NeuroscribeError, RunError
from indexer.records import Record
from indexer.storage import atomic_path, read_json, write_json
from service.benchmark_run import RunTask, drop_activations
from service.benchmark_settings import BenchmarkCorpus, BenchmarkSuite, file_name, shown
from service.folder_lock import lock_folder
from service.stages import installed_versions

if TYPE_CHECKING:
    from indexer.engine import Engine

TABLE = "table.parquet"
FIGURES = "figures.parquet"
RESULTS = "RESULTS.md"
PAGE = "index.html"
_MARK = "benchmark.json"
_GIGABYTE = 2**30


class BenchmarkSummary(Record):
    """What a benchmark left, and the most important of what it found."""

    out: str
    table: str
    figures: str
    results: str
    page: str
    reused: int
    runs: tuple[BenchmarkRun, ...]
    targets: tuple[TargetResult, ...]
    rows: tuple[RecoveryRow, ...]
    failed: tuple[str, ...]


def run_benchmark(
    suite: BenchmarkSuite,
    out: Path,
    *,
    command: str,
    keep: bool = False,
    again: bool = False,
    progress: bool = False,
    engine: Engine | None = None,
) -> BenchmarkSummary:
    """Do every run of a suite that is not done yet, and write the table and its pages.

    A run that fails is in the table with its reason; the others go on.

    Args:
        suite: what to compare.
        out: folder of the benchmark.
        command: what was typed, for the pages; absolute paths lose their folders.
        keep: whether the activations of runs are kept.
        again: whether runs are judged again that have been judged before.
        progress: whether to show progress bars on stderr.
        engine: where heavy work runs; in this process if None.

    Raises:
        InputError: `out` holds something else.
        RunError: `out` cannot be written, or another process is writing it.
    """
    with _locked(out):
        write_json(out / _MARK, suite.model_dump(mode="json"))
        bench = _Benchmark(suite, out, keep, again, progress, engine)
        found = [result for result in bench.results()]
        results = BenchmarkResults(
            circumstances=circumstances(command),
            sets=tuple(corpus.compared for corpus in suite.corpora),
            matchers=suite.matchers,
            sites=suite.sites,
            minimum_neurons=suite.minimum_neurons,
            runs=tuple(result.run for result in found),
            rows=tuple(row for result in found for row in result.rows),
            figures=tuple(figure for result in found for figure in result.figures),
        )
        write_pages(results, out)
    return BenchmarkSummary(
        out=str(out),
        table=str(out / TABLE),
        figures=str(out / FIGURES),
        results=str(out / RESULTS),
        page=str(out / PAGE),
        reused=bench.reused,
        runs=results.runs,
        targets=benchmark_targets(results),
        rows=results.rows,
        failed=results.failed,
    )


def write_pages(results: BenchmarkResults, out: Path) -> None:
    """Write the table, all figures and both pages.

    Raises:
        RunError: a file cannot be written.
    """
    from eval.benchmark_page import html_page, markdown_page
    from service.table_files import TableFormat, write_table

    write_table(out / TABLE, TableFormat.PARQUET, RecoveryRow, results.rows)
    write_table(out / FIGURES, TableFormat.PARQUET, BenchmarkFigure, results.figures)
    for name, text in ((RESULTS, markdown_page(results)), (PAGE, html_page(results))):
        with atomic_path(out / name) as partial:
            partial.write_bytes(text.encode("utf-8"))


def circumstances(command: str) -> Circumstances:
    """The machine as a reader may know it, without its name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Circumstances(
        command=shown(command),
        date=datetime.now(UTC).date().isoformat(),
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=round(memory / _GIGABYTE, 1),
        versions=installed_versions(),
    )


class _Benchmark:
    """The runs of a suite, one after the other."""

    def __init__(
        self,
        suite: BenchmarkSuite,
        out: Path,
        keep: bool,
        again: bool,
        progress: bool,
        engine: Engine | None,
    ) -> None:
        self._suite = suite
        self._out = out
        self._keep = keep
        self._again = again
        self._progress = progress
        self._engine = engine
        self.reused = 0

    def results(self) -> Iterator[RunResult]:
        """What each run found, those that share a folder side by side."""
        for corpus, model in product(self._suite.corpora, self._suite.models):
            tasks = [
                RunTask(self._suite, corpus, model, proposer) for proposer in self._suite.proposers
            ]
            yield from self._shared(corpus, model, tasks)

    def _shared(
        self, corpus: BenchmarkCorpus, model: str, tasks: Sequence[RunTask]
    ) -> Iterator[RunResult]:
        folder = self._out / "runs" / f"{corpus.name}-{file_name(model)}"
        for task in tasks:
            yield self._result(task, folder)
        if not self._keep and folder.is_dir():
            drop_activations(folder)

    def _result(self, task: RunTask, folder: Path) -> RunResult:
        name = f"{task.corpus.name}-{file_name(task.model)}-{file_name(task.proposer)}.json"
        path = self._out / "results" / name
        try:
            kept = None if self._again else _kept(path, task.key)
            if kept is not None:
                self.reused += 1
                return kept
            result = task.do(folder, progress=self._progress, engine=self._engine)
        except (NeuroscribeError, MemoryError, OSError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            return task.failed(reason)
        write_json(path, result.model_dump(mode="json"))
        return result


def _kept(path: Path, key: str) -> RunResult | None:
    """What an earlier benchmark found, if it was told the same."""
    if not path.is_file():
        return None
    try:
        found = RunResult.model_validate(read_json(path))
    except ValidationError as error:
        raise RunError(
            f"{path} is damaged: {error.error_count()} fields are not as written. Remove it and "
            "run the same benchmark again"
        ) from error
    return found if found.key == key else None


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    lock = lock_folder(out, _MARK, {f"{_MARK}.partial"})
    try:
        yield
    finally:
        os.close(lock)


def _processor() -> str:
    """The model of the processor as Linux tells it, else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
