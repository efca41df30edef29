"""What a file must be before it is kept: of a known format, bounded once expanded, and whole.

The readers of `descriptors.readers` look at every text, in the process of a job. Here only that is
refused which would harm before they see it, or is not what its name says.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from descriptors.text_lines import MAX_LINE_BYTES
from indexer.errors import InputError
from service.upload_apart import ask_apart

MAXIMUM_RATIO = 200
"""How many times its size a file may expand to; text in gzip expands some three to thirty times."""

MAXIMUM_COLUMNS = 10_000
"""Columns of a Parquet file, or fields of a table's first line."""

_UNSUSPICIOUS_BYTES = 16 * 2**20
_BLOCK_BYTES = 2**19
_LOOKED_AT_LINES = 20
_LOOKED_AT_BYTES = 4 * 2**20
_TAR_MARK = slice(257, 262)
_ARCHIVES = {
    b"PK\x03\x04": "a zip archive",
    b"PK\x05\x06": "a zip archive",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a rar archive",
    b"PAR1": "Parquet",
}
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class UploadFormat(StrEnum):
    """The formats of uploads, as the suffixes of their files."""

    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    TXT = "txt"
    PARQUET = "parquet"


DELIMITERS = {UploadFormat.CSV: ",", UploadFormat.TSV: "\t"}
EXPECTED = ".jsonl, .csv, .tsv or .txt (each also with .gz), or .parquet"


class FileKind(NamedTuple):
    """What the name of a file says about it."""

    format: UploadFormat
    is_compressed: bool


def kind_of(name: str) -> FileKind:
    """What a file is by its name.

    Raises:
        InputError: its suffix is none of those that can be read.
    """
    lowered = name.lower()
    plain = lowered.removesuffix(".gz")
    suffix = Path(plain).suffix.removeprefix(".")
    is_compressed = plain != lowered
    known = {each.value: each for each in UploadFormat}
    if suffix in known and not (is_compressed and suffix == UploadFormat.PARQUET):
        return FileKind(known[suffix], is_compressed)
    ending = "".join(Path(lowered).suffixes[-2:] if is_compressed else Path(lowered).suffixes[-1:])
    found = f"ends in {ending[-20:]!r}" if ending else "has no suffix"
    is_archive = suffix in {"zip", "tar", "tgz", "7z"}
    hint = " Take the file out of the archive." if is_archive else ""
    raise InputError(f"the name of the file {found}; expected {EXPECTED}.{hint}")


def expand(source: Path, target: Path, limit: int) -> None:
    """Decompress gzip to `target`, and stop at `limit` bytes or at an impossible ratio.

    Raises:
        InputError: it expands to more, or it is no whole gzip file.
        OSError: it cannot be written.
    """
    size, written = source.stat().st_size, 0
    try:
        with gzip.open(source, "rb") as compressed, target.open("wb") as handle:
            while block := compressed.read(_BLOCK_BYTES):
                written += len(block)
                check_expansion(written, size, limit)
                handle.write(block)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"expected a whole gzip file because of its name, found damage: {error}. Send it "
            "again, or remove `.gz` from the name if it is not compressed"
        ) from error


def check_content(path: Path, kind: UploadFormat, limit: int) -> None:
    """Check that a file, which is not compressed, holds what its format says.

    Raises:
        InputError: it does not, it is empty, or it would expand to more than `limit` bytes.
    """
    with path.open("rb") as handle:
        start = handle.read(_BLOCK_BYTES)
    if not start.strip():
        raise InputError("the file is empty; expected at least one text")
    if kind is UploadFormat.PARQUET:
        ask_apart("check", path, limit)
        return
    _check_start(start, kind)
    _check_lines(path)
    if kind is UploadFormat.JSONL:
        _check_json_lines(path)
    elif kind in DELIMITERS:
        _check_header(path, DELIMITERS[kind])


def check_expansion(expanded: int, size: int, limit: int) -> None:
    """Check that a file of `size` bytes may expand to `expanded`.

    Raises:
        InputError: that is more than `limit` bytes, or than texts expand to.
    """
    most = min(limit, max(_UNSUSPICIOUS_BYTES, MAXIMUM_RATIO * size))
    if expanded <= most:
        return
    if most < limit:
        raise InputError(
            f"the file expands to more than {MAXIMUM_RATIO} times its size, which texts do not; "
            "send it decompressed if it is what you mean"
        )
    raise InputError(
        f"the file expands to more than {limit:,} bytes; expected at most that. Send a part"
    )


def _check_start(start: bytes, kind: UploadFormat) -> None:
    found = next((what for mark, what in _ARCHIVES.items() if start.startswith(mark)), None)
    if start[_TAR_MARK] == b"ustar":
        found = "a tar archive"
    if found is not None:
        raise InputError(
            f"the content is {found}, though the name says .{kind}; expected texts. An archive "
            "inside gzip is not opened"
        )
    if start.startswith(_UTF_16_MARKS):
        raise InputError(
            "the file is UTF-16 text; expected UTF-8. Convert it first, for example with "
            "`iconv -f utf-16 -t utf-8`"
        )


def _check_lines(path: Path) -> None:
    line, length = 1, 0
    with path.open("rb") as handle:
        # A block is shorter than the longest line, so only lines that cross blocks can be too long.
        while block := handle.read(_BLOCK_BYTES):
            if b"\0" in block:
                near = line + block[: block.index(b"\0")].count(b"\n")
                raise InputError(
                    f"line {near}: found a NUL byte, so this is a binary file; expected text"
                )
            end = block.find(b"\n")
            if length + (len(block) if end < 0 else end) >= MAX_LINE_BYTES:
                raise InputError(
                    f"line {line}: the line has more than {MAX_LINE_BYTES:,} bytes; expected one "
                    "text per line of at most that length"
                )
            length = length + len(block) if end < 0 else len(block) - block.rfind(b"\n") - 1
            line += block.count(b"\n")


def first_lines(path: Path, number: int) -> list[str]:
    """The first lines of a checked text file, fewer where they are very long.

    Which encoding a file has is a setting of the run; here, what is not UTF-8 is shown as such.
    """
    lines: list[str] = []
    with path.open("rb") as handle:
        while len(lines) < number and handle.tell() < _LOOKED_AT_BYTES:
            raw = handle.readline(MAX_LINE_BYTES + 1)
            if not raw:
                break
            lines.append(raw.decode("utf-8" if lines else "utf-8-sig", "replace"))
    return lines


def json_row(line: str, number: int) -> dict[str, Any]:
    """The object of a line.

    Raises:
        InputError: it holds none.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"line {number} is not JSON ({error}); expected one JSON object per line, such as "
            '{"text": "…"}'
        ) from error
    if not isinstance(row, dict):
        raise InputError(
            f"line {number} is a JSON {type(row).__name__}; expected one JSON object per line, "
            'such as {"text": "…"}. For bare texts use a .txt file, one text per line'
        )
    return row


def _check_json_lines(path: Path) -> None:
    for number, line in enumerate(first_lines(path, _LOOKED_AT_LINES), start=1):
        if line.strip():
            json_row(line, number)


def _check_header(path: Path, delimiter: str) -> None:
    try:
        header = next(csv.reader(first_lines(path, _LOOKED_AT_LINES), delimiter=delimiter), [])
    except csv.Error as error:
        raise InputError(f"line 1: {error}; expected the names of the fields") from error
    if not any(name.strip() for name in header) or len(header) > MAXIMUM_COLUMNS:
        raise InputError(
            f"line 1 names {len(header):,} fields; expected between 1 and {MAXIMUM_COLUMNS:,}"
        )
