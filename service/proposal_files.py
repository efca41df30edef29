"""Groups and proposals on disk, one JSON record a line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from descriptors.records import Group, Proposal
from indexer.errors import RunError
from indexer.storage import atomic_path

_Kind = TypeVar("_Kind", bound=BaseModel)


def write_groups(path: Path, groups: Iterable[Group]) -> None:
    """Write the groups in their order."""
    _write(path, groups)


def read_groups(path: Path) -> list[Group]:
    """Read the groups in their order.

    Raises:
        RunError: the file is missing or damaged.
    """
    return _read(path, Group)


def write_proposals(path: Path, proposals: Iterable[Proposal]) -> None:
    """Write the proposals in their order."""
    _write(path, proposals)


def read_proposals(path: Path) -> list[Proposal]:
    """Read the proposals in their order.

    Raises:
        RunError: the file is missing or damaged.
    """
    return _read(path, Proposal)


def _write(path: Path, records: Iterable[BaseModel]) -> None:
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8") as handle:
        handle.writelines(record.model_dump_json() + "\n" for record in records)


def _read(path: Path, kind: type[_Kind]) -> list[_Kind]:
    records: list[_Kind] = []
    try:
        with path.open(encoding="utf-8") as handle:
            for line in handle:
                records.append(kind.model_validate_json(line))
    except ValidationError as error:
        raise RunError(
            f"line {len(records) + 1} of {path} is no {kind.__name__.lower()}: "
            f"{error.errors()[0]['msg']}. Re-run to rebuild it."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"cannot read {path}: {error}. Re-run to rebuild it.") from error
    return records
