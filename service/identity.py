"""`RUN/settings.json`: what a run was told, and whether a folder holds the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from indexer.errors import InputError
from service.stages import StoredRecord

IDENTITY = ("corpus", "model", "encoder", "reading", "seed")
"""Settings that make a run what it is; another value belongs in another folder."""


class RunIdentity(StoredRecord):
    """The settings of a run and the version of its files."""

    format_version: int
    settings: dict[str, Any]


def check_identity(path: Path, found: RunIdentity, wanted: RunIdentity) -> None:
    """Check that the run at `path` is the one that is wanted.

    Raises:
        InputError: a setting of `IDENTITY` or the version of the files differs.
    """
    before, after = _flat_identity(found.settings), _flat_identity(wanted.settings)
    differing = [
        f"{name} (found {before.get(name)!r}, wanted {after.get(name)!r})"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    if found.format_version != wanted.format_version:
        differing.append(
            f"file format (found {found.format_version}, wanted {wanted.format_version})"
        )
    if differing:
        raise InputError(
            f"{path} belongs to another run: it differs in {', '.join(differing)}. "
            "Choose another --out, or pass --update to recompute what changed"
        )


def _flat_identity(settings: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name in IDENTITY:
        value = settings.get(name)
        if isinstance(value, dict):
            flat.update({f"{name}.{part}": content for part, content in value.items()})
        else:
            flat[name] = value
    return flat
