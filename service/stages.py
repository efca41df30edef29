"""The records a run keeps of its stages, and how the files a stage wrote are recognised."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from indexer.errors import RunError
from indexer.records import Record
from indexer.storage import PARTIAL_SUFFIX, file_fingerprint, fingerprint, read_json

FORMAT_VERSION = 1
"""Raised when a stage's files change meaning, so that older ones are not reused."""

PACKAGES = ("neuroscribe", "torch", "transformers", "sentence-transformers", "faiss-cpu", "numpy")

WHOLE_FILE_BYTES = 64 * 2**20
"""Larger files are recognised by their size and by blocks spread over them."""

_BLOCKS = 256
_BLOCK_BYTES = 65_536


class StoredRecord(Record):
    """Base of the records a run keeps as JSON files."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the record from a JSON file.

        Raises:
            RunError: the file is missing or is not such a record.
        """
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            raise RunError(
                f"{path} is damaged: {error.error_count()} fields are not as written. "
                "Remove the file and run the same `neuroscribe run` again"
            ) from error


class StageRecord(StoredRecord):
    """A stage that is done: the hash of its inputs, and fingerprints of the files it wrote.

    `result` is what the stage found worth keeping: counts, choices, measured recall.
    """

    name: str
    key: str
    inputs: dict[str, Any]
    outputs: dict[str, str]
    result: Any = None


class Manifest(StoredRecord):
    """What a finished run was made with; `stages` holds each stage's result."""

    format_version: int
    versions: dict[str, str]
    settings: dict[str, Any]
    seeds: dict[str, int]
    fingerprints: dict[str, str]
    stages: dict[str, StageRecord]

    @classmethod
    def of(
        cls,
        *,
        settings: Mapping[str, Any],
        stages: Mapping[str, StageRecord],
        fingerprints: Mapping[str, str],
        seeds: Mapping[str, int],
    ) -> Self:
        """A manifest that names the versions in use."""
        return cls(
            format_version=FORMAT_VERSION,
            versions=installed_versions(),
            settings=dict(settings),
            seeds=dict(seeds),
            fingerprints=dict(fingerprints),
            stages=dict(stages),
        )


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the packages whose release can change a run's numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def output_fingerprint(path: Path) -> str:
    """A short text that changes when a file, or any file below a folder, changes.

    Files up to `WHOLE_FILE_BYTES` are hashed whole. Larger ones (activations) are hashed by their
    size and 256 blocks of 64 KiB spread evenly, first and last included: that sees truncation, a
    zeroed region of 1/256 of the file and other weights, not one changed number.
    """
    if path.is_dir():
        files = sorted(
            entry
            for entry in path.rglob("*")
            if entry.is_file() and not entry.name.endswith(PARTIAL_SUFFIX)
        )
        names = {entry.relative_to(path).as_posix(): output_fingerprint(entry) for entry in files}
        return f"folder-sha256:{fingerprint(names)}"
    if path.stat().st_size <= WHOLE_FILE_BYTES:
        return f"sha256:{file_fingerprint(path)}"
    return f"blocks-sha256:{_blocks_fingerprint(path)}"


def _blocks_fingerprint(path: Path) -> str:
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb", buffering=0) as handle:
        for block in range(_BLOCKS):
            handle.seek((size - _BLOCK_BYTES) * block // (_BLOCKS - 1))
            digest.update(handle.read(_BLOCK_BYTES))
    return digest.hexdigest()
