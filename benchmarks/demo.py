"""How long the first run of a newcomer takes, and how much memory."""

from __future__ import annotations

from pathlib import Path

from benchmarks.processes import neuroscribe, watch
from benchmarks.records import Measurement

_SECONDS_GOAL = "<= 90"
_MEGABYTES_GOAL = "<= 2048"


def measure(workspace: Path) -> list[Measurement]:
    """The demo run on the sample corpus."""
    command = neuroscribe(
        *("run", "--corpus", "sample", "--model", "bundled"),
        *("--proposer", "embedded", "--proposer", "keyphrase", "--out", str(workspace / "demo")),
    )
    watched = watch(command)
    return [
        Measurement.of("demo.seconds", watched.seconds, "s", goal=_SECONDS_GOAL),
        Measurement.of(
            "demo.peak_memory", watched.resident_bytes / 2**20, "MB", goal=_MEGABYTES_GOAL
        ),
        Measurement.of("demo.peak_anonymous_memory", watched.anonymous_bytes / 2**20, "MB"),
    ]
