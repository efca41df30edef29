"""The first rows of an upload, as the page shows them that asks which field holds the texts."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from indexer.errors import InputError
from indexer.records import Record
from service.upload_apart import ask_apart
from service.upload_checks import DELIMITERS, UploadFormat, first_lines, json_row

MAXIMUM_ROWS = 50
MAXIMUM_FIELDS = 100
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
    fields = tuple(islice(dict.fromkeys(name for row in rows for name in row), MAXIMUM_FIELDS))
    return UploadPreview(
        fields=tuple(map(shown, fields)),
        rows=tuple(
            {shown(name): shown(row[name]) for name in fields if name in row} for row in rows
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
    return found if found is not None and shown(found) == found else None


def shown(value: Any) -> str:
    """A value as text, shortened, which can be sent whatever it holds."""
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
    rows: list[dict[str, Any]] = ask_apart("rows", path, wanted)
    return rows


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
