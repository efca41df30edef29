"""Routes of corpora that users send: a job names one as `upload:ID`."""

from __future__ import annotations

from datetime import UTC
from http import HTTPStatus
from typing import Annotated

from fastapi import Query, Request

from service.api.page_records import UploadAnswer, UploadPage
from service.api.pagination import Cursor
from service.api.schemas import CursorText, Limit, UploadPath, problems
from service.api.state import state_of
from service.api.strict_routes import strict_router
from service.uploads import Upload

router = strict_router("/v1/uploads", "uploads")

_BODY = {
    "requestBody": {
        "required": True,
        "description": "The file as it is; it is never held in memory as a whole.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "",
    summary="Send a corpus",
    status_code=HTTPStatus.CREATED,
    openapi_extra=_BODY,
    responses=problems(HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
)
async def send_upload(
    request: Request,
    name: Annotated[
        str,
        Query(
            min_length=1,
            max_length=255,
            description="What the file is called; its ending says the format: .jsonl, .csv, .tsv "
            "or .txt, each also with .gz, or .parquet.",
            examples=["reviews.csv"],
        ),
    ],
) -> Upload:
    """Keep a corpus, checked while it arrives; nothing of it stays if it is refused."""
    return await state_of(request).uploads.save(name, request.stream())


@router.get("", summary="All uploads")
def list_uploads(request: Request, limit: Limit = 50, cursor: CursorText = None) -> UploadPage:
    """Uploads, the newest first."""
    found = state_of(request).uploads.list()
    start = Cursor.read(cursor, etag="", question="uploads")
    # By what the page before ended with: an upload that is sent or removed moves the others.
    following = [
        each for each in found if start.after_item is None or _place(each) < start.after_item
    ]
    chosen = following[:limit]
    return UploadPage(
        items=tuple(chosen),
        total=len(found),
        next_cursor=start.behind(_place(chosen[-1])) if len(following) > limit else None,
    )


def _place(upload: Upload) -> str:
    """Sorts as `Uploads.list` does, backwards."""
    return f"{upload.created_at.astimezone(UTC).isoformat(timespec='microseconds')} {upload.id}"


@router.get("/{upload}", summary="An upload", responses=problems(HTTPStatus.NOT_FOUND))
def get_upload(
    request: Request,
    upload: UploadPath,
    n_rows: Annotated[int, Query(ge=1, le=50, description="Rows to show.")] = 5,
) -> UploadAnswer:
    """An upload, the fields it has, and its first rows."""
    uploads = state_of(request).uploads
    return UploadAnswer(upload=uploads.get(upload), preview=uploads.preview(upload, n_rows))


@router.delete(
    "/{upload}",
    summary="Remove an upload",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems(HTTPStatus.NOT_FOUND),
)
def delete_upload(request: Request, upload: UploadPath) -> None:
    """Remove an upload; runs that have read it keep their sentences."""
    state_of(request).uploads.delete(upload)
