"""Reading what a job logged, a part at a time."""

from __future__ import annotations

from pathlib import Path

from indexer.errors import RunError
from indexer.records import Record


class LogPart(Record):
    """Lines of a log, each a JSON object; asking from `next_offset` on gives what follows."""

    lines: tuple[str, ...]
    next_offset: int
    is_all: bool


def read_log(path: Path, offset: int, limit: int) -> LogPart:
    """Whole lines of the log at `path` from `offset` bytes on, up to some `limit` bytes.

    A line longer than `limit` is given whole.

    Raises:
        RunError: the log cannot be read.
        ValueError: `offset` is below 0 or `limit` below 1.
    """
    if offset < 0 or limit < 1:
        raise ValueError(f"offset is {offset} and limit {limit}; expected 0 or more and 1 or more")
    try:
        with path.open("rb") as handle:
            handle.seek(offset)
            content = handle.read(limit)
            if not content.endswith(b"\n"):
                # A line that is being written has no end yet: it is left to the next call.
                content += handle.readline() if len(content) == limit else b""
            whole = content[: content.rfind(b"\n") + 1]
            handle.seek(0, 2)
            end = handle.tell()
    except FileNotFoundError:
        return LogPart(lines=(), next_offset=offset, is_all=True)
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error
    place = offset + len(whole)
    lines = tuple(whole.decode("utf-8", "replace").split("\n")[:-1])
    return LogPart(lines=lines, next_offset=place, is_all=place >= end)
