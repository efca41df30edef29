"""The runs of a folder, by name, held open for many readers."""

from __future__ import annotations

import logging
import os
import re
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

from cachetools import LRUCache

from indexer.errors import BusyError, InputError, NotFoundError, RunError
from service.folder_lock import lock_folder
from service.jobs.records import RUN_NAME
from service.service_settings import WORKSPACE
from service.views.opened_run import MANIFEST, FileMark
from service.views.records import RunCard
from service.views.run_cards import SETTINGS, card_of, damaged_card, was_finished
from service.views.run_view import RunView, Standing
from service.views.shared_models import SharedModels

logger = logging.getLogger(__name__)

_KEPT_CARDS = 4096
_DELETED = "deleted"


class OpenViews(LRUCache[str, RunView]):
    """The views that are held open; the one that was not read for longest is let go.

    One of a run that is being rewritten could not be opened again, so it is set aside instead, in
    `updating`.
    """

    def __init__(self, n_open: int) -> None:
        super().__init__(n_open)
        self.updating: dict[str, RunView] = {}

    def popitem(self) -> tuple[str, RunView]:
        """Let go of a view to make room for another."""
        name, view = super().popitem()
        if view.standing is Standing.UPDATING:
            self.updating[name] = view
        return name, view

    def held(self, name: str) -> RunView | None:
        """The view of a run, None if it is not open."""
        return self.get(name) or self.updating.get(name)

    def let_go(self, name: str) -> None:
        """Forget the view of a run."""
        self.pop(name, None)
        self.updating.pop(name, None)


class RunLibrary:
    """The runs below a folder; safe for many threads.

    Args:
        folder: whose subfolders are runs.
        n_open: runs held open at once, besides those that are being rewritten.
        when_opened: is told of each run that was opened; must not block.
    """

    def __init__(
        self,
        folder: Path,
        n_open: int,
        when_opened: Callable[[RunView], object] = lambda _: None,
    ) -> None:
        self.folder = folder
        self._when_opened = when_opened
        self._models = SharedModels()
        self._views = OpenViews(n_open)
        self._cards: LRUCache[str, tuple[FileMark, RunCard]] = LRUCache(_KEPT_CARDS)
        self._lock = threading.Lock()
        self._opening: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def path(self, name: str) -> Path:
        """The folder of a run.

        Raises:
            NotFoundError: there is none of this name.
        """
        path = self.folder / name
        if re.fullmatch(RUN_NAME, name) is None or not (path / SETTINGS).is_file():
            raise NotFoundError(
                f"there is no run {name[:100]!r}; GET /v1/runs lists those there are"
            )
        return path

    def names(self) -> list[str]:
        """The names of all runs, finished or not, in alphabetical order."""
        found = self.folder.glob(f"*/{SETTINGS}")
        return sorted(
            each.parent.name for each in found if re.fullmatch(RUN_NAME, each.parent.name)
        )

    def cards(self, names: Sequence[str] | None = None) -> list[RunCard]:
        """Runs at a glance, all of them if None; no run is opened for it."""
        chosen = self.names() if names is None else names
        return [self._card(self.folder / name) for name in chosen]

    def card(self, name: str) -> RunCard:
        """One run at a glance; it is not opened for it.

        Raises:
            NotFoundError: there is none of this name.
        """
        return self._card(self.path(name))

    def open(self, name: str) -> RunView:
        """A finished run, as it was when it was opened if a job is rewriting it.

        Raises:
            NotFoundError: there is none of this name.
            BusyError: it is being rewritten and is not open.
            RunError: it is not complete, or damaged.
        """
        path = self.path(name)
        view = self._readable(name)
        if view is not None:
            return view
        with self._lock:
            opening = self._opening[name]
        with opening:
            view = self._readable(name)
            if view is None:
                view = self._opened(path)
                with self._lock:
                    self._views[name] = view
                    # What was damaged when it was last looked at has been mended.
                    self._cards.pop(name, None)
                self._when_opened(view)
            return view

    def delete(self, name: str) -> None:
        """Remove a run with everything in it.

        Raises:
            NotFoundError: there is none of this name.
            BusyError: another process is writing it.
            RunError: its files cannot be removed.
        """
        path = self.path(name)
        try:
            lock = lock_folder(path, SETTINGS, frozenset())
        except BusyError as error:
            raise BusyError(
                f"another process is writing {name}; wait for the job that does so or cancel it, "
                f"GET /v1/jobs?run={name} lists it"
            ) from error
        except (InputError, RunError) as error:
            raise RunError(f"cannot delete {name}: {error}") from error
        try:
            with self._lock:
                self._views.let_go(name)
            self._removed(path)
        finally:
            os.close(lock)

    def _removed(self, path: Path) -> None:
        """Move a run out of sight before it is taken apart, which may be interrupted."""
        aside = self.folder / WORKSPACE / _DELETED
        try:
            aside.mkdir(parents=True, exist_ok=True)
            path.rename(aside / uuid4().hex)
            for each in aside.iterdir():
                if each.is_symlink():
                    each.unlink(missing_ok=True)
                else:
                    shutil.rmtree(each, ignore_errors=True)
                if each.exists():
                    logger.warning("%s cannot be removed; it is tried again", each)
        except OSError as error:
            raise RunError(
                f"cannot delete {path.name}: {error.strerror or error}. Stop the service and "
                "remove its folder by hand"
            ) from error

    def _readable(self, name: str) -> RunView | None:
        """The view that is open, unless the run has become another."""
        with self._lock:
            view = self._views.held(name)
        if view is None or view.standing in {Standing.CURRENT, Standing.UPDATING}:
            return view
        with self._lock:
            if self._views.held(name) is view:
                self._views.let_go(name)
        return None

    def _opened(self, path: Path) -> RunView:
        mark = FileMark.of(path / MANIFEST)
        if mark is None:
            raise _incomplete(self.path(path.name))
        try:
            return RunView(path, self._models)
        except BusyError:
            raise
        except RunError as error:
            with self._lock:
                self._cards[path.name] = mark, damaged_card(path, str(error))
            raise

    def _card(self, path: Path) -> RunCard:
        name = path.name
        mark = FileMark.of(path / MANIFEST)
        with self._lock:
            view, kept = self._views.held(name), self._cards.get(name)
        if mark is None:
            is_read = view is not None and view.standing is Standing.UPDATING
            return view.card() if view is not None and is_read else card_of(path)
        if kept is not None and kept[0] == mark:
            return kept[1]
        card = card_of(path)
        with self._lock:
            self._cards[name] = mark, card
        return card


def _incomplete(path: Path) -> RunError:
    if was_finished(path):
        return BusyError(
            f"{path.name} is being rewritten by a job; ask again when the job is done, GET "
            "/v1/jobs lists it. If there is none, a `rebuild` or `run` job finishes what was "
            "interrupted"
        )
    return RunError(
        f"{path.name} is not complete (no {MANIFEST}); wait for the job that makes it, or start "
        "an `explain` job to finish it"
    )
