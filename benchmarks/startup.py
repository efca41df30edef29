"""How long `neuroscribe --help` and `import neuroscribe` take."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.processes import neuroscribe
from benchmarks.records import Measurement

_RUNS = 7
_GOAL = "< 0.5"


def measure(_workspace: Path) -> list[Measurement]:
    """Medians of interleaved runs, against a Python that does nothing."""
    commands = {
        "nothing": [sys.executable, "-c", "pass"],
        "help": neuroscribe("--help"),
        "run_help": neuroscribe("run", "--help"),
        "import": [sys.executable, "-c", "import neuroscribe"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(_RUNS):
        for name, command in commands.items():
            seconds[name].append(_seconds(command))
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    return [
        Measurement.of(
            f"startup.{name}",
            medians[name],
            "s",
            goal=_GOAL,
            against="python -c pass",
            reference=medians["nothing"],
        )
        for name in commands
        if name != "nothing"
    ]


def _seconds(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
