"""How memory grows with the number of sentences: whole runs on ever more of one corpus.

Resident memory counts pages of memory-mapped files, which the kernel takes back when others need
them; anonymous memory does not, so it is the one that must stay bounded. Buffers of a fixed size
(4,096 sentences of activations, 64 MB of ranks) are not full on few sentences, so growth is also
fitted without the small runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.corpora import many_texts
from benchmarks.processes import Watched, neuroscribe, watch
from benchmarks.records import Measurement
from indexer.storage import atomic_path, read_json

PAGE = Path(__file__).with_name("memory.md")

_LIMITS = (3_000, 6_000, 12_000, 24_000, 48_000)
_FULL_FROM = 12_000
_MAPPED = ("activations/*.npy", "index/*.npy")


@dataclass(frozen=True)
class SizedRun:
    """A whole run on some sentences, the bytes of its memory-mapped files, and what it took."""

    sentences: int
    mapped_bytes: int
    watched: Watched


def measure(workspace: Path) -> list[Measurement]:
    """Peak memory of whole runs and how it grows, in bytes per sentence."""
    runs = [_run(workspace, limit) for limit in _LIMITS]
    with atomic_path(PAGE) as partial:
        partial.write_text(page(runs), encoding="utf-8")
    large = [run for run in runs if run.sentences >= _FULL_FROM]
    last = runs[-1]
    return [
        *_growth("growth_from_12000", large, f"<= {_mapped_slope(large):.0f}"),
        *_growth("growth_from_3000", runs),
        _megabytes("largest_run_resident", last.watched.resident_bytes),
        _megabytes("largest_run_anonymous", last.watched.anonymous_bytes),
        _megabytes("largest_run_mapped", last.mapped_bytes),
    ]


def slope(runs: Sequence[SizedRun], sizes: Sequence[int]) -> float:
    """Least-squares growth of `sizes` in bytes per sentence."""
    import numpy as np

    return float(np.polyfit([run.sentences for run in runs], sizes, 1)[0])


def page(runs: Sequence[SizedRun]) -> str:
    """Markdown: peaks of each run, and the anonymous peak of each stage."""
    phases = list(dict.fromkeys(peak.phase for run in runs for peak in run.watched.phases))
    header = ["MB at sentences", *(f"{run.sentences:,}" for run in runs)]
    lines = [
        "# Memory of whole runs",
        "",
        "Written by `benchmarks/memory.py`; FFN units of the bundled model, MB of 2^20 bytes.",
        "Stages are the highest anonymous memory while each ran.",
        "",
        f"| {' | '.join(header)} |",
        f"|---|{'---:|' * len(runs)}",
        _row("memory-mapped files", [run.mapped_bytes for run in runs]),
        _row("peak resident", [run.watched.resident_bytes for run in runs]),
        _row("peak anonymous", [run.watched.anonymous_bytes for run in runs]),
        *(_row(phase, [_peak(run, phase) for run in runs]) for phase in phases),
    ]
    return "\n".join(lines) + "\n"


def _growth(name: str, runs: Sequence[SizedRun], goal: str | None = None) -> list[Measurement]:
    """Growth of resident and of anonymous memory; `goal` is for the first."""
    against, unit, mapped = "memory-mapped bytes", "bytes/sentence", _mapped_slope(runs)
    resident = slope(runs, [run.watched.resident_bytes for run in runs])
    anonymous = slope(runs, [run.watched.anonymous_bytes for run in runs])
    return [
        Measurement.of(
            f"memory.resident_{name}", resident, unit, goal=goal, against=against, reference=mapped
        ),
        Measurement.of(
            f"memory.anonymous_{name}", anonymous, unit, against=against, reference=mapped
        ),
    ]


def _mapped_slope(runs: Sequence[SizedRun]) -> float:
    return slope(runs, [run.mapped_bytes for run in runs])


def _megabytes(name: str, size: int) -> Measurement:
    return Measurement.of(f"memory.{name}", size / 2**20, "MB")


def _run(workspace: Path, limit: int) -> SizedRun:
    out = workspace / f"memory-{limit}"
    command = neuroscribe(
        *("run", "--corpus", str(many_texts(workspace)), "--site", "ffn"),
        *("--limit", str(limit), "--out", str(out)),
    )
    watched = watch(command, lambda: _stage(out))
    corpus = read_json(out / "stages" / "corpus.json")
    mapped = sum(path.stat().st_size for pattern in _MAPPED for path in out.glob(pattern))
    shutil.rmtree(out)
    return SizedRun(int(corpus["result"]["sentences"]), mapped, watched)


def _stage(out: Path) -> str:
    """The stage a run is in: it leaves a mark for as long as the stage is not done."""
    started = sorted((out / "stages").glob("*.started"))
    return started[0].stem if started else "between stages"


def _peak(run: SizedRun, phase: str) -> int | None:
    sizes = [peak.anonymous_bytes for peak in run.watched.phases if peak.phase == phase]
    return sizes[0] if sizes else None


def _row(name: str, sizes: Sequence[int | None]) -> str:
    cells = ["" if size is None else f"{size / 2**20:,.0f}" for size in sizes]
    return f"| {name} | {' | '.join(cells)} |"
