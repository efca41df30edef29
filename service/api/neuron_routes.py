"""Routes about neurons, and about which of them know a concept."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from service.api.etags import JSON, answer_of_run, headers_of, unchanged
from service.api.kept_answers import KeptAnswer
from service.api.page_records import TailPage
from service.api.pagination import Cursor
from service.api.schemas import MAXIMUM_LIMIT, AddressPath, IfNoneMatch, RunPath, of_a_run
from service.api.state import state_of
from service.api.strict_routes import Handler, StrictRoute, strict_router
from service.explained import ExplainedConcept
from service.run_library import RunLibrary
from service.views.records import NeuronAnswer, NeuronFilter
from service.views.run_view import RunView

router = strict_router("/v1/runs/{run}", "neurons")


class NeuronQuery(NeuronFilter):
    """Which tails are listed, and which page of them."""

    limit: int = Field(default=50, ge=1, le=MAXIMUM_LIMIT, description="The most items of a page.")
    cursor: str | None = Field(
        default=None,
        max_length=500,
        description="`next_cursor` of the page before; without it, the first page.",
    )

    @property
    def wanted(self) -> NeuronFilter:
        """The filter without the page."""
        return NeuronFilter.model_validate(self.model_dump(exclude={"limit", "cursor"}))


@router.get(
    "/neurons", summary="The tails of neurons", response_model=TailPage, responses=of_a_run()
)
async def list_neurons(
    request: Request,
    run: RunPath,
    query: Annotated[NeuronQuery, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Tails that pass all filters, each with its first explanation or why it has none."""

    def page(view: RunView) -> TailPage:
        wanted = query.wanted
        start = Cursor.read(query.cursor, etag=view.etag, question=wanted.model_dump_json())
        found = view.tails(wanted, offset=start.offset, limit=query.limit)
        following = start.after(len(found.items), found.total)
        return TailPage(items=found.items, total=found.total, next_cursor=following)

    return await answer_of_run(request, run, page)


class KeptRoute(StrictRoute):
    """A route about a neuron that sends an answer it has kept without looking for parameters."""

    def get_route_handler(self) -> Handler:
        """The handler, asked only for what is not kept."""
        handler = super().get_route_handler()

        async def kept(request: Request) -> Response:
            names = request.scope["path_params"]
            answer = state_of(request).answers.get(names["run"], names["address"])
            if answer is None or request.scope["query_string"]:
                return await handler(request)
            return _sent(request, answer)

        return kept


async def get_neuron(
    request: Request, run: RunPath, address: AddressPath, if_none_match: IfNoneMatch = None
) -> Response:
    """Both tails: ranked explanations with intervals, or the reason for none, and exemplars."""
    state = state_of(request)
    answer = await run_in_threadpool(_neuron, state.runs, run, address)
    state.answers.keep(run, address, answer)
    return _sent(request, answer)


router.add_api_route(
    "/neurons/{address}",
    get_neuron,
    route_class_override=KeptRoute,
    summary="What a neuron responds to",
    response_model=NeuronAnswer,
    responses=of_a_run(),
)


@router.get(
    "/concepts",
    summary="Which neurons know a concept",
    response_model=ExplainedConcept,
    responses=of_a_run(),
)
async def find_concept(
    request: Request,
    run: RunPath,
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=1000,
            description="A concept in words.",
            examples=["refund requests"],
        ),
    ],
    n_descriptors: Annotated[int, Query(ge=1, le=50)] = 5,
    n_neurons: Annotated[int, Query(ge=1, le=100)] = 10,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The descriptors nearest to some words, and the neurons that carry each."""
    return await answer_of_run(
        request,
        run,
        lambda view: view.concept(q, n_descriptors=n_descriptors, n_neurons=n_neurons),
    )


def _neuron(runs: RunLibrary, run: str, address: str) -> KeptAnswer:
    view = runs.open(run)
    return KeptAnswer.of(view, view.neuron(address).model_dump_json().encode())


def _sent(request: Request, answer: KeptAnswer) -> Response:
    return unchanged(request, answer.etag) or Response(
        answer.body, media_type=JSON, headers=headers_of(answer.etag)
    )
