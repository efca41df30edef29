"""Names for workers: each has one that no other worker has, also across machines with one folder.

The jobs of a worker go by its name. As long as it lives it holds the lock of its name; a name whose
lock is free is that of a worker that is gone, whose jobs another may take over.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from indexer.errors import BusyError, InputError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SECONDS_TO_TAKE = 2.0


class WorkerSlots:
    """The names of the workers of a workspace.

    Args:
        folder: where their locks lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def taken(self, name: str | None) -> Iterator[str]:
        """Hold a name: the one given, or the first that is free.

        Raises:
            InputError: the name cannot be one.
            BusyError: another worker has it.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        own, lock = self._first_free() if name is None else (name, self._take(name))
        try:
            yield own
        finally:
            os.close(lock)

    @contextmanager
    def of_the_gone(self, name: str) -> Iterator[bool]:
        """Whether the worker of this name is gone; if so, nobody takes its name meanwhile."""
        lock = self._locked(name)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                os.close(lock)

    def _first_free(self) -> tuple[str, int]:
        for number in count():
            name = f"worker-{number}"
            if (lock := self._locked(name)) is not None:
                return name, lock
        raise AssertionError("numbers do not end")

    def _take(self, name: str) -> int:
        if _NAME.fullmatch(name) is None:
            raise InputError(
                f"{name!r} cannot name a worker; expected up to 64 letters, digits, "
                "'.', '_' and '-'"
            )
        # Another worker may hold it for a moment to take over its jobs.
        deadline = time.monotonic() + _SECONDS_TO_TAKE
        while (lock := self._locked(name)) is None:
            if time.monotonic() > deadline:
                raise BusyError(f"another worker is named {name!r}; choose another --name")
            time.sleep(0.05)
        return lock

    def _locked(self, name: str) -> int | None:
        lock = os.open(self._folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock
