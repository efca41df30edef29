"""Which job a client's key stands for, so that a request that is repeated starts no second one."""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path

from indexer.errors import RunError
from service.jobs.job_order import new_job_id


class JobKeys:
    """The keys of a workspace, each a file that is made once.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def id_of(self, key: str) -> str:
        """The id of the job that `key` stands for; a new one the first time, whoever asks.

        Raises:
            RunError: the file cannot be written.
        """
        path = self._folder / hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        own = path.with_name(f"{path.name}.{uuid.uuid4()}")
        try:
            if not path.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                own.write_text(new_job_id(), encoding="ascii")
                _make_once(own, path)
            return path.read_text(encoding="ascii")
        except OSError as error:
            raise RunError(f"cannot write {path}: {error.strerror}; free space for it") from error


def _make_once(own: Path, path: Path) -> None:
    """Have `path` hold what `own` holds, unless somebody else was first."""
    try:
        os.link(own, path)
    except FileExistsError:
        pass
    finally:
        own.unlink()
