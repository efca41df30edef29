"""Readers of user texts: JSON Lines, CSV, TSV, Parquet, plain text and Hugging Face data sets."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descriptors.rows import FieldMapping, RawText, check_fields, raw_text
from descriptors.text_lines import MAX_LINE_BYTES, check_encoding, read_lines
from indexer.errors import BackendError, InputError

HUB_PREFIX = "hf:"
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json-lines")

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_TEXT_SUFFIX = ".txt"
_PARQUET_SUFFIX = ".parquet"
_BATCH_ROWS = 1024
_EXPECTED = (
    ".jsonl, .ndjson, .json-lines, .csv, .tsv or .txt (each also with .gz), .parquet, or hf:NAME"
)


@dataclass(frozen=True, slots=True)
class HubSource:
    """A data set on the Hugging Face hub, or a local folder of data files."""

    name: str
    configuration: str | None
    split: str

    def __str__(self) -> str:
        configuration = f", configuration {self.configuration!r}" if self.configuration else ""
        return f"data set {self.name!r}{configuration}, split {self.split!r}"

    @classmethod
    def parse(cls, source: str) -> HubSource:
        """Read `hf:NAME`, `hf:NAME:SPLIT` or `hf:NAME:CONFIGURATION:SPLIT`; the split is `train`.

        Raises:
            InputError: `source` has another form.
        """
        parts = source.removeprefix(HUB_PREFIX).split(":")
        if len(parts) > 3 or not all(parts):
            raise InputError(
                f"{source!r} is no data set; expected hf:NAME, hf:NAME:SPLIT or "
                "hf:NAME:CONFIGURATION:SPLIT, for example hf:stanfordnlp/imdb:test"
            )
        configuration = parts[1] if len(parts) == 3 else None
        return cls(parts[0], configuration, parts[-1] if len(parts) > 1 else "train")


def read_rows(
    source: str, mapping: FieldMapping | None = None, *, encoding: str = "utf-8"
) -> Iterator[RawText]:
    """Yield the texts of `source` one by one, blank ones too; the whole is never in memory.

    Args:
        source: A path (the suffix tells the format) or `hf:NAME[:CONFIGURATION][:SPLIT]`.
        mapping: Names of the fields; the default reads `text` and, where there, `id`, `labels` and
            `document`.
        encoding: Of text files; Parquet and the hub have their own.

    Raises:
        InputError: at once for a missing file or unknown format; while reading for content that
            cannot be used, with file and line.
        BackendError: the hub cannot be reached or fails.
    """
    mapping = mapping or FieldMapping()
    if source.startswith(HUB_PREFIX):
        return _not_empty(_read_hub(HubSource.parse(source), mapping), source)
    path = Path(source).expanduser()
    _check_file(path)
    check_encoding(encoding)
    return _not_empty(_file_reader(path)(path, mapping, encoding), source)


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a directory; expected a file: {_EXPECTED}")
    if not path.exists():
        raise InputError(f"{path} does not exist (looked in {Path.cwd()}); expected {_EXPECTED}")


def _file_reader(path: Path) -> Callable[[Path, FieldMapping, str], Iterator[RawText]]:
    suffix = _format_suffix(path)
    if suffix in JSON_SUFFIXES:
        return _read_json_lines
    if suffix in _DELIMITERS:
        return _read_table
    if suffix == _TEXT_SUFFIX:
        return _read_plain
    if suffix == _PARQUET_SUFFIX and path.suffix.lower() == _PARQUET_SUFFIX:
        return _read_parquet
    raise InputError(f"{path}: unknown format {path.suffix!r}; expected {_EXPECTED}")


def _format_suffix(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _not_empty(rows: Iterator[RawText], source: str) -> Iterator[RawText]:
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007
        yield row
    if count == 0:
        raise InputError(f"{source} is empty; expected at least one text")


def _read_json_lines(path: Path, mapping: FieldMapping, encoding: str) -> Iterator[RawText]:
    for line in read_lines(path, encoding):
        where = f"{path}, line {line.number}"
        if line.text.strip():
            yield raw_text(_json_object(line.text, where), mapping, where, line.number)
        else:
            yield RawText(None, "", None, (), line.number)


def _json_object(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        if "\\ud" in line.lower():
            json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where}: half of a surrogate pair (\\u{ord(error.object[error.start]):04x}) is no "
            "character; expected whole characters. Write the line again from the original text"
        ) from error
    except (ValueError, RecursionError) as error:
        shown = line[:60] + ("…" if len(line) > 60 else "")
        raise InputError(
            f"{where}: not JSON ({error}): {shown!r}; expected one JSON object per line, "
            'such as {"text": "…", "labels": ["topic:food"]}'
        ) from error
    if not isinstance(row, dict):
        raise InputError(
            f"{where}: found a JSON {type(row).__name__}; expected one JSON object per line, "
            'such as {"text": "…"}. For bare texts use a .txt file, one text per line'
        )
    return row


def _read_table(path: Path, mapping: FieldMapping, encoding: str) -> Iterator[RawText]:
    lines = (line.text + "\n" for line in read_lines(path, encoding))
    table = csv.reader(lines, delimiter=_DELIMITERS[_format_suffix(path)], strict=True)
    try:
        header = next(table, None)
        if header is None:
            return
        _check_header(header, mapping, f"{path}, line 1")
        start = table.line_num + 1
        for cells in table:
            where = f"{path}, line {start}"
            yield raw_text(_table_row(header, cells, mapping, where), mapping, where, start)
            start = table.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{path}, line {table.line_num}: {error}; expected {path.suffix} rows with quotation "
            "marks inside a quoted field doubled. An unclosed quotation mark may be before this "
            "line; JSON Lines avoids quoting rules"
        ) from error


def _check_header(header: list[str], mapping: FieldMapping, where: str) -> None:
    check_fields(header, mapping, where)
    repeated = sorted({name for name in header if header.count(name) > 1} & mapping.read)
    if repeated:
        raise InputError(f"{where}: field {repeated[0]!r} occurs twice; expected one such field")


def _table_row(
    header: list[str], cells: list[str], mapping: FieldMapping, where: str
) -> Mapping[str, object]:
    if not cells:
        return dict.fromkeys(mapping.required, None)
    if len(cells) != len(header):
        raise InputError(
            f"{where}: found {len(cells)} fields; expected {len(header)} as in the first line. "
            "A text that holds the delimiter must be in quotation marks"
        )
    return dict(zip(header, cells, strict=True))


def _read_plain(path: Path, mapping: FieldMapping, encoding: str) -> Iterator[RawText]:
    if mapping != FieldMapping():
        named = ", ".join(repr(name) for name in mapping.required)
        raise InputError(
            f"{path}: a .txt file has no fields, but fields were named ({named}); expected the "
            "default mapping, or .jsonl, .csv, .tsv or .parquet"
        )
    for line in read_lines(path, encoding):
        yield RawText(None, line.text, None, (), line.number)


def _read_parquet(path: Path, mapping: FieldMapping, encoding: str) -> Iterator[RawText]:
    del encoding  # Parquet texts are UTF-8 by definition
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as table:
            names = table.schema_arrow.names
            check_fields(names, mapping, str(path))
            columns = [name for name in names if name in mapping.read]
            for batch in table.iter_batches(_BATCH_ROWS, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield _bounded(row, mapping, f"{path}, row {number}", number)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read as Parquet after row {number}: {error}. "
            "Expected a whole Parquet file; write, copy or download it again"
        ) from error


def _bounded(row: Mapping[str, object], mapping: FieldMapping, where: str, line: int) -> RawText:
    text = raw_text(row, mapping, where, line)
    if len(text.text) > MAX_LINE_BYTES:
        raise InputError(
            f"{where}: the text has {len(text.text):,} characters; expected at most "
            f"{MAX_LINE_BYTES:,}. Split it into several texts"
        )
    return text


def _read_hub(source: HubSource, mapping: FieldMapping) -> Iterator[RawText]:
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    number = 0
    try:
        rows = load_dataset(source.name, source.configuration, split=source.split, streaming=True)
        features = rows.features or {}
        for row in rows:
            number += 1
            for field in features.keys() & set(mapping.labels):
                row[field] = _class_names(row[field], features[field])
            yield _bounded(row, mapping, f"{source}, row {number}", number)
    except ValueError as error:
        raise InputError(
            f"{source}: {error}. Expected hf:NAME[:CONFIGURATION][:SPLIT] that the data set has"
        ) from error
    except (OSError, RuntimeError, ImportError, DatasetsError) as error:
        raise BackendError(
            f"cannot read {source} after row {number}: {error}. Tried datasets.load_dataset with "
            "streaming; check the name and the network, or download it and give a file"
        ) from error


def _class_names(value: Any, feature: Any) -> Any:
    """The names for class numbers; what is no class number stays as it is."""
    from datasets import ClassLabel

    kind = getattr(feature, "feature", feature)
    if value is None or not isinstance(kind, ClassLabel):
        return value
    numbers = value if isinstance(value, list) else [value]
    # The hub marks rows whose label is withheld with a negative class.
    return [kind.int2str(number) for number in numbers if number is not None and number >= 0]
