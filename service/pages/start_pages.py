"""The page that starts a run: a corpus, a model, proposers, a name."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError
from starlette.status import HTTP_200_OK, HTTP_422_UNPROCESSABLE_CONTENT

from eval.evaluation_settings import ProtocolName
from indexer.errors import InputError
from service.admission import describe_admission
from service.api.state import ServiceState, state_of
from service.pages.forms import Form
from service.pages.job_pages import started
from service.pages.rendering import page
from service.pages.start_form import Given, Refusal, ShownUpload, job_of, refusals_of

router = APIRouter(include_in_schema=False)

_UPLOADS_SHOWN = 12
_HUB = "hf:"

UploadQuery = Annotated[str, Query(max_length=64)]


@router.get("/start")
def start(request: Request, upload: UploadQuery = "") -> Response:
    """The form that starts a run; with an upload, its first rows and which fields are read.

    Raises:
        NotFoundError: there is no such upload.
    """
    if not upload:
        return _form(request, Given(), None)
    shown = ShownUpload.of(state_of(request).uploads, upload)
    return _form(request, shown.guessed(Given()), shown)


@router.get("/start/fields")
def show_fields(request: Request, upload: UploadQuery) -> Response:
    """The part of the form that is about an upload.

    Raises:
        NotFoundError: there is no such upload.
    """
    shown = ShownUpload.of(state_of(request).uploads, upload)
    return page(
        request, "start_fields.html", shown=shown, given=shown.guessed(Given()), refusals=()
    )


@router.post("/start")
def start_run(request: Request, form: Form) -> Response:
    """Start a run, or show the form again with what is wrong."""
    given, state = Given.of(form), state_of(request)
    shown = None
    try:
        shown = _shown(state, given)
        if given.run in state.runs.names():
            raise InputError(f"run: there is a run {given.run!r} already; choose another name")
        return started(request, job_of(given, shown), form.key)
    except (InputError, ValidationError) as error:
        given = given if shown is None else shown.guessed(given)
        return _form(request, given, shown, refusals_of(error))


def _shown(state: ServiceState, given: Given) -> ShownUpload | None:
    if given.upload is None:
        return None
    try:
        return ShownUpload.of(state.uploads, given.upload)
    except InputError as error:
        raise InputError(f"corpus: {error}") from error


def _form(
    request: Request, given: Given, shown: ShownUpload | None, refusals: tuple[Refusal, ...] = ()
) -> Response:
    state = state_of(request)
    choices = describe_admission(state.settings)
    uploads = state.uploads.list()
    newest = uploads[:_UPLOADS_SHOWN]
    if shown is not None and shown.upload not in newest:
        newest.append(shown.upload)
    return page(
        request,
        "start.html",
        status=HTTP_422_UNPROCESSABLE_CONTENT if refusals else HTTP_200_OK,
        given=given,
        shown=shown,
        refusals=refusals,
        uploads=newest,
        n_older=len(uploads) - len(newest),
        models=choices.models,
        proposers=[name for name in choices.proposers if not name.endswith("*")],
        protocols=[each.value for each in ProtocolName],
        hub_corpora=[each.removeprefix(_HUB) for each in choices.corpora if each.startswith(_HUB)],
        upload_bytes=choices.upload_bytes,
    )
