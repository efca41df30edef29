"""The page that starts a run: a corpus, a model, proposers, a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from starlette.status import HTTP_422_UNPROCESSABLE_CONTENT

from indexer.errors import InputError
from service.admission import describe_admission
from service.api.state import state_of
from service.complaints import complaints
from service.jobs.records import RunJob
from service.pages.forms import Form, FormFields
from service.pages.job_pages import started
from service.pages.rendering import page

router = APIRouter(include_in_schema=False)

_UPLOADS_SHOWN = 12
_FILE = "file"
_HUB = "hf:"


@dataclass(frozen=True)
class Given:
    """What the form is filled in with when it is shown."""

    run: str = ""
    corpus: str = "sample"
    model: str = "bundled"
    encoder: str = "bundled"
    proposers: tuple[str, ...] = ("embedded", "keyphrase")
    limit: str = ""
    seed: str = "0"

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
        )


@router.get("/start")
def start(request: Request, corpus: str = "sample") -> Response:
    """The form that starts a run; an upload may be chosen in its address."""
    return _form(request, Given(corpus=corpus))


@router.post("/start")
def start_run(request: Request, form: Form) -> Response:
    """Start a run, or show the form again with what is wrong."""
    given = Given.of(form)
    try:
        return started(request, _job(request, given), form.key)
    except InputError as error:
        return _form(request, given, str(error))


def _job(request: Request, given: Given) -> RunJob:
    if given.corpus == _FILE:
        raise InputError(
            "the file was not sent; choose it again and wait until it is there, or send it with "
            "POST /v1/uploads and choose it above"
        )
    if given.run in state_of(request).runs.names():
        raise InputError(f"there is a run {given.run!r} already; choose another name")
    reading: dict[str, Any] = {"limit": given.limit} if given.limit else {}
    settings = {
        "corpus": given.corpus,
        "model": given.model,
        "encoder": given.encoder,
        "proposers": given.proposers,
        "seed": given.seed,
        "reading": reading,
    }
    try:
        return RunJob.model_validate({"run": given.run, "settings": settings}, strict=False)
    except ValidationError as error:
        raise InputError("; ".join(complaints(error.errors()))) from error


def _form(request: Request, given: Given, problem: str = "") -> Response:
    state = state_of(request)
    choices = describe_admission(state.settings)
    return page(
        request,
        "start.html",
        status=HTTP_422_UNPROCESSABLE_CONTENT if problem else 200,
        given=given,
        problem=problem,
        uploads=state.uploads.list()[:_UPLOADS_SHOWN],
        models=choices.models,
        proposers=[name for name in choices.proposers if not name.endswith("*")],
        hub_corpora=[each.removeprefix(_HUB) for each in choices.corpora if each.startswith(_HUB)],
        upload_bytes=choices.upload_bytes,
    )
