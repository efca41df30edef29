"""What requests may say and how answers are documented, shared by all routes."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Header, Path, Query

from service.api.problems import MEDIA_TYPE
from service.jobs.records import RUN_NAME
from service.uploads import UPLOAD_ID

MAXIMUM_LIMIT = 200
IDENTIFIER = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"

RunPath = Annotated[
    str,
    Path(pattern=RUN_NAME, description="The name of a run.", examples=["reviews"]),
]
AddressPath = Annotated[
    str,
    Path(
        pattern=r"^L[0-9]{1,4}\.(ffn|hidden)\.[0-9]{1,7}$",
        description="A neuron, as `L<layer>.<site>.<unit>`.",
        examples=["L2.ffn.1192"],
    ),
]
DescriptorPath = Annotated[
    str,
    Path(
        pattern=IDENTIFIER, description="The identifier of a descriptor.", examples=["d52346cb6bb"]
    ),
]
JobPath = Annotated[
    str,
    Path(
        pattern=IDENTIFIER,
        description="The identifier of a job.",
        examples=["01a201b7-224d-7f94-adfc-220814f01828"],
    ),
]
UploadPath = Annotated[
    str,
    Path(
        pattern=UPLOAD_ID, description="The identifier of an upload.", examples=["9f2c4e8a1b3d5f70"]
    ),
]
Limit = Annotated[
    int,
    Query(ge=1, le=MAXIMUM_LIMIT, description="The most items of a page."),
]
CursorText = Annotated[
    str | None,
    Query(
        max_length=500,
        description="`next_cursor` of the page before; without it, the first page.",
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(description="The ETag of an answer at hand; 304 if it is still right."),
]

_MEANINGS: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "The request is not HTTP or JSON as it should be.",
    HTTPStatus.UNAUTHORIZED: "An API key is needed, or the one given is not valid.",
    HTTPStatus.FORBIDDEN: "The API key does not allow this.",
    HTTPStatus.NOT_FOUND: "There is no such thing; the detail says where those there are are told.",
    HTTPStatus.CONFLICT: "It was changed meanwhile, is being written, or is damaged.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than the service takes.",
    HTTPStatus.MISDIRECTED_REQUEST: "The service is not known by the name in the header Host.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A value is not possible; the detail says which and why.",
    HTTPStatus.PRECONDITION_REQUIRED: "The header If-Match is missing.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests; Retry-After says when to go on.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database or a model cannot be reached; nothing was lost.",
}
_ANY_ROUTE = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_ETAG = {
    "ETag": {"description": "Names this state of the run.", "schema": {"type": "string"}},
}

Responses = dict[int | str, dict[str, Any]]


def problems(*further: HTTPStatus) -> Responses:
    """The problem documents that a route may answer with: those of any route, and `further`."""
    return {
        int(status): {
            "description": _MEANINGS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in (*_ANY_ROUTE, *further)
    }


def of_a_run() -> Responses:
    """What a route about a finished run may answer besides its answer."""
    return {
        200: {"headers": _ETAG},
        304: {"description": "The answer at hand is still right.", "headers": _ETAG},
        **problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    }


def document(media_types: Mapping[str, dict[str, Any]], description: str) -> Responses:
    """A successful answer that is no JSON, by media type and schema."""
    content = {name: {"schema": schema} for name, schema in media_types.items()}
    return {200: {"description": description, "content": content}}
