"""The pages of runs: all of them, one at a glance, a search by concept, the layer map."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from starlette.status import HTTP_200_OK, HTTP_422_UNPROCESSABLE_CONTENT

from eval.control_verdicts import judge_protocols
from eval.variant_words import without_curves
from eval.verdicts import judge_facets
from indexer.errors import BusyError, InputError
from service.api.hidden_paths import told_job, without_paths
from service.api.schemas import RunPath
from service.api.state import ServiceState, state_of
from service.export import Table
from service.jobs.records import RUN_NAME
from service.pages.charts import layer_chart
from service.pages.queries import asked
from service.pages.rendering import page
from service.table_files import TableFormat
from service.views.records import RunState

if TYPE_CHECKING:
    from service.jobs.records import Job
    from service.views.records import RunCard
    from service.views.run_view import RunView

router = APIRouter(include_in_schema=False)

_JOBS_SHOWN = 8
_DESCRIPTORS_FOUND = 8
_SHOWN_IN_FULL = 3
_NEURONS_FOUND = 8
_READABLE = {RunState.FINISHED, RunState.UPDATING}


@router.get("/")
def home(request: Request) -> Response:
    """All runs, and the jobs asked for last."""
    state = state_of(request)
    cards = sorted(state.runs.cards(), key=lambda card: card.changed_at, reverse=True)
    deleted = asked(request).get("deleted", "")
    if deleted in {card.name for card in cards} or re.fullmatch(RUN_NAME, deleted) is None:
        deleted = ""
    return page(request, "home.html", runs=cards, jobs=recent_jobs(state), deleted=deleted)


@router.get("/runs/{run}")
def overview(request: Request, run: RunPath) -> Response:
    """A run at a glance; of one that cannot be read yet, its jobs."""
    state = state_of(request)
    card = state.runs.card(run)
    jobs = recent_jobs(state, run)
    view = _opened(state, card)
    if view is None:
        return page(request, "run_waiting.html", run=run, card=card, jobs=jobs)
    figures = view.evaluation()
    return page(
        request,
        "run.html",
        run=run,
        card=view.card(),
        jobs=jobs,
        overview=view.overview(),
        layer_map=view.layer_map(),
        verdicts=judge_facets(without_curves(figures)),
        protocols=judge_protocols(figures),
        pending=view.descriptors(search="", kept=None, offset=0, limit=1).pending_edits,
        exports=_exports(run),
    )


@router.get("/runs/{run}/search")
def search(request: Request, run: RunPath) -> Response:
    """The descriptors near some words, and the neurons that carry them."""
    words = asked(request).get("q", "")[:500]
    view = state_of(request).runs.open(run)
    concept, problem = None, ""
    if words:
        try:
            concept = view.concept(
                words, n_descriptors=_DESCRIPTORS_FOUND, n_neurons=_NEURONS_FOUND
            )
        except InputError as error:
            problem = without_paths(str(error), state_of(request).settings)
    return page(
        request,
        "search.html",
        status=HTTP_422_UNPROCESSABLE_CONTENT if problem else HTTP_200_OK,
        run=run,
        words=words,
        concept=concept,
        problem=problem,
        shown_in_full=_SHOWN_IN_FULL,
    )


@router.get("/runs/{run}/map")
def layer_map(request: Request, run: RunPath) -> Response:
    """Where in the model neurons are described."""
    found = state_of(request).runs.open(run).layer_map()
    return page(request, "map.html", run=run, layer_map=found, data=layer_chart(found))


def _opened(state: ServiceState, card: RunCard) -> RunView | None:
    """A run to read, None where it cannot be read yet."""
    if card.state not in _READABLE:
        return None
    try:
        return state.runs.open(card.name)
    except BusyError:
        return None


def recent_jobs(state: ServiceState, run: str | None = None) -> list[Job]:
    """The jobs asked for last, of all runs or of one."""
    found = state.jobs.list(run=run, limit=_JOBS_SHOWN)
    return [told_job(each, state.settings) for each in found]


def _exports(run: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Every table of a run with the formats it can be had in and their addresses."""
    return [
        (
            table.value,
            [
                (each.value, f"/v1/runs/{run}/export/{table.value}.{each.value}")
                for each in TableFormat
            ],
        )
        for table in Table
    ]
