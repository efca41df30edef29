"""Records as tables that other programs read: CSV, JSON Lines, Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from indexer.records import Record
from indexer.storage import atomic_path
from service.csv_cells import guarded

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_A_TIME = 8192


class TableFormat(StrEnum):
    """Kinds of files."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


def write_table(
    path: Path, table_format: TableFormat, kind: type[Record], rows: Iterable[Record]
) -> int:
    """Write records with a column for each field, atomically; the number written.

    In CSV an absent value is an empty cell, a list is JSON, and a text that a spreadsheet would
    compute has an apostrophe before it.

    Args:
        path: of the file; one that is there is replaced.
        table_format: what to write.
        kind: the class of all rows.
        rows: the records.

    Raises:
        RunError: the file cannot be written.
    """
    write = {
        TableFormat.CSV: _write_csv,
        TableFormat.JSONL: _write_jsonl,
        TableFormat.PARQUET: _write_parquet,
    }[table_format]
    with atomic_path(path) as partial:
        return write(partial, kind, rows)


def _write_csv(path: Path, kind: type[Record], rows: Iterable[Record]) -> int:
    written = 0
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(kind.model_fields)
        for row in rows:
            writer.writerow([_cell(value) for value in row.model_dump(mode="json").values()])
            written += 1
    return written


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return guarded(value)
    if isinstance(value, list):
        return guarded(json.dumps(value, ensure_ascii=False))
    return value


def _write_jsonl(path: Path, _kind: type[Record], rows: Iterable[Record]) -> int:
    written = 0
    with path.open("w", encoding="utf-8") as handle:
        for row in rows:
            content = row.model_dump(mode="json")
            handle.write(json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n")
            written += 1
    return written


def _write_parquet(path: Path, kind: type[Record], rows: Iterable[Record]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Written down, because a column without any value would get no type.
    fields = kind.model_fields.items()
    schema = pa.schema([(name, _arrow_type(field.annotation)) for name, field in fields])
    written = 0
    with pq.ParquetWriter(path, schema) as writer:
        for portion in _portions(rows):
            writer.write_table(pa.Table.from_pylist(portion, schema=schema))
            written += len(portion)
    return written


def _portions(rows: Iterable[Record]) -> Iterator[list[dict[str, Any]]]:
    portion: list[dict[str, Any]] = []
    for row in rows:
        portion.append(row.model_dump(mode="json"))
        if len(portion) == _ROWS_AT_A_TIME:
            yield portion
            portion = []
    if portion:
        yield portion


def _arrow_type(annotation: Any) -> pa.DataType:
    import pyarrow as pa

    if get_origin(annotation) in (Union, UnionType):
        annotation = next(part for part in get_args(annotation) if part is not NoneType)
    if get_origin(annotation) is tuple:
        return pa.list_(_arrow_type(get_args(annotation)[0]))
    known = {bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
    return known.get(annotation, pa.string())
