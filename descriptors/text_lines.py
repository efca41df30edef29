"""Lines of text files, plain or gzip, read one at a time with a bound on their length."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from indexer.errors import InputError

MAX_LINE_BYTES = 1_000_000
"""Longest line that is accepted, in bytes; a longer one is never held in memory."""

_START_BYTES = 4096
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its line end; `number` counts from 1."""

    number: int
    text: str


def check_encoding(encoding: str) -> None:
    r"""Check that `encoding` is known and writes a line end as the byte `\n`.

    Raises:
        InputError: it is unknown, or lines cannot be told apart before decoding (UTF-16, UTF-32).
    """
    try:
        line_end = "\n".encode(encoding)
    except (LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"unknown encoding {encoding!r}; expected a Python text encoding, "
            "for example utf-8, latin-1 or cp1252"
        ) from error
    if line_end.removeprefix(codecs.BOM_UTF8) != b"\n":
        raise InputError(
            f"encoding {encoding!r} cannot be read line by line; convert the file to UTF-8 first, "
            f"for example with `iconv -f {encoding} -t utf-8`"
        )


def read_lines(path: Path, encoding: str = "utf-8") -> Iterator[Line]:
    """Yield the lines of a text file; `.gz` files are decompressed on the way.

    Raises:
        InputError: the file cannot be opened, is binary, is damaged gzip, is not in `encoding`, or
            has a line of more than `MAX_LINE_BYTES`.
    """
    check_encoding(encoding)
    try:
        with _open(path) as handle:
            _check_start(handle.peek(_START_BYTES)[:_START_BYTES], path)
            for number, raw in enumerate(_bounded_lines(handle, path), start=1):
                yield Line(number, _decode(raw, encoding, path, number))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"{path}: expected a whole gzip file because of its name, found damage: {error}. "
            "Copy or download it again, or remove `.gz` from the name if it is not compressed"
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error}; expected a readable text file"
        ) from error


def _open(path: Path) -> BufferedReader | gzip.GzipFile:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def _check_start(start: bytes, path: Path) -> None:
    if start.startswith(_UTF16_MARKS):
        raise InputError(
            f"{path} is UTF-16 text; expected UTF-8. "
            "Convert it first, for example with `iconv -f utf-16 -t utf-8`"
        )
    if b"\0" in start:
        raise _binary(str(path))


def _bounded_lines(handle: BufferedReader | gzip.GzipFile, path: Path) -> Iterator[bytes]:
    number = 0
    while raw := handle.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES:
            raise InputError(
                f"{path}, line {number}: the line has more than {MAX_LINE_BYTES:,} bytes; expected "
                "one text per line of at most that length. Split the text into several lines"
            )
        yield raw


def _binary(where: str) -> InputError:
    return InputError(
        f"{where}: found a NUL byte, so this is a binary file; expected text "
        "(JSON Lines, CSV, TSV or one text per line; Parquet with the suffix .parquet)"
    )


def _decode(raw: bytes, encoding: str, path: Path, number: int) -> str:
    if b"\0" in raw:
        raise _binary(f"{path}, line {number}")
    if number == 1:
        raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return raw.decode(encoding).rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}, line {number}, byte {error.start + 1}: found byte "
            f"0x{raw[error.start]:02x}, which is not {encoding}; expected {encoding} text. "
            "Mend the line, or name the encoding the file has, for example latin-1 or cp1252"
        ) from error
