"""What a benchmark leaves: runs, rows of its table, figures of protocols, circumstances."""

from __future__ import annotations

from typing import NamedTuple

from eval.records import Figure
from indexer.records import Record


class Column(NamedTuple):
    """What descriptors were proposed with, for which neurons; a benchmark compares such columns."""

    model: str
    proposer: str

    def __str__(self) -> str:
        return f"{self.model}, {self.proposer}"


class BenchmarkRun(Record):
    """One corpus with one model and one proposer.

    A run that failed has a `reason` and no numbers. `seconds` are what its stages took that were
    not shared with another run, matchers and protocols included; a run that `continued` went on
    from stages that an earlier benchmark had done, whose time is missing there. `options` is what
    differs from the defaults in how the corpus was read.
    """

    corpus: str
    model: str
    proposer: str
    options: str = ""
    sentences: int | None = None
    neurons: int | None = None
    descriptors: int | None = None
    described: float | None = None
    seconds: float | None = None
    continued: bool = False
    reason: str = ""

    @property
    def column(self) -> Column:
        """Model and proposer."""
        return Column(self.model, self.proposer)


class RecoveryRow(Record):
    """Precision and recall at k of one matcher: a row of the table.

    `precision_low` and `precision_high` are the ends of the 95% interval over the `n` neurons;
    `_null` is the same matcher with shuffled sentences, `_baseline` the commonest descriptors (or
    labels, for matchers that rank those), `_upper` our matcher with the true labels as descriptors
    and `_ratio` the value divided by that. `recall_ceiling` is what k descriptors can reach.
    `seconds` is what the matcher took on all neurons. A matcher that failed has a `reason`.
    """

    corpus: str
    facet: str
    site: str
    tail: str
    model: str
    proposer: str
    matcher: str
    tau: float
    k: int
    precision: float | None = None
    precision_low: float | None = None
    precision_high: float | None = None
    precision_null: float | None = None
    precision_baseline: float | None = None
    precision_upper: float | None = None
    precision_ratio: float | None = None
    recall: float | None = None
    recall_low: float | None = None
    recall_high: float | None = None
    recall_null: float | None = None
    recall_baseline: float | None = None
    recall_upper: float | None = None
    recall_ratio: float | None = None
    recall_ceiling: float | None = None
    n: int
    seconds: float | None = None
    reason: str = ""

    @property
    def column(self) -> Column:
        """Model and proposer."""
        return Column(self.model, self.proposer)

    @property
    def data_set(self) -> str:
        """Corpus and facet, as `clinc150 intent`."""
        return data_set(self.corpus, self.facet)


class BenchmarkFigure(Figure):
    """A figure of a protocol, and the run it is of."""

    corpus: str
    model: str
    proposer: str

    @property
    def column(self) -> Column:
        """Model and proposer."""
        return Column(self.model, self.proposer)


class TargetResult(Record):
    """A target with what was found.

    `reached` is None where nothing was measured; `missed_by` says how much is lacking, or what is
    in the way.
    """

    target: str
    wanted: str
    found: str
    reached: bool | None
    missed_by: str = ""


class RunResult(Record):
    """All that is kept of one run; a repeat with the same `key` takes it over."""

    key: str
    run: BenchmarkRun
    rows: tuple[RecoveryRow, ...] = ()
    figures: tuple[BenchmarkFigure, ...] = ()


class Circumstances(Record):
    """What a reader needs to judge and to repeat a benchmark; nothing that names the machine."""

    command: str
    date: str
    processor: str
    cores: int
    memory_gb: float
    versions: dict[str, str]


class ComparedSet(Record):
    """A corpus of the benchmark.

    Attributes:
        corpus: its name.
        facets: labels that count for averages and targets; all if empty.
        averaged: whether it counts for averages.
    """

    corpus: str
    facets: tuple[str, ...] = ()
    averaged: bool = True

    def counts(self, facet: str) -> bool:
        """Whether this facet is one to lead with."""
        return not self.facets or facet in self.facets


class BenchmarkResults(Record):
    """Everything a benchmark shows, in the order of its suite."""

    circumstances: Circumstances
    sets: tuple[ComparedSet, ...]
    matchers: tuple[str, ...]
    sites: tuple[str, ...]
    minimum_neurons: int
    runs: tuple[BenchmarkRun, ...]
    rows: tuple[RecoveryRow, ...]
    figures: tuple[BenchmarkFigure, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Models with proposers, in order."""
        return tuple(dict.fromkeys(run.column for run in self.runs))

    @property
    def failed(self) -> tuple[str, ...]:
        """What did not work: runs, and matchers of runs that did, each with its reason."""
        runs = [f"{run.corpus}, {run.column}: {run.reason}" for run in self.runs if run.reason]
        matchers = [
            f"{row.corpus}, {row.column}, {row.matcher}: {row.reason}"
            for row in self.rows
            if row.reason
        ]
        return (*runs, *dict.fromkeys(matchers))


def data_set(corpus: str, facet: str) -> str:
    """A corpus with one of its facets, in words."""
    return f"{corpus} {facet}".rstrip()
