"""What is recorded beside an index file, and how the two are checked against each other."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path

import numpy as np
from pydantic import Field, JsonValue, ValidationError

from indexer.errors import RunError
from indexer.neighbours import Vectors
from indexer.records import Record
from indexer.storage import file_fingerprint, read_json, write_json

INDEX_FILE = "sentences.faiss"
MANIFEST_FILE = "manifest.json"

_ROWS_AT_A_TIME = 16_384


class IndexKind(StrEnum):
    """How an index looks for neighbours."""

    EXACT = "exact"
    INVERTED_LISTS = "inverted_lists"


class IndexFacts(Record):
    """What an index is and how well it finds neighbours.

    `recall_at_10` is measured against brute force for inverted lists and 1 for an exact index.
    `vectors_sha256` is `vectors_fingerprint` of what was indexed.
    """

    kind: IndexKind
    n_vectors: int = Field(ge=1)
    dimension: int = Field(ge=1)
    n_lists: int = Field(ge=1)
    n_probes: int = Field(ge=1)
    recall_at_10: float = Field(ge=0.0, le=1.0)
    vectors_sha256: str


class IndexManifest(Record):
    """The manifest of a saved index; `extra` is the caller's, for example its cache key."""

    index: IndexFacts
    faiss_version: str
    file_sha256: str
    extra: dict[str, JsonValue] = Field(default_factory=dict)


def vectors_fingerprint(vectors: Vectors) -> str:
    """The sha256 of type, shape and numbers of `vectors` (`n_vectors, dimension`)."""
    digest = hashlib.sha256(f"{vectors.dtype.str} {vectors.shape}".encode())
    for start in range(0, len(vectors), _ROWS_AT_A_TIME):
        digest.update(np.ascontiguousarray(vectors[start : start + _ROWS_AT_A_TIME]).data)
    return digest.hexdigest()


def write_manifest(folder: Path, manifest: IndexManifest) -> None:
    """Write `folder`/manifest.json, atomically.

    Raises:
        RunError: it cannot be written.
    """
    write_json(folder / MANIFEST_FILE, manifest.model_dump(mode="json"))


def read_manifest(folder: Path) -> IndexManifest:
    """Read `folder`/manifest.json and check that the index file beside it is the one it is about.

    Raises:
        RunError: either file is missing or damaged, or they do not belong together.
    """
    path = folder / MANIFEST_FILE
    try:
        manifest = IndexManifest.model_validate(read_json(path))
    except ValidationError as error:
        raise RunError(f"{path} is not an index manifest: {error}. Rebuild the index.") from error
    index_file = folder / INDEX_FILE
    if not index_file.is_file():
        raise RunError(f"{path} is there but {index_file} is missing. Rebuild the index.")
    found = file_fingerprint(index_file)
    if found != manifest.file_sha256:
        raise RunError(
            f"{index_file} has sha256 {found}, its manifest expects {manifest.file_sha256}. "
            "Rebuild the index."
        )
    return manifest
