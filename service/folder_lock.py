"""One writer at a time for the folder of a run, and no folder that is not one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Set
from pathlib import Path

from indexer.errors import BusyError, InputError, RunError

_LOCK = ".lock"


def lock_folder(path: Path, mark: str, leftovers: Set[str]) -> int:
    """Lock the folder `path` for writing, making it if needed; closing the answer unlocks it.

    A folder with other files than `leftovers` is touched only if it holds the file `mark`.

    Raises:
        InputError: `path` is a file, a folder that is not a run, or cannot be made.
        BusyError: another process has locked it.
        RunError: it is a run, but cannot be locked.
    """
    try:
        _check_is_ours(path, mark, leftovers)
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        # Unlike Path.is_file, this is False where the folder may not be looked into.
        if os.path.isfile(path / mark):
            raise RunError(
                f"cannot lock {path}: {error.strerror}. Expected a folder that may be written to, "
                f"and {_LOCK} in it a file or nothing"
            ) from error
        raise InputError(
            f"cannot make the run folder {path}: {error.strerror}; "
            "choose an --out that you may write to"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise BusyError(
            f"another process is writing {path}; wait until it is done or choose another --out"
        ) from error
    return lock


def _check_is_ours(path: Path, mark: str, leftovers: Set[str]) -> None:
    if not path.exists():
        return
    if not path.is_dir():
        raise InputError(f"--out {path} is a file; expected a folder or a name that is free")
    names = {entry.name for entry in path.iterdir()}
    if names - {_LOCK, *leftovers} and mark not in names:
        raise InputError(
            f"--out {path} holds files but is not a neuroscribe run; "
            "choose an empty folder or a name that is free"
        )
