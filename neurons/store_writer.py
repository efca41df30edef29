"""Writing an activation store so that a process killed at any moment can be continued.

Files are preallocated under a temporary name. A window's rows are on the disk before the journal
counts the window as complete, so a resumed run rewrites at most one window, with the same bytes.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from indexer.arrays import half_header
from indexer.errors import RunError
from indexer.records import Record
from indexer.storage import PARTIAL_SUFFIX, read_json, write_json
from neurons.parity import ParityReport
from neurons.records import LayerSite
from neurons.store import (
    JOURNAL_NAME,
    MANIFEST_NAME,
    ExtractionReport,
    HalfArray,
    StoredSite,
    StoreLayout,
    StoreManifest,
)

logger = logging.getLogger(__name__)

_ITEM_BYTES = 2


class Journal(Record):
    """How far a store has come: the windows that are complete and the report over them."""

    layout: StoreLayout
    windows_done: int
    report: ExtractionReport


@dataclass
class StoreWriter:
    """A store being written, window after window."""

    folder: Path
    journal: Journal

    @classmethod
    def open(cls, folder: Path, layout: StoreLayout) -> StoreWriter:
        """Continue the unfinished store in `folder`, or start over if it has another layout.

        Raises:
            RunError: the files cannot be created, for example because the disk is full.
        """
        journal = _read_journal(folder)
        if journal is not None and journal.layout == layout and _files_fit(folder, journal):
            logger.info("continuing %s after %d windows", folder, journal.windows_done)
            return cls(folder, journal)
        clear(folder)
        journal = Journal(layout=layout, windows_done=0, report=ExtractionReport())
        _preallocate(folder, layout)
        write_json(folder / JOURNAL_NAME, journal.model_dump(mode="json"))
        return cls(folder, journal)

    @property
    def windows_done(self) -> int:
        """How many windows are complete."""
        return self.journal.windows_done

    def write_window(
        self, activations: Mapping[LayerSite, HalfArray], report: ExtractionReport
    ) -> None:
        """Write the rows of the next window, then count it as complete.

        Args:
            activations: `n_window_sentences, n_units` for every layer site of the layout.
            report: what was read for this window.

        Raises:
            RunError: the files cannot be written.
            ValueError: an array has not the shape that the layout gives this window.
        """
        layout = self.journal.layout
        first = self.windows_done * layout.window_sentences
        n_rows = min(layout.window_sentences, layout.n_sentences - first)
        for stored in layout.sites:
            array = activations[stored.layer_site]
            if array.shape != (n_rows, stored.units) or array.dtype != np.float16:
                raise ValueError(
                    f"{stored.layer_site}: window {self.windows_done} is {array.dtype} "
                    f"{array.shape}, expected float16 {(n_rows, stored.units)}"
                )
            self._write_rows(stored, first, array)
        self.journal = Journal(
            layout=layout,
            windows_done=self.windows_done + 1,
            report=self.journal.report.plus(report),
        )
        write_json(self.folder / JOURNAL_NAME, self.journal.model_dump(mode="json"))

    def finish(self, parity: ParityReport | None) -> ExtractionReport:
        """Give the files their final names and write the manifest.

        Raises:
            RunError: the files cannot be renamed or the manifest cannot be written.
            ValueError: some windows are not written yet.
        """
        layout = self.journal.layout
        if self.windows_done != n_windows(layout):
            raise ValueError(f"{self.windows_done} of {n_windows(layout)} windows are written")
        for stored in layout.sites:
            partial = _partial(self.folder, stored)
            if partial.exists():
                try:
                    os.replace(partial, self.folder / stored.file_name)
                except OSError as error:
                    raise _cannot_write(partial, error) from error
        manifest = StoreManifest(layout=layout, report=self.journal.report, parity=parity)
        write_json(self.folder / MANIFEST_NAME, manifest.model_dump(mode="json"))
        return manifest.report

    def _write_rows(self, stored: StoredSite, first_row: int, array: HalfArray) -> None:
        path = _partial(self.folder, stored)
        try:
            with path.open("r+b") as handle:
                header = _header(self.journal.layout, stored)
                handle.seek(len(header) + first_row * stored.units * _ITEM_BYTES)
                handle.write(np.ascontiguousarray(array).data)
                handle.flush()
                os.fsync(handle.fileno())
        except OSError as error:
            raise _cannot_write(path, error) from error


def n_windows(layout: StoreLayout) -> int:
    """How many windows the sentences of a layout fall into."""
    return -(-layout.n_sentences // layout.window_sentences)


def clear(folder: Path) -> None:
    """Remove a store's files; the manifest goes first, so that a kill leaves no false promise.

    Raises:
        RunError: a file cannot be removed.
    """
    arrays = sorted([*folder.glob("L*.npy"), *folder.glob(f"L*.npy{PARTIAL_SUFFIX}")])
    for path in (folder / MANIFEST_NAME, folder / JOURNAL_NAME, *arrays):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise RunError(f"cannot remove {path}: {error.strerror or error}") from error


def _preallocate(folder: Path, layout: StoreLayout) -> None:
    """Reserve the whole store at once, so that a full disk shows before any work is done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stored in layout.sites:
            with _partial(folder, stored).open("w+b") as handle:
                handle.write(_header(layout, stored))
                handle.flush()
                _reserve(handle.fileno(), _file_bytes(layout, stored))
                os.fsync(handle.fileno())
    except OSError as error:
        clear(folder)
        units = sum(stored.units for stored in layout.sites)
        needed = layout.n_sentences * units * _ITEM_BYTES
        free = shutil.disk_usage(folder).free if folder.is_dir() else 0
        raise RunError(
            f"cannot reserve {needed / 1e9:.2f} GB for the activations in {folder}: "
            f"{error.strerror or error} ({free / 1e9:.2f} GB free). Free space, choose another "
            "--out, or extract fewer sites; finished stages are kept."
        ) from error


def _header(layout: StoreLayout, stored: StoredSite) -> bytes:
    """How a .npy file of this shape begins."""
    return half_header(layout.n_sentences, stored.units)


def _file_bytes(layout: StoreLayout, stored: StoredSite) -> int:
    return len(_header(layout, stored)) + layout.n_sentences * stored.units * _ITEM_BYTES


def _reserve(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)


def _read_journal(folder: Path) -> Journal | None:
    path = folder / JOURNAL_NAME
    if not path.exists():
        return None
    try:
        return Journal.model_validate(read_json(path))
    except (RunError, ValidationError):
        logger.warning("%s is damaged; the extraction starts over", path)
        return None


def _files_fit(folder: Path, journal: Journal) -> bool:
    """Whether every file is there in full: only the last step may have given final names."""
    complete = journal.windows_done == n_windows(journal.layout)
    for stored in journal.layout.sites:
        path = _partial(folder, stored)
        if not path.exists() and complete:
            path = folder / stored.file_name
        if not path.is_file() or path.stat().st_size != _file_bytes(journal.layout, stored):
            logger.warning("%s is missing or cut; the extraction starts over", path)
            return False
    return True


def _partial(folder: Path, stored: StoredSite) -> Path:
    return folder / (stored.file_name + PARTIAL_SUFFIX)


def _cannot_write(path: Path, error: OSError) -> RunError:
    return RunError(
        f"cannot write {path}: {error.strerror or error}. Free space and run the same command "
        "again; it continues where it stopped."
    )
