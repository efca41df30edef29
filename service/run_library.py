"""The runs of a folder, by name, held open for many readers."""

from __future__ import annotations

import re
import shutil
import threading
from collections import OrderedDict
from pathlib import Path

from indexer.errors import NotFoundError
from service.finished_run import FinishedRun
from service.jobs.records import RUN_NAME
from service.run_directory import RunDirectory


class RunLibrary:
    """The runs below a folder.

    Args:
        folder: whose subfolders are runs.
        n_open: runs held open at once.
    """

    def __init__(self, folder: Path, n_open: int) -> None:
        self.folder = folder
        self._n_open = n_open
        self._open: OrderedDict[str, FinishedRun] = OrderedDict()
        self._lock = threading.Lock()

    def path(self, name: str) -> Path:
        """The folder of a run.

        Raises:
            NotFoundError: there is none of this name.
        """
        path = self.folder / name
        if re.fullmatch(RUN_NAME, name) is None or not (path / "settings.json").is_file():
            raise NotFoundError(f"there is no run {name!r}; GET /v1/runs lists those there are")
        return path

    def names(self) -> list[str]:
        """The names of all runs, finished or not, in alphabetical order."""
        found = self.folder.glob("*/settings.json")
        return sorted(
            each.parent.name for each in found if re.fullmatch(RUN_NAME, each.parent.name)
        )

    def open(self, name: str) -> FinishedRun:
        """A finished run.

        Raises:
            NotFoundError: there is none of this name.
            RunError: it is not complete, or damaged.
        """
        with self._lock:
            if name not in self._open:
                self._open[name] = FinishedRun(self.path(name))
            self._open.move_to_end(name)
            while len(self._open) > self._n_open:
                self._open.popitem(last=False)
            return self._open[name]

    def delete(self, name: str) -> None:
        """Remove a run with everything in it.

        Raises:
            NotFoundError: there is none of this name.
            RunError: another process is writing it.
        """
        path = self.path(name)
        directory = RunDirectory.create(path)
        try:
            with self._lock:
                self._open.pop(name, None)
            shutil.rmtree(path)
        finally:
            directory.close()
