"""How files reach the disk: written aside, flushed, renamed; and how content is fingerprinted."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.errors import RunError

if TYPE_CHECKING:
    import pyarrow as pa

PARTIAL_SUFFIX = ".partial"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path` that replaces it when the block succeeds.

    Raises:
        RunError: the file cannot be written (full disk, missing rights).
    """
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb") as handle:
            os.fsync(handle.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror or error}. "
            "Free space or choose another --out; finished stages are kept."
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON with sorted keys, atomically."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        RunError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"cannot read {path}: {error}") from error


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet file, or those of `columns` that it has.

    Raises:
        RunError: the file is missing, is not Parquet, or holds a text that is not UTF-8.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # `pq.read_table` would read a folder as no rows, and a folder `a=b` on the way as a column.
        with pq.ParquetFile(path) as file:
            table = file.read(columns=columns)
        # A damaged text would be found by whoever looks at it first, far from here.
        table.validate(full=True)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise RunError(
            f"cannot read {path}: {error}; expected a Parquet file. Re-run to rebuild it."
        ) from error
    return table


def why_unreadable(error: Exception, content: str) -> str:
    """Why an array could not be read: what the system says, or else that the file holds none.

    Args:
        error: what was raised. numpy's own words tell how to load other bytes unsafely.
        content: what was expected.
    """
    return getattr(error, "strerror", None) or f"it holds no {content}"


def fingerprint(content: Any) -> str:
    """The sha256 of `content` as canonical JSON, in hexadecimal."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def file_fingerprint(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
