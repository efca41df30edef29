"""What the form that starts a run was filled in with, the job it asks for, and what is refused."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from descriptors.rows import LABELS_FIELD, FieldMapping
from descriptors.segmentation import Segment
from eval.evaluation_settings import EvaluationSettings
from indexer.errors import InputError
from service.jobs.records import RunJob
from service.pages.forms import FormFields
from service.public_names import UPLOAD_PREFIX
from service.upload_preview import UploadPreview
from service.uploads import Upload, Uploads

_FILE = "file"
_LONGEST_NAME = 300
_USUAL_FIELD = FieldMapping().text
_FIELD_OF_SETTING = {
    "run": "run",
    "corpus": "corpus",
    "model": "model",
    "encoder": "encoder",
    "proposers": "proposers",
    "seed": "seed",
    "reading.limit": "limit",
    "reading.segment": "segment",
    "reading.mapping.text": "text_field",
    "reading.mapping.id": "id_field",
    "reading.mapping.labels": "label_fields",
    "reading.mapping.document": "document_field",
    "evaluation.protocols": "protocols",
    "generation.prompts.focus": "focus",
}


@dataclass(frozen=True)
class Given:
    """What the form is filled in with.

    The four last say where in the upload `fields_of` texts, ids, labels and documents are; of
    another corpus they say nothing.
    """

    run: str = ""
    corpus: str = "sample"
    model: str = "bundled"
    encoder: str = "bundled"
    proposers: tuple[str, ...] = ("embedded", "keyphrase")
    limit: str = ""
    seed: str = "0"
    segment: str = Segment.SENTENCE
    protocols: tuple[str, ...] = EvaluationSettings().protocols
    focus: str = ""
    fields_of: str = ""
    text_field: str = ""
    id_field: str = ""
    label_fields: tuple[str, ...] = ()
    document_field: str = ""

    @classmethod
    def of(cls, form: FormFields) -> Given:
        """What the form was sent with."""
        return cls(
            run=form.one("run").strip(),
            corpus=form.one("corpus", cls.corpus),
            model=form.one("model", cls.model),
            encoder=form.one("encoder", cls.encoder),
            proposers=form.all("proposers"),
            limit=form.one("limit").strip(),
            seed=form.one("seed").strip() or cls.seed,
            segment=form.one("segment", cls.segment),
            protocols=form.all("protocols"),
            focus=form.one("focus").strip(),
            fields_of=form.one("fields_of"),
            text_field=form.one("text_field"),
            id_field=form.one("id_field"),
            label_fields=form.all("label_fields"),
            document_field=form.one("document_field"),
        )

    @property
    def upload(self) -> str | None:
        """The identifier of the upload that is chosen."""
        return self.corpus.removeprefix(UPLOAD_PREFIX) if self._is_upload else None

    @property
    def tells_fields(self) -> bool:
        """Whether the fields were chosen for the corpus that is chosen."""
        return self._is_upload and self.fields_of == self.upload

    @property
    def _is_upload(self) -> bool:
        return self.corpus.startswith(UPLOAD_PREFIX)


@dataclass(frozen=True)
class ShownUpload:
    """An upload with its first rows."""

    upload: Upload
    preview: UploadPreview

    @classmethod
    def of(cls, uploads: Uploads, identifier: str) -> ShownUpload:
        """The upload of an identifier.

        Raises:
            NotFoundError: there is none.
            InputError: its rows cannot be read.
        """
        return cls(uploads.get(identifier), uploads.preview(identifier))

    @property
    def choices(self) -> tuple[str, ...]:
        """The fields that can be named in a form: longer names are not shown whole."""
        return tuple(each for each in self.preview.fields if 0 < len(each) <= _LONGEST_NAME)

    def guessed(self, given: Given) -> Given:
        """The same with the fields that seem to be meant, where none were chosen yet."""
        if given.fields_of == self.upload.id:
            return given
        return replace(
            given,
            corpus=f"{UPLOAD_PREFIX}{self.upload.id}",
            fields_of=self.upload.id,
            text_field=self.preview.text_field or "",
            id_field="",
            label_fields=(LABELS_FIELD,) if LABELS_FIELD in self.choices else (),
            document_field="",
        )

    def mapping(self, given: Given) -> dict[str, Any]:
        """Where texts, ids, labels and documents are, for `FieldMapping`.

        Raises:
            InputError: nothing says where the texts are.
        """
        if not given.tells_fields and _USUAL_FIELD in self.choices:
            return {}
        # What was only guessed is shown first.
        if not given.tells_fields or not given.text_field:
            raise InputError(
                f"reading.mapping.text: choose which field of {self.upload.name} holds the texts"
            )
        told: dict[str, Any] = {"text": given.text_field}
        if given.id_field:
            told["id"] = given.id_field
        if given.document_field:
            told["document"] = given.document_field
        # Plain text takes no mapping but the usual one, which asks for no field of labels.
        if given.label_fields or LABELS_FIELD in self.choices:
            told["labels"] = given.label_fields
        return told


@dataclass(frozen=True)
class Refusal:
    """What is wrong with a field of the form, "" where it is about none."""

    field: str
    message: str


def job_of(given: Given, shown: ShownUpload | None) -> RunJob:
    """The job that a form asks for.

    Args:
        given: the form.
        shown: the upload that is its corpus, if that is one.

    Raises:
        InputError: what it was filled in with is not possible; begins with a setting's name.
        ValidationError: the same, found by the settings.
    """
    if given.corpus == _FILE:
        raise InputError(
            "corpus: the file was not sent; choose it again and wait until it is there, or send "
            "it with POST /v1/uploads and choose it above"
        )
    reading: dict[str, Any] = {"segment": given.segment}
    if given.limit:
        reading["limit"] = given.limit
    if shown is not None:
        reading["mapping"] = shown.mapping(given)
    settings: dict[str, Any] = {
        "corpus": given.corpus,
        "model": given.model,
        "encoder": given.encoder,
        "proposers": given.proposers,
        "seed": given.seed,
        "reading": reading,
        "evaluation": {"protocols": given.protocols},
    }
    if given.focus:
        settings["generation"] = {"prompts": {"focus": given.focus}}
    return RunJob.model_validate({"run": given.run, "settings": settings}, strict=False)


def refusals_of(error: InputError | ValidationError) -> tuple[Refusal, ...]:
    """What is wrong, each at the field of the form that it is about."""
    if isinstance(error, InputError):
        name, colon, rest = str(error).partition(": ")
        field = _FIELD_OF_SETTING.get(name, "") if colon else ""
        return (Refusal(field, rest if field else str(error)),)
    found = dict.fromkeys(_refusal(each) for each in error.errors())
    return tuple(found)


def _refusal(told: Mapping[str, Any]) -> Refusal:
    # Places in a list are not part of a setting's name.
    names = [part for part in told["loc"] if isinstance(part, str) and part != "settings"]
    message = told["msg"].removeprefix("Value error, ")
    field = _FIELD_OF_SETTING.get(".".join(names), "")
    place = "" if field or not names else f"{'.'.join(names)}: "
    return Refusal(field, f"{place}found {reprlib.repr(told['input'])}; {message}")
