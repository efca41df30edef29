"""Looks at a Parquet file that was sent: checks it whole, or shows its first rows.

`python -m service.upload_parquet check|rows FILE NUMBER`, started by `service.upload_apart`; prints
its answer as JSON. The functions may be called in any process that trusts the file.
"""

from __future__ import annotations

import json
import resource
import sys
from itertools import islice
from pathlib import Path
from typing import Any

from indexer.errors import InputError
from service.upload_apart import MEMORY_BYTES
from service.upload_checks import MAXIMUM_COLUMNS, check_expansion
from service.upload_preview import MAXIMUM_FIELDS, shown

_UNSUSPICIOUS_ROWS = 1_000_000
_MAXIMUM_FOOTER_BYTES = 16 * 2**20
_MARK, _ENCRYPTED_MARK = b"PAR1", b"PARE"
_ROWS_AT_A_TIME = 1024
_LIST_ITEMS = 100


def check_parquet(path: Path, limit: int) -> None:
    """Check a file whole: what it declares, and that every column of it can be read.

    Raises:
        InputError: it is no whole Parquet file with texts, or expands to more than `limit` bytes.
    """
    import pyarrow as pa

    _check_ends(path)
    try:
        with _opened(path) as table:
            _check_declared(table.metadata, path.stat().st_size, limit)
            schema = table.schema_arrow
            if not any(_is_text(field.type) for field in schema):
                raise InputError("the file has no column of strings; expected one with the texts")
            # A column at a time: each holds a page in memory, and there may be thousands.
            expanded = 0
            for name in dict.fromkeys(schema.names):
                expanded = _read(table, name, expanded, path.stat().st_size, limit)
    except MemoryError:
        # Arrow's is one of its own errors too; what was asked for too much is told outside.
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(error) from error


def parquet_rows(path: Path, wanted: int) -> list[dict[str, Any]]:
    """The first rows of a checked file, shortened; what has no plain form is told by its type.

    Raises:
        InputError: they cannot be read.
    """
    import pyarrow as pa

    columns: dict[str, list[Any]] = {}
    try:
        with _opened(path) as table:
            for field in islice(table.schema_arrow, MAXIMUM_FIELDS):
                n_rows = min(wanted, table.metadata.num_rows)
                columns[field.name] = [f"({field.type})"] * n_rows
                if _is_plain(field.type):
                    batch = next(_batches(table, field.name, wanted), None)
                    values = [] if batch is None else batch.column(0).to_pylist()
                    columns[field.name] = [_short(value) for value in values]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(error) from error
    n_rows = max(map(len, columns.values()), default=0)
    return [
        {name: values[place] for name, values in columns.items() if place < len(values)}
        for place in range(n_rows)
    ]


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_shown_unless_number(each) for each in value[:_LIST_ITEMS]]
    return _shown_unless_number(value)


def _shown_unless_number(value: Any) -> Any:
    return value if value is None or isinstance(value, int | float) else shown(value)


def _opened(path: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(path, pre_buffer=False, buffer_size=2**20)


def _batches(table: Any, name: str, n_rows: int) -> Any:
    return table.iter_batches(n_rows, columns=[name], use_threads=False)


def _read(table: Any, name: str, expanded: int, size: int, limit: int) -> int:
    """Read a column whole; returns the bytes of those read so far, texts that repeat included."""
    n_rows = 0
    for batch in _batches(table, name, _ROWS_AT_A_TIME):
        n_rows += batch.num_rows
        expanded += sum(_plain_bytes(column) for column in batch.columns)
        check_expansion(expanded, size, limit)
    if n_rows != table.metadata.num_rows:
        raise InputError(
            f"the file declares {table.metadata.num_rows:,} rows and holds {n_rows:,} of "
            f"{name[:40]!r}; write it again"
        )
    return expanded


def _plain_bytes(column: Any) -> int:
    from pyarrow import types

    while types.is_list(column.type) or types.is_large_list(column.type):
        column = column.flatten()
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return int(column.nbytes)


def _check_declared(metadata: Any, size: int, limit: int) -> None:
    groups = range(metadata.num_row_groups)
    check_expansion(sum(metadata.row_group(each).total_byte_size for each in groups), size, limit)
    n_rows, n_columns = metadata.num_rows, metadata.num_columns
    # A column of one repeated value takes a few bytes however many rows it has.
    if n_rows > max(_UNSUSPICIOUS_ROWS, size) or n_columns > MAXIMUM_COLUMNS:
        raise InputError(
            f"the file declares {n_rows:,} rows and {n_columns:,} columns in {size:,} bytes; "
            f"expected a byte or more for each row, and at most {MAXIMUM_COLUMNS:,} columns"
        )
    if n_rows == 0:
        raise InputError("the file has no rows; expected at least one text")


def _check_ends(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as handle:
        start = handle.read(4)
        handle.seek(max(0, size - 8))
        end = handle.read()
    if _ENCRYPTED_MARK in (start, end[-4:]):
        raise InputError("the Parquet file is encrypted; expected one that is not")
    if start != _MARK or end[-4:] != _MARK:
        raise InputError("the file is no whole Parquet file; write it again or send it again")
    if int.from_bytes(end[:4], "little") > min(size, _MAXIMUM_FOOTER_BYTES):
        raise InputError(
            "the footer of the Parquet file is larger than "
            f"{min(size, _MAXIMUM_FOOTER_BYTES):,} bytes; expected a whole file of fewer row groups"
        )


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_plain(kind: Any) -> bool:
    """Whether every value of an Arrow type has a form in Python, which some dates have not."""
    from pyarrow import types

    if types.is_list(kind) or types.is_large_list(kind) or types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    return _is_text(kind) or bool(is_number or types.is_null(kind))


def _unreadable(error: Exception) -> InputError:
    return InputError(
        f"the file cannot be read as Parquet: {error}. Expected a whole Parquet file that is "
        "not encrypted"
    )


def _bound_memory() -> None:
    import pyarrow.parquet  # noqa: F401 - counted to what the process has before it begins

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main(question: str, path: Path, number: int) -> None:
    """Print the answer to a question about a file."""
    answer: dict[str, Any] = {"rows": []}
    # Where the system does not bound it, at least it is not the memory of the service.
    if sys.platform == "linux":
        _bound_memory()
    try:
        if question == "check":
            check_parquet(path, number)
        else:
            answer["rows"] = parquet_rows(path, number)
    except InputError as refusal:
        answer = {"refusal": str(refusal)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
