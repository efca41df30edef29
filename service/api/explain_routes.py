"""The route that says what fires on a text."""

from __future__ import annotations

from asyncio import get_running_loop
from http import HTTPStatus
from typing import Annotated

from fastapi import Body, Request, Response
from pydantic import Field

from indexer.records import Record
from service.api.etags import JSON, headers_of
from service.api.schemas import problems
from service.api.state import state_of
from service.api.strict_routes import strict_router
from service.jobs.records import RunName
from service.views.records import TextAnswer

router = strict_router("/v1", "neurons")


class ExplainRequest(Record):
    """A text, and the run whose neurons are asked; the `n_neurons` that stand out most answer."""

    run: RunName
    text: str = Field(min_length=1, max_length=20_000)
    n_neurons: int = Field(default=10, ge=1, le=100)


@router.post(
    "/explain",
    summary="What fires on a text",
    response_model=TextAnswer,
    responses=problems(
        HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    ),
)
async def explain_text(
    request: Request,
    asked: Annotated[
        ExplainRequest,
        Body(examples=[{"run": "reviews", "text": "They never sent my money back."}]),
    ],
) -> Response:
    """The described neurons that a text drives above their usual level, with each token's part."""
    state = state_of(request)

    def answer() -> Response:
        view = state.runs.open(asked.run)
        found = view.text(asked.text, n_neurons=asked.n_neurons)
        return Response(found.model_dump_json(), media_type=JSON, headers=headers_of(view.etag))

    return await get_running_loop().run_in_executor(state.models, answer)
