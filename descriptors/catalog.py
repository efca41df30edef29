"""The catalog on disk: `descriptors.parquet` and `membership.npz`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile
from zlib import error as DeflateError

import numpy as np
from pydantic import ValidationError
from scipy.sparse import csr_matrix, load_npz, save_npz

from descriptors.records import Descriptor
from indexer.arrays import DoubleArray
from indexer.errors import RunError
from indexer.storage import atomic_path, read_table, why_unreadable

DESCRIPTORS_FILE = "descriptors.parquet"
MEMBERSHIP_FILE = "membership.npz"

# What damage anywhere in an npz file has been seen to raise.
_UNREADABLE = (
    *(OSError, EOFError, ValueError, KeyError, TypeError),
    *(NotImplementedError, BadZipFile, DeflateError),
)


def write_descriptors(path: Path, descriptors: Sequence[Descriptor]) -> None:
    """Write all descriptors, kept and not, in the given order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("id", pa.string()),
            ("text", pa.string()),
            ("proposer", pa.string()),
            ("group", pa.string()),
            ("support", pa.list_(pa.int64())),
            ("kept", pa.bool_()),
            ("reason", pa.string()),
            ("locked", pa.bool_()),
            ("renamed_from", pa.string()),
            ("handicap", pa.float64()),
        ]
    )
    table = pa.Table.from_pylist([d.model_dump() for d in descriptors], schema=schema)
    with atomic_path(path) as partial:
        pq.write_table(table, partial)


def read_descriptors(path: Path) -> list[Descriptor]:
    """All descriptors of a run, in file order.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        return [Descriptor.model_validate(row) for row in read_table(path).to_pylist()]
    except ValidationError as error:
        raise RunError(
            f"{path} is no table of descriptors: {error.error_count()} fields of a row do not fit. "
            "Re-run to rebuild the catalog."
        ) from error


def kept(descriptors: Sequence[Descriptor]) -> list[Descriptor]:
    """The descriptors of the catalog, in file order: the rows of the membership matrix."""
    return [descriptor for descriptor in descriptors if descriptor.kept]


def handicaps(catalog: Sequence[Descriptor]) -> DoubleArray:
    """AUROC by which each descriptor comes after others in matching (`n_descriptors`)."""
    return np.asarray([descriptor.handicap for descriptor in catalog], dtype=np.float64)


def rejections(descriptors: Sequence[Descriptor]) -> dict[str, int]:
    """How many descriptors were turned down for each reason."""
    return dict(sorted(Counter(d.reason for d in descriptors if not d.kept).items()))


def write_membership(path: Path, membership: csr_matrix) -> None:
    """Write the membership matrix (`n_kept, n_sentences`)."""
    with atomic_path(path) as partial, partial.open("wb") as handle:
        save_npz(handle, membership, compressed=True)


def read_membership(path: Path) -> csr_matrix:
    """Read the membership matrix.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        # Given a path, numpy leaves damaged files open.
        with path.open("rb") as handle:
            return csr_matrix(load_npz(handle))
    except _UNREADABLE as error:
        reason = why_unreadable(error, "sparse matrix")
        raise RunError(f"cannot read {path}: {reason}. Re-run to rebuild the catalog.") from error
