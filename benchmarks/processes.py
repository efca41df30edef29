"""Running a command in a process of its own and watching its memory through /proc (Linux)."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_INTERVAL_SECONDS = 0.05
_KIBIBYTE = 1024


@dataclass(frozen=True)
class PhasePeak:
    """The most anonymous memory that was seen during one phase of a process."""

    phase: str
    anonymous_bytes: int


@dataclass(frozen=True)
class Watched:
    """What a process took.

    `resident_bytes` is the kernel's own high-water mark and includes the pages of memory-mapped
    files; `anonymous_bytes`, without them, is the highest of samples taken every 50 ms.
    """

    seconds: float
    resident_bytes: int
    anonymous_bytes: int
    phases: tuple[PhasePeak, ...]


@dataclass
class _Peaks:
    resident: int = 0
    anonymous: dict[str, int] = field(default_factory=dict)

    def note(self, process: int, phase: str) -> None:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        if "VmHWM" not in fields:  # A process that has just ended no longer has memory.
            return
        self.resident = max(self.resident, _bytes(fields["VmHWM"]))
        self.anonymous[phase] = max(self.anonymous.get(phase, 0), _bytes(fields["RssAnon"]))


def neuroscribe(*arguments: str) -> list[str]:
    """The command line of the installed `neuroscribe` beside this interpreter."""
    return [str(Path(sys.executable).with_name("neuroscribe")), *arguments]


def watch(command: Sequence[str], phase: Callable[[], str] = str) -> Watched:
    """Run `command` to its end; `phase` names what it is doing at each sample.

    Raises:
        CalledProcessError: the command failed; its last lines of stderr are in the message.
    """
    with tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors) as process:
            try:
                peaks = _sampled(process, phase)
            except BaseException:
                process.kill()
                raise
        seconds = time.perf_counter() - began
        if process.returncode:
            errors.seek(0)
            sys.stderr.write(errors.read()[-4000:])
            raise subprocess.CalledProcessError(process.returncode, list(command))
    return Watched(
        seconds=seconds,
        resident_bytes=peaks.resident,
        anonymous_bytes=max(peaks.anonymous.values(), default=0),
        phases=tuple(PhasePeak(name, size) for name, size in peaks.anonymous.items()),
    )


def _sampled(process: subprocess.Popen[bytes], phase: Callable[[], str]) -> _Peaks:
    peaks = _Peaks()
    while True:
        peaks.note(process.pid, phase())
        try:
            process.wait(_INTERVAL_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return peaks


def _bytes(text: str) -> int:
    return int(text.split()[0]) * _KIBIBYTE
