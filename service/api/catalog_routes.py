"""Routes about the catalog of a run: reading it, and editing it without losing another's edit."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Body, Header, Query, Request, Response

from indexer.errors import StaleError
from service.api.edit_requests import EXAMPLES, EditRequest
from service.api.etags import JSON, answer_of_run, etag_of_catalog, headers_of, unchanged
from service.api.kept_edits import keep_edit
from service.api.page_records import DescriptorPage, EditPage, SentencePage
from service.api.pagination import Cursor
from service.api.problems import problem_response
from service.api.schemas import (
    CursorText,
    DescriptorPath,
    IfNoneMatch,
    Limit,
    RunPath,
    of_a_run,
    problems,
)
from service.api.state import state_of
from service.api.strict_routes import strict_router
from service.catalog_editing import EditableCatalog
from service.catalog_etag import catalog_etag
from service.edit_outcome import EditOutcome
from service.views.records import DescriptorAnswer
from service.views.run_view import RunView

router = strict_router("/v1/runs/{run}", "catalogs")


@router.get(
    "/descriptors",
    summary="The descriptors of a catalog",
    response_model=DescriptorPage,
    responses=of_a_run(),
)
async def list_descriptors(
    request: Request,
    run: RunPath,
    search: Annotated[
        str, Query(max_length=200, description="Letters that the phrase must hold.")
    ] = "",
    kept: Annotated[
        bool | None, Query(description="Only those kept, or only those not kept.")
    ] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Descriptors, kept ones first."""

    def page(view: RunView) -> DescriptorPage:
        start = Cursor.read(cursor, etag=view.etag, question=f"descriptors {kept} {search}")
        catalog = view.catalog_etag
        found = view.descriptors(search=search, kept=kept, offset=start.offset, limit=limit)
        return DescriptorPage(
            items=found.items,
            total=found.total,
            pending_edits=found.pending_edits,
            catalog_etag=catalog,
            next_cursor=start.after(len(found.items), found.total),
        )

    return await answer_of_run(request, run, page, etag_of_catalog)


@router.get(
    "/descriptors/{descriptor}",
    summary="A descriptor",
    response_model=DescriptorAnswer,
    responses=of_a_run(),
)
async def get_descriptor(
    request: Request, run: RunPath, descriptor: DescriptorPath, if_none_match: IfNoneMatch = None
) -> Response:
    """A descriptor, the tails that carry it, and the descriptors nearest to it."""
    return await answer_of_run(request, run, lambda view: view.descriptor(descriptor))


@router.get(
    "/descriptors/{descriptor}/sentences",
    summary="The sentences of a descriptor",
    response_model=SentencePage,
    responses=of_a_run(),
)
async def list_sentences(
    request: Request,
    run: RunPath,
    descriptor: DescriptorPath,
    limit: Limit = 50,
    cursor: CursorText = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The sentences that a kept descriptor holds for, the surest first."""

    def page(view: RunView) -> SentencePage:
        start = Cursor.read(cursor, etag=view.etag, question=f"sentences {descriptor}")
        found = view.sentences(descriptor, offset=start.offset, limit=limit)
        following = start.after(len(found.items), found.total)
        return SentencePage(items=found.items, total=found.total, next_cursor=following)

    return await answer_of_run(request, run, page)


@router.get(
    "/edits",
    summary="The edits of a catalog",
    response_model=EditPage,
    responses=of_a_run(),
)
def list_edits(
    request: Request,
    run: RunPath,
    limit: Limit = 50,
    cursor: CursorText = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Edits in the order they were made; the ETag is what the next edit must name."""
    path = state_of(request).runs.path(run)
    # Before the edits are read: who sees a new edit with an old ETag is asked to read again.
    etag = catalog_etag(path)
    answer = unchanged(request, etag)
    if answer is not None:
        return answer
    catalog = EditableCatalog.open(path)
    start = Cursor.read(cursor, etag=etag, question="edits")
    chosen = catalog.edits[start.offset : start.offset + limit]
    page = EditPage(
        items=chosen,
        total=len(catalog.edits),
        pending=len(catalog.pending),
        catalog_etag=etag,
        next_cursor=start.after(len(chosen), len(catalog.edits)),
    )
    return Response(page.model_dump_json(), media_type=JSON, headers=headers_of(etag))


@router.post(
    "/edits",
    summary="Edit a catalog",
    response_model=EditOutcome,
    responses=problems(
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.PRECONDITION_REQUIRED,
    ),
)
def edit_descriptors(
    request: Request,
    run: RunPath,
    wish: Annotated[EditRequest, Body(openapi_examples=EXAMPLES)],
    dry_run: Annotated[bool, Query(description="Tell what it would do, and do nothing.")] = False,
    if_match: Annotated[
        str | None,
        Header(description="The `catalog_etag` that the edit was made for; it must be given."),
    ] = None,
) -> Response:
    """Keep an edit; a job of kind `rebuild` then builds the catalog and matches again.

    Of two edits made for the same state one is refused with 409 and the ETag as it is now.
    """
    if if_match is None:
        return problem_response(
            request,
            HTTPStatus.PRECONDITION_REQUIRED,
            "PreconditionRequired",
            "an edit must name the catalog it was made for: If-Match with the catalog_etag of "
            f"GET /v1/runs/{run}/descriptors",
        )
    runs = state_of(request).runs
    try:
        outcome = keep_edit(runs, run, wish, if_match, dry_run=dry_run)
    except StaleError as error:
        headers = headers_of(catalog_etag(runs.path(run)))
        return problem_response(
            request, HTTPStatus.CONFLICT, type(error).__name__, str(error), headers
        )
    # No ETag: another edit may have been kept since, which the client must see before the next.
    return Response(outcome.model_dump_json(), media_type=JSON)
