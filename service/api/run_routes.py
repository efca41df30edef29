"""Routes about runs."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Request, Response

from service.api.etags import answer_of_run
from service.api.page_records import RunPage
from service.api.pagination import Cursor
from service.api.schemas import CursorText, IfNoneMatch, Limit, RunPath, of_a_run, problems
from service.api.state import state_of
from service.api.strict_routes import strict_router
from service.overview import RunOverview
from service.views.records import LayerMap, RunCard
from service.views.run_view import RunView

router = strict_router("/v1/runs", "runs")


@router.get("", summary="All runs", responses=problems(HTTPStatus.CONFLICT))
def list_runs(request: Request, limit: Limit = 50, cursor: CursorText = None) -> RunPage:
    """Every run, finished or not, at a glance."""
    runs = state_of(request).runs
    names = runs.names()
    start = Cursor.read(cursor, etag="", question="runs")
    # By name, not by number: a run that is made or deleted meanwhile moves the others.
    following = [name for name in names if name > (start.after_item or "")]
    chosen = following[:limit]
    return RunPage(
        items=tuple(runs.cards(chosen)),
        total=len(names),
        next_cursor=start.behind(chosen[-1]) if len(following) > limit else None,
    )


@router.get("/{run}", summary="A run at a glance", responses=problems(HTTPStatus.NOT_FOUND))
def get_run(request: Request, run: RunPath) -> RunCard:
    """A run, finished or not, what it was made of and how far it is."""
    return state_of(request).runs.card(run)


@router.delete(
    "/{run}",
    summary="Remove a run",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def delete_run(request: Request, run: RunPath) -> None:
    """Remove a run with everything in it; 409 while a job or another process is writing it."""
    state_of(request).runs.delete(run)


@router.get(
    "/{run}/overview", summary="What a run found", response_model=RunOverview, responses=of_a_run()
)
async def get_overview(
    request: Request, run: RunPath, if_none_match: IfNoneMatch = None
) -> Response:
    """Counts of sentences, descriptors and described tails, and the neurons told best."""
    return await answer_of_run(request, run, RunView.overview)


@router.get("/{run}/layers", summary="The layer map", response_model=LayerMap, responses=of_a_run())
async def get_layer_map(
    request: Request, run: RunPath, if_none_match: IfNoneMatch = None
) -> Response:
    """Every site of every layer: how many neurons are described, how well, and by what."""
    return await answer_of_run(request, run, RunView.layer_map)
