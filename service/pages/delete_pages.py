"""The page that asks whether a run is really to be deleted."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from indexer.errors import RunError
from service.api.hidden_paths import without_paths
from service.api.problems import status_of
from service.api.schemas import RunPath
from service.api.state import state_of
from service.pages.rendering import page
from service.pages.run_pages import recent_jobs

router = APIRouter(include_in_schema=False)


@router.get("/runs/{run}/delete")
def ask_whether(request: Request, run: RunPath) -> Response:
    """What would go, and the button that does it.

    Raises:
        NotFoundError: there is no such run.
    """
    return _asked(request, run)


@router.post("/runs/{run}/delete")
def delete_run(request: Request, run: RunPath) -> Response:
    """Remove a run, or say why it cannot be removed.

    Raises:
        NotFoundError: there is no such run.
    """
    state = state_of(request)
    try:
        state.runs.delete(run)
    except RunError as error:
        problem = without_paths(str(error), state.settings)
        return _asked(request, run, problem, status_of(error))
    return RedirectResponse(f"/?{urlencode({'deleted': run})}", HTTPStatus.SEE_OTHER)


def _asked(
    request: Request, run: str, problem: str = "", status: HTTPStatus = HTTPStatus.OK
) -> Response:
    return page(
        request,
        "delete.html",
        status=status,
        run=run,
        card=state_of(request).runs.card(run),
        waiting=[job for job in recent_jobs(state_of(request), run) if not job.state.is_over],
        problem=problem,
    )
