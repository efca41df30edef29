"""The pages of descriptors: the catalog with what was not kept, and one descriptor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from descriptors.edit_records import EditKind
from service.api.schemas import DescriptorPath, RunPath
from service.api.state import state_of
from service.pages.queries import LIMIT, asked, offset_of, query_of, yes_or_no
from service.pages.rendering import page
from service.pages.words import EDIT_WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping

router = APIRouter(include_in_schema=False)

_SENTENCES = 20
_MERGEABLE = 2000


@router.get("/runs/{run}/descriptors")
def descriptors(request: Request, run: RunPath) -> Response:
    """Descriptors, kept ones first, the others with the reason.

    Raises:
        InputError: what is asked for is not possible.
    """
    fields = asked(request)
    view = state_of(request).runs.open(run)
    search, kept = fields.get("search", "")[:200], yes_or_no(fields, "kept")
    offset = offset_of(fields)
    # Read before the list: an edit in between then counts as one that was not seen.
    etag = view.catalog_etag
    return page(
        request,
        "descriptors.html",
        run=run,
        etag=etag,
        search=search,
        kept=kept,
        found=view.descriptors(search=search, kept=kept, offset=offset, limit=LIMIT),
        offset=offset,
        limit=LIMIT,
        query=query_of(fields),
        edited=_edited(fields),
    )


@router.get("/runs/{run}/descriptors/{descriptor}")
def descriptor(request: Request, run: RunPath, descriptor: DescriptorPath) -> Response:
    """A descriptor with its sentences and its neurons, and the forms that edit it.

    Raises:
        NotFoundError: there is none of this identifier.
    """
    fields = asked(request)
    view = state_of(request).runs.open(run)
    offset = offset_of(fields)
    etag = view.catalog_etag
    kept = view.descriptors(search="", kept=True, offset=0, limit=_MERGEABLE)
    return page(
        request,
        "descriptor.html",
        run=run,
        etag=etag,
        answer=view.descriptor(descriptor),
        sentences=view.sentences(descriptor, offset=offset, limit=_SENTENCES),
        offset=offset,
        limit=_SENTENCES,
        kept=sorted(kept.items, key=lambda each: each.text.casefold()),
        pending=kept.pending_edits,
        edited=_edited(fields),
    )


def _edited(fields: Mapping[str, str]) -> str:
    """What was just done to the catalog, in a word."""
    kind = fields.get("edited", "")
    return EDIT_WORDS[EditKind(kind)] if kind in set(EditKind) else ""
