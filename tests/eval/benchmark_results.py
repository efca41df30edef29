"""Results of benchmarks, made up."""

from typing import Any

from eval.benchmark_records import (
    BenchmarkFigure,
    BenchmarkResults,
    BenchmarkRun,
    Circumstances,
    ComparedSet,
    RecoveryRow,
)
from eval.matchers import OURS, TRUE_LABELS

CIRCUMSTANCES = Circumstances(
    command="neuroscribe benchmark --suite suite.json",
    date="2026-01-31",
    processor="A Processor",
    cores=2,
    memory_gb=23.4,
    versions={"python": "3.11.9", "numpy": "2.3.0"},
)


def row(corpus: str, matcher: str = OURS, **changes: Any) -> RecoveryRow:
    """A row at the headline cutoff: precision 0.8, recall 0.6, upper bounds 0.9 and 0.7."""
    told: dict[str, Any] = {
        "corpus": corpus,
        "facet": "topic",
        "site": "ffn",
        "tail": "+",
        "model": "bundled",
        "proposer": "keyphrase",
        "matcher": matcher,
        "tau": 0.9,
        "k": 2,
        "precision": 0.8,
        "precision_low": 0.75,
        "precision_high": 0.85,
        "precision_null": 0.01,
        "precision_baseline": 0.1,
        "precision_upper": 0.9,
        "precision_ratio": 0.8 / 0.9,
        "recall": 0.6,
        "recall_low": 0.56,
        "recall_high": 0.64,
        "recall_null": 0.01,
        "recall_baseline": 0.05,
        "recall_upper": 0.7,
        "recall_ratio": 0.6 / 0.7,
        "recall_ceiling": 0.95,
        "n": 400,
        "seconds": 12.0,
    }
    return RecoveryRow(**(told | changes))


def frequency_row(corpus: str, high: float = 0.15) -> RecoveryRow:
    """The commonest descriptors, which reach `high` at most."""
    return row(
        corpus,
        "frequency",
        precision=0.1,
        precision_low=0.05,
        precision_high=high,
        recall=0.05,
        recall_low=0.0,
        recall_high=high,
        precision_ratio=0.1 / 0.9,
        recall_ratio=0.05 / 0.7,
    )


def run(corpus: str, **changes: Any) -> BenchmarkRun:
    """A run of ten minutes."""
    told: dict[str, Any] = {
        "corpus": corpus,
        "model": "bundled",
        "proposer": "keyphrase",
        "sentences": 5000,
        "neurons": 9216,
        "descriptors": 120,
        "described": 0.41,
        "seconds": 600.0,
    }
    return BenchmarkRun(**(told | changes))


def results(
    rows: list[RecoveryRow], figures: list[BenchmarkFigure] | None = None, **changes: Any
) -> BenchmarkResults:
    """A benchmark of these rows."""
    corpora = tuple(dict.fromkeys(each.corpus for each in rows))
    told: dict[str, Any] = {
        "circumstances": CIRCUMSTANCES,
        "sets": tuple(ComparedSet(corpus=corpus) for corpus in corpora),
        "matchers": (OURS, "frequency", TRUE_LABELS),
        "sites": ("ffn",),
        "minimum_neurons": 50,
        "runs": tuple(run(corpus) for corpus in corpora),
        "rows": tuple(rows),
        "figures": tuple(figures or ()),
    }
    return BenchmarkResults(**(told | changes))


def figure(
    corpus: str, protocol: str, variant: str, value: float | None, **more: Any
) -> BenchmarkFigure:
    """A figure of a protocol."""
    told: dict[str, Any] = {
        "protocol": protocol,
        "variant": variant,
        "metric": "P",
        "k": 2,
        "split": "test",
        "value": value,
        "n": 100,
        "corpus": corpus,
        "model": "bundled",
        "proposer": "keyphrase",
    }
    return BenchmarkFigure(**(told | more))
