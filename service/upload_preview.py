"""The first rows of an upload, as the page shows them that asks which field holds the texts."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from indexer.errors import InputError
from indexer.records import Record
from service.upload_checks import DELIMITERS, UploadFormat, first_lines, is_text, json_row

MAXIMUM_ROWS = 50
_MAXIMUM_FIELDS = 100
_SHOWN_CHARACTERS = 300
_LINES_PER_ROW = 20
_TEXT_FIELDS = ("text", "sentence", "review", "content", "body", "comment", "message", "title")
_PLAIN_TEXT = "text"


class UploadPreview(Record):
    """The fields of an upload and its first rows, long values shortened.

    `text_field` is the field that seems to hold the texts, None where none does. A .txt file has
    the one field `text`.
    """

    fields: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    text_field: str | None


def preview_of(path: Path, kind: UploadFormat, n_rows: int) -> UploadPreview:
    """The first rows of a checked file, at most `MAXIMUM_ROWS`.

    Raises:
        InputError: they cannot be read.
    """
    wanted = max(1, min(n_rows, MAXIMUM_ROWS))
    rows = _ROWS[kind](path, wanted)
    fields = tuple(islice(dict.fromkeys(name for row in rows for name in row), _MAXIMUM_FIELDS))
    return UploadPreview(
        fields=tuple(map(_shown, fields)),
        rows=tuple(
            {_shown(name): _shown(row[name]) for name in fields if name in row} for row in rows
        ),
        text_field=_guessed(fields, rows),
    )


def _guessed(fields: Iterable[str], rows: list[dict[str, Any]]) -> str | None:
    lengths = {
        name: sum(len(row[name]) for row in rows if isinstance(row.get(name), str))
        for name in fields
    }
    lengths = {name: length for name, length in lengths.items() if length}
    usual = (name for name in _TEXT_FIELDS if name in lengths)
    found = next(usual, max(lengths, key=lengths.__getitem__, default=None))
    # A name that cannot be shown whole cannot be given back as a setting either.
    return found if found is not None and _shown(found) == found else None


def _shown(value: Any) -> str:
    if value is None:
        return ""
    try:
        written = value if isinstance(value, str) else str(value)
    except RecursionError:
        written = "…"
    if len(written) > _SHOWN_CHARACTERS:
        written = written[:_SHOWN_CHARACTERS] + "…"
    # Half of a surrogate pair, which JSON can write, is no character.
    return written.encode("utf-8", "replace").decode("utf-8")


def _json_rows(path: Path, wanted: int) -> list[dict[str, Any]]:
    lines = enumerate(first_lines(path, wanted), start=1)
    return [json_row(line, number) for number, line in lines if line.strip()]


def _plain_rows(path: Path, wanted: int) -> list[dict[str, Any]]:
    return [{_PLAIN_TEXT: line.rstrip("\r\n")} for line in first_lines(path, wanted)]


def _table_rows(path: Path, delimiter: str, wanted: int) -> list[dict[str, Any]]:
    # A quoted field may go over several lines.
    lines = first_lines(path, 1 + wanted * _LINES_PER_ROW)
    try:
        table = csv.reader(lines, delimiter=delimiter)
        header = next(table, [])
        return [dict(zip(header, row, strict=False)) for row in islice(table, wanted) if row]
    except csv.Error as error:
        raise InputError(f"the table cannot be read: {error}") from error


def _parquet_rows(path: Path, wanted: int) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as table:
            fields = list(islice(table.schema_arrow, _MAXIMUM_FIELDS))
            plain = [field.name for field in fields if _is_plain(field.type)]
            batch = next(table.iter_batches(wanted, columns=plain), None)
            rows: list[dict[str, Any]] = [] if batch is None else batch.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"the file cannot be read as Parquet: {error}") from error
    kinds = {field.name: f"({field.type})" for field in fields}
    return [{name: row.get(name, kind) for name, kind in kinds.items()} for row in rows]


def _is_plain(kind: Any) -> bool:
    """Whether every value of an Arrow type has a form in Python, which some dates have not."""
    from pyarrow import types

    if types.is_list(kind) or types.is_large_list(kind) or types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    return is_text(kind) or bool(is_number or types.is_null(kind))


def _csv_rows(path: Path, wanted: int) -> list[dict[str, Any]]:
    return _table_rows(path, DELIMITERS[UploadFormat.CSV], wanted)


def _tsv_rows(path: Path, wanted: int) -> list[dict[str, Any]]:
    return _table_rows(path, DELIMITERS[UploadFormat.TSV], wanted)


_ROWS: Mapping[UploadFormat, Any] = {
    UploadFormat.JSONL: _json_rows,
    UploadFormat.CSV: _csv_rows,
    UploadFormat.TSV: _tsv_rows,
    UploadFormat.TXT: _plain_rows,
    UploadFormat.PARQUET: _parquet_rows,
}
