"""The page on which a text is typed, and what fires on it is shown."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.status import HTTP_422_UNPROCESSABLE_CONTENT

from indexer.errors import InputError
from service.api.hidden_paths import without_paths
from service.api.schemas import RunPath
from service.api.state import state_of
from service.imported_stage import PREFIX
from service.pages.forms import Form
from service.pages.rendering import page

router = APIRouter(include_in_schema=False)

LONGEST_TEXT = 5000
_NEURONS_SHOWN = 12


@router.get("/runs/{run}/text")
def show_text(request: Request, run: RunPath) -> Response:
    """The page before anything is typed."""
    # Whoever asks of a run without a model is told before they type.
    has_model = not state_of(request).runs.open(run).card().model.startswith(PREFIX)
    return page(
        request,
        "text.html",
        run=run,
        text="",
        answer=None,
        problem="",
        longest=LONGEST_TEXT,
        has_model=has_model,
    )


@router.post("/runs/{run}/text")
def explain_text(request: Request, run: RunPath, form: Form) -> Response:
    """What fires on a text, as a whole page."""
    return _answered(request, run, form.one("text"), "text.html")


@router.post("/runs/{run}/text/panel")
def explain_live(request: Request, run: RunPath, form: Form) -> Response:
    """What fires on a text, as the part of the page that changes while one types."""
    return _answered(request, run, form.one("text"), "text_panel.html")


def _answered(request: Request, run: str, text: str, template: str) -> Response:
    # A post so that texts, which may be private, stand in no address and no log.
    state = state_of(request)
    view = state.runs.open(run)
    answer, problem = None, ""
    if len(text) > LONGEST_TEXT:
        problem = f"the text has {len(text):,} characters; expected at most {LONGEST_TEXT:,}"
    else:
        try:
            answer = view.text(text, n_neurons=_NEURONS_SHOWN)
        except InputError as error:
            problem = without_paths(str(error), state.settings)
    return page(
        request,
        template,
        status=HTTP_422_UNPROCESSABLE_CONTENT if problem else 200,
        run=run,
        text=text,
        answer=answer,
        problem=problem,
        longest=LONGEST_TEXT,
    )
