"""Asks about a Parquet file in a process of its own, whose memory and time are bounded.

What such a file takes to read is told neither by its size nor by its footer: each of its pages says
for itself how far it expands, and a kilobyte may say a gigabyte. So the service never reads one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Literal

from indexer.errors import InputError

MEMORY_BYTES = 512 * 2**20
"""What reading may take, above what a process has before it begins."""

_SECONDS = 300.0
_AT_ONCE = threading.Semaphore(2)
_ROOT = str(Path(__file__).parents[1])
# No secret of the service is handed on.
_HANDED_ON = ("PATH", "LD_LIBRARY_PATH")


def ask_apart(question: Literal["check", "rows"], path: Path, number: int) -> Any:
    """What `service.upload_parquet` answers.

    Raises:
        InputError: the file is refused, or reading it takes too much memory or time.
    """
    # -P: a folder `eval` where the service was started must not pass for ours.
    command = [sys.executable, "-P", "-m", "service.upload_parquet", question, str(path)]
    told = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    # The plain allocator takes what it is asked for; others reserve far more.
    own = {"PYTHONPATH": _ROOT, "PYTHONUTF8": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    try:
        with _AT_ONCE:
            done = subprocess.run(  # noqa: S603 - our own command
                [*command, str(number)],
                env=told | own,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=_SECONDS,
                check=True,
            )
        answer = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        raise InputError(
            f"the Parquet file cannot be read within {MEMORY_BYTES // 2**20} MiB of memory and "
            f"{_SECONDS:g} s; write it with smaller pages and row groups, or send .jsonl.gz"
        ) from error
    if "refusal" in answer:
        raise InputError(answer["refusal"])
    return answer["rows"]
