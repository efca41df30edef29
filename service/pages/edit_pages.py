"""Edits of a catalog from forms; a form made for another state of it is refused."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import TypeAdapter, ValidationError
from starlette.status import HTTP_303_SEE_OTHER

from descriptors.edit_records import EditKind
from indexer.errors import BusyError, InputError, StaleError
from service.api.edit_requests import EditRequest
from service.api.etags import quoted
from service.api.hidden_paths import without_paths
from service.api.kept_edits import keep_edit
from service.api.problems import status_of
from service.api.schemas import RunPath
from service.api.state import state_of
from service.complaints import complaints
from service.pages.forms import Form, FormFields
from service.pages.rendering import page

router = APIRouter(include_in_schema=False)

_WISH: TypeAdapter[EditRequest] = TypeAdapter(EditRequest)


@router.post("/runs/{run}/descriptors/edit")
def edit(request: Request, run: RunPath, form: Form) -> Response:
    """Keep an edit, and go back to the descriptor it is about.

    Raises:
        NotFoundError: there is no such run.
    """
    state = state_of(request)
    runs = state.runs
    back = f"/runs/{quote(run)}/descriptors"
    identifier = form.one("descriptor")
    if identifier:
        back = f"{back}/{quote(identifier, safe='')}"
    try:
        wish = _wish(form)
        keep_edit(runs, run, wish, quoted(form.one("etag")))
    except (BusyError, InputError) as error:
        return page(
            request,
            "conflict.html",
            status=status_of(error),
            run=run,
            stale=isinstance(error, StaleError),
            problem=without_paths(str(error), state.settings),
            wish=_in_words(form),
            back=back,
        )
    return RedirectResponse(f"{back}?edited={wish.kind.value}", status_code=HTTP_303_SEE_OTHER)


def _wish(form: FormFields) -> EditRequest:
    kind, identifier, text = form.one("kind"), form.one("descriptor"), form.one("text")
    told: dict[str, object] = {"kind": kind}
    if kind == EditKind.MERGE:
        told["descriptors"] = (identifier, form.one("other"))
    elif kind != EditKind.SEED:
        told["descriptor"] = identifier
    if kind in {EditKind.SEED, EditKind.RENAME, EditKind.MERGE}:
        told["text"] = text
    try:
        return _WISH.validate_python(told)
    except ValidationError as error:
        raise InputError("; ".join(complaints(error.errors()))) from error


def _in_words(form: FormFields) -> str:
    kind, text = form.one("kind"), form.one("text")[:200]
    phrases = {
        EditKind.SEED: f"add “{text}”",
        EditKind.RENAME: f"rename it to “{text}”",
        EditKind.MERGE: f"merge it with another and call both “{text}”",
        EditKind.BAN: "ban it",
        EditKind.LOCK: "lock it",
        EditKind.UNLOCK: "unlock it",
    }
    return phrases[EditKind(kind)] if kind in set(EditKind) else ""
