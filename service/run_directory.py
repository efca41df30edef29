"""A run's folder: who may write it, which stages are done, and when it counts as complete.

`RUN/settings.json` is written first, `RUN/stages/NAME.json` after each stage and
`RUN/manifest.json` last, so each file's presence says that everything before it is on disk. A
process killed at any moment leaves a folder that the same command completes to the same bytes;
only `RUN/timings.json` and `RUN/.lock` may differ between two runs.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from indexer.errors import InputError, RunError
from indexer.progress import begin_stage
from indexer.storage import PARTIAL_SUFFIX, fingerprint, read_json, write_json
from service.folder_lock import lock_folder
from service.identity import RunIdentity, check_identity
from service.stages import FORMAT_VERSION, Manifest, StageRecord, output_fingerprint

logger = logging.getLogger(__name__)

_SETTINGS = "settings.json"
_MANIFEST = "manifest.json"
_TIMINGS = "timings.json"
_STARTED_SUFFIX = ".started"
_SCRATCH = ".neuroscribe-scratch"


class RunDirectory:
    """The files of one run, and the stages that wrote them.

    `create` locks the folder for writing until `close`; `open` reads a finished run.
    """

    def __init__(self, path: Path, lock: int | None) -> None:
        self.path = path
        self._lock = lock
        self._forgotten: set[str] = set()
        self.reused: list[str] = []
        self.recomputed: list[str] = []

    @property
    def scratch(self) -> Path:
        """A folder for files that come to nothing unless they are moved; `close` removes it."""
        return self.path / _SCRATCH

    @property
    def begun(self) -> bool:
        """Whether the folder holds the settings of a run."""
        return (self.path / _SETTINGS).is_file()

    @classmethod
    def create(cls, path: Path) -> Self:
        """Open `path` for writing, making it if needed.

        Raises:
            InputError: `path` is a file, a folder that is not a run, or cannot be made.
            RunError: another process is writing this run.
        """
        return cls(path, lock_folder(path, _SETTINGS, {_SCRATCH, _SETTINGS + PARTIAL_SUFFIX}))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a finished run for reading.

        Raises:
            InputError: there is no run at `path`.
            RunError: the run is not complete.
        """
        if not (path / _SETTINGS).is_file():
            raise InputError(
                f"{path} is not a run; expected a folder that `neuroscribe run --out` has written"
            )
        if not (path / _MANIFEST).is_file():
            raise RunError(
                f"{path} is not complete (no {_MANIFEST}); "
                "run the same `neuroscribe run` again to resume"
            )
        return cls(path, None)

    def close(self) -> None:
        """Let other processes write the run."""
        if self._lock is not None:
            shutil.rmtree(self.scratch, ignore_errors=True)
            os.close(self._lock)
            self._lock = None

    def check(self, settings: Mapping[str, Any], *, update: bool = False) -> None:
        """Check that the settings fit what the folder holds.

        Raises:
            InputError: the folder belongs to a run whose identity differs and `update` is false.
            RunError: the settings on disk cannot be read.
        """
        path = self.path / _SETTINGS
        if path.is_file() and not update:
            wanted = RunIdentity(format_version=FORMAT_VERSION, settings=_plain(settings))
            check_identity(self.path, RunIdentity.read(path), wanted)

    def begin(self, settings: Mapping[str, Any], *, update: bool = False) -> None:
        """Write the settings, after the same check as `check`.

        Raises:
            InputError: the folder belongs to a run whose identity differs and `update` is false.
            RunError: the settings on disk cannot be read.
        """
        self._check_writable()
        self.check(settings, update=update)
        wanted = RunIdentity(format_version=FORMAT_VERSION, settings=_plain(settings))
        path = self.path / _SETTINGS
        if path.is_file():
            if RunIdentity.read(path) == wanted:
                return
            self._withdraw_manifest()
        write_json(path, wanted.model_dump(mode="json"))

    def holds(self, name: str, inputs: Mapping[str, Any]) -> bool:
        """Whether `stage` would reuse what it left."""
        record = self._record(name)
        return record is not None and self._is_current(record, _stage_key(name, inputs))

    def forget(self, *names: str) -> None:
        """Have stages done again although their inputs and files are unchanged."""
        self._forgotten.update(names)

    def withdraw(self, name: str) -> None:
        """Remove what a stage has left, and its record."""
        self._check_writable()
        record = self._record(name)
        if record is not None:
            self._withdraw_manifest()
            self._discard(name, set(record.outputs))

    def stage(
        self,
        name: str,
        inputs: Mapping[str, Any],
        outputs: Sequence[str],
        action: Callable[[], Any],
    ) -> StageRecord:
        """Do a stage, or reuse what it left if its inputs and its files are unchanged.

        `outputs` are files or folders below the run; `action` writes them and returns what is
        worth keeping as JSON. What an interrupted action left is kept for it to resume from,
        unless it was started with other inputs.

        Raises:
            RunError: a file cannot be written, or `action` did not write an output.
        """
        self._check_writable()
        begin_stage(name)
        key = _stage_key(name, inputs)
        record = self._record(name)
        started = self._started_path(name)
        if record is not None and self._is_current(record, key):
            started.unlink(missing_ok=True)
            self.reused.append(name)
            logger.info("stage %s: unchanged", name)
            return record
        self._withdraw_manifest()
        if record is not None or not _started_with(started, key):
            self._discard(name, {*outputs, *(record.outputs if record else ())})
        write_json(started, {"key": key})
        began = time.monotonic()
        try:
            result = _plain(action())
        except OSError as error:
            raise RunError(
                f"stage {name} failed: {error}. Finished stages are kept; "
                "mend the cause and run the same command again"
            ) from error
        record = StageRecord(
            name=name,
            key=key,
            inputs=_plain(inputs),
            outputs={output: self._output(name, output) for output in outputs},
            result=result,
        )
        write_json(self._record_path(name), record.model_dump(mode="json"))
        started.unlink(missing_ok=True)
        self._note_seconds(name, time.monotonic() - began)
        self.recomputed.append(name)
        return record

    def finish(self, *, fingerprints: Mapping[str, str], seeds: Mapping[str, int]) -> Manifest:
        """Declare the run complete: write the manifest, atomically and last.

        `fingerprints` are those of the corpus and the models. A manifest that is there already and
        for which nothing was redone is kept: it names the versions the files were made with.
        """
        self._check_writable()
        for leftover in sorted(self.path.rglob(f"*{PARTIAL_SUFFIX}")):
            leftover.unlink()
        if not self.recomputed and (self.path / _MANIFEST).is_file():
            return self.manifest()
        manifest = Manifest.of(
            settings=self.settings(),
            stages=self.stages(),
            fingerprints=fingerprints,
            seeds=seeds,
        )
        write_json(self.path / _MANIFEST, manifest.model_dump(mode="json"))
        return manifest

    def manifest(self) -> Manifest:
        """The manifest of a finished run.

        Raises:
            RunError: the run is not complete or the manifest is damaged.
        """
        return Manifest.read(self.path / _MANIFEST)

    def settings(self) -> dict[str, Any]:
        """The settings the run was begun with.

        Raises:
            RunError: they cannot be read.
        """
        return RunIdentity.read(self.path / _SETTINGS).settings

    def stages(self) -> dict[str, StageRecord]:
        """The stages that are done, by name in alphabetical order."""
        folder = self.path / "stages"
        records = [StageRecord.read(path) for path in sorted(folder.glob("*.json"))]
        return {record.name: record for record in records}

    def _record(self, name: str) -> StageRecord | None:
        path = self._record_path(name)
        return StageRecord.read(path) if path.is_file() else None

    def _record_path(self, name: str) -> Path:
        return self.path / "stages" / f"{name}.json"

    def _started_path(self, name: str) -> Path:
        return self.path / "stages" / f"{name}{_STARTED_SUFFIX}"

    def _is_current(self, record: StageRecord, key: str) -> bool:
        is_wanted = record.key == key and record.name not in self._forgotten
        return is_wanted and self._intact(record)

    def _intact(self, record: StageRecord) -> bool:
        for output, expected in record.outputs.items():
            path = self.path / output
            if not path.exists() or output_fingerprint(path) != expected:
                logger.warning("stage %s: %s was changed or removed; redone", record.name, output)
                return False
        return True

    def _output(self, name: str, output: str) -> str:
        path = self.path / output
        if not path.exists():
            raise RunError(f"stage {name} did not write {path}")
        return output_fingerprint(path)

    def _discard(self, name: str, outputs: set[str]) -> None:
        # The record goes first: a kill in between must not leave it describing missing files.
        self._record_path(name).unlink(missing_ok=True)
        self._started_path(name).unlink(missing_ok=True)
        for output in sorted(outputs):
            path = self.path / output
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def _withdraw_manifest(self) -> None:
        (self.path / _MANIFEST).unlink(missing_ok=True)

    def _note_seconds(self, name: str, seconds: float) -> None:
        path = self.path / _TIMINGS
        timings = read_json(path) if path.is_file() else {}
        write_json(path, {**timings, name: round(seconds, 3)})

    def _check_writable(self) -> None:
        if self._lock is None:
            raise ValueError(f"{self.path} was opened for reading; use RunDirectory.create")


def _stage_key(name: str, inputs: Mapping[str, Any]) -> str:
    return fingerprint({"stage": name, "format_version": FORMAT_VERSION, "inputs": inputs})


def _plain(content: Any) -> Any:
    """What `content` will be once read back, so that done and reused stages answer alike."""
    return json.loads(json.dumps(content, ensure_ascii=False, allow_nan=False))


def _started_with(started: Path, key: str) -> bool:
    return started.is_file() and read_json(started) == {"key": key}
