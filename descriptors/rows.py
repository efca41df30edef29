"""One row of a source: which of its fields hold what, and the text made from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import field_validator

from indexer.errors import InputError
from indexer.records import Record

LABELS_FIELD = "labels"

_USUAL_ID_FIELD = "id"
_USUAL_DOCUMENT_FIELD = "document"


class FieldMapping(Record):
    """Names of the fields that hold the text, its id, its labels and its document.

    Without a name for `id` or `document` the field of that name is used where a row has it. A field
    that is named must be there, except `labels`: a source without it is unlabelled. A value `4` of
    another label field, say `stars`, becomes the label `stars:4`.
    """

    text: str = "text"
    id: str | None = None
    labels: tuple[str, ...] = (LABELS_FIELD,)
    document: str | None = None

    @field_validator("labels", mode="before")
    @classmethod
    def _one_name(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @property
    def required(self) -> tuple[str, ...]:
        """Fields that every row must have."""
        named = (self.text, self.id, self.document)
        labels = (name for name in self.labels if name != LABELS_FIELD)
        return tuple(name for name in named if name is not None) + tuple(labels)

    @property
    def read(self) -> frozenset[str]:
        """Fields that are read where a row has them."""
        usual = {_USUAL_ID_FIELD, _USUAL_DOCUMENT_FIELD, LABELS_FIELD} & {
            self.id or _USUAL_ID_FIELD,
            self.document or _USUAL_DOCUMENT_FIELD,
            *self.labels,
        }
        return frozenset(usual | set(self.required))


@dataclass(frozen=True, slots=True)
class RawText:
    """A text as its source gives it, possibly blank; `line` counts lines or rows from 1."""

    id: str | None
    text: str
    document: str | None
    labels: tuple[str, ...]
    line: int


def check_fields(present: Iterable[str], mapping: FieldMapping, where: str) -> None:
    """Check that the mapped fields are there.

    Raises:
        InputError: one is missing; the message lists the fields that are there.
    """
    fields = tuple(present)
    for name in mapping.required:
        if name not in fields:
            found = ", ".join(repr(field) for field in fields) or "none"
            raise InputError(
                f"{where}: expected a field {name!r}, found the fields: {found}. "
                "Name the field that holds the text (or id, labels, document) in this source"
            )


def raw_text(row: Mapping[str, object], mapping: FieldMapping, where: str, line: int) -> RawText:
    """Turn a row into a text; a missing text (null) counts as blank.

    Raises:
        InputError: a mapped field is missing, or holds something that is no text, id or label.
    """
    check_fields(row, mapping, where)
    text = row[mapping.text]
    if text is None:
        text = ""
    if not isinstance(text, str):
        raise InputError(
            f"{where}: field {mapping.text!r} holds {_describe(text)}; expected a string. "
            "Name another field for the text, or write it as a string"
        )
    return RawText(
        id=_name(row, mapping.id or _USUAL_ID_FIELD, where),
        text=text,
        document=_name(row, mapping.document or _USUAL_DOCUMENT_FIELD, where),
        labels=_labels(row, mapping, where),
        line=line,
    )


def _name(row: Mapping[str, object], field: str, where: str) -> str | None:
    value = row.get(field)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InputError(
        f"{where}: field {field!r} holds {_describe(value)}; expected a string or an integer"
    )


def _labels(row: Mapping[str, object], mapping: FieldMapping, where: str) -> tuple[str, ...]:
    labels: dict[str, None] = {}
    for field in mapping.labels:
        value = row.get(field)
        for item in value if isinstance(value, (list, tuple)) else (value,):
            word = _label_word(item, field, where)
            if word:
                labels[word if field == LABELS_FIELD else _with_facet(word, field)] = None
    return tuple(labels)


def _label_word(value: object, field: str, where: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return None if math.isnan(value) else f"{value:g}"
    raise InputError(
        f"{where}: field {field!r} holds {_describe(value)}; "
        "expected a label or a list of labels (strings or numbers)"
    )


def _with_facet(word: str, field: str) -> str:
    facet, colon, value = word.partition(":")
    return word if facet and colon and value else f"{field}:{word}"


def _describe(value: object) -> str:
    shown = repr(value)
    return f"{type(value).__name__} {shown if len(shown) <= 40 else shown[:40] + '…'}"
