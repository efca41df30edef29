"""What a corpus or a model is called where the path of its file must not be shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from service.service_settings import WORKSPACE
from service.uploads import FOLDER, RECORD, UPLOAD_ID, Upload

if TYPE_CHECKING:
    from service.jobs.records import JobSpec

UPLOAD_PREFIX = "upload:"
_NEUROX_PREFIX = "neurox:"


def public_name(written: str) -> str:
    """What a corpus or a model is called before people.

    An upload goes by its sender's name for it, another file or folder by its own name without those
    above it; `sample`, `bundled`, `hf:NAME` and names of the hub stay as they are.

    Args:
        written: as in `RunSettings.corpus`, `.model` or `.encoder`.
    """
    if written.startswith(_NEUROX_PREFIX):
        return _NEUROX_PREFIX + public_name(written.removeprefix(_NEUROX_PREFIX))
    if not _is_path(written):
        return written
    path = Path(written)
    if _upload_id(path) is None:
        return path.name
    record = path.with_name(RECORD)
    try:
        return Upload.model_validate_json(record.read_bytes()).name
    except (OSError, ValueError):
        return public_reference(written)


def public_reference(written: str) -> str:
    """The same in the form in which a job names it: `upload:ID` for an upload."""
    if not _is_path(written):
        return written
    path = Path(written)
    identifier = _upload_id(path)
    return path.name if identifier is None else f"{UPLOAD_PREFIX}{identifier}"


def public_spec(spec: JobSpec) -> JobSpec:
    """What a job was told, as its author may see it and could ask for it again."""
    from service.jobs.records import CatalogJob, RunJob

    if not isinstance(spec, RunJob | CatalogJob):
        return spec
    told = {
        name: public_reference(getattr(spec.settings, name))
        for name in ("corpus", "model", "encoder")
    }
    return spec.model_copy(update={"settings": spec.settings.model_copy(update=told)})


def _is_path(written: str) -> bool:
    return written.startswith(("/", "~", "./", "../")) or written.count("/") > 1


def _upload_id(path: Path) -> str | None:
    folder = path.parent
    is_stored = folder.parent.name == FOLDER and folder.parent.parent.name == WORKSPACE
    return folder.name if is_stored and re.fullmatch(UPLOAD_ID, folder.name) else None
