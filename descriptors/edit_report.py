"""What became of a user's edits when they were applied to a catalog."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from descriptors.edit_records import EditKind
from descriptors.records import Descriptor
from indexer.records import Record


class EditProblem(StrEnum):
    """Why an edit had no effect."""

    NOT_FOUND = "no_such_descriptor"
    NOT_KEPT = "not_kept_by_curation"
    NOT_LOCKED = "not_locked"


class UnresolvedEdit(Record):
    """An edit, or one part of a merge, without effect; `position` counts edits from 1."""

    position: int
    kind: EditKind
    text: str
    problem: EditProblem


class EditReport(Record):
    """What became of every edit: `applied` by kind, taken back by an unlock, or unresolved.

    A merge counts as applied when at least one of its parts was found. `missing_sentences` are ids
    named as support that no discover sentence has.
    """

    total: int
    applied: dict[EditKind, int]
    locks_taken_back: int
    unresolved: tuple[UnresolvedEdit, ...]
    missing_sentences: int


@dataclass(frozen=True)
class EditedCatalog:
    """All descriptors, kept ones first, and what became of the edits."""

    descriptors: tuple[Descriptor, ...]
    report: EditReport
