"""What a page's address asks for; fields that a form left empty were not asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import urlencode

from fastapi import Request
from pydantic import Field, ValidationError

from indexer.errors import InputError
from indexer.records import Record
from service.complaints import complaints
from service.views.records import NeuronFilter

LIMIT = 50
_YES_OR_NO: Mapping[str, bool] = {"yes": True, "no": False}


Told = TypeVar("Told", bound=Record)


class Place(Record):
    """Where a page of a list begins."""

    offset: int = Field(default=0, ge=0, le=10**9)


def asked(request: Request) -> dict[str, str]:
    """The fields of an address that are not empty."""
    return {name: value for name, value in request.query_params.items() if value.strip()}


def neuron_filter(fields: Mapping[str, str]) -> NeuronFilter:
    """Which tails are asked for.

    Raises:
        InputError: a field has no possible value.
    """
    names = [name for name in NeuronFilter.model_fields if name in fields and name != "described"]
    wanted = checked(NeuronFilter, {name: fields[name] for name in names})
    return wanted.model_copy(update={"described": yes_or_no(fields, "described")})


def offset_of(fields: Mapping[str, str]) -> int:
    """Where the page of a list begins.

    Raises:
        InputError: it is no number of zero or more.
    """
    return checked(Place, {"offset": fields.get("offset", "0")}).offset


def yes_or_no(fields: Mapping[str, str], name: str) -> bool | None:
    """A field that says yes or no, None where it is missing.

    Raises:
        InputError: it says something else.
    """
    if name not in fields:
        return None
    if fields[name] not in _YES_OR_NO:
        raise InputError(f"{name}: found {fields[name][:40]!r}, expected yes or no")
    return _YES_OR_NO[fields[name]]


def query_of(fields: Mapping[str, str]) -> str:
    """The fields for the address of another page of the same list, with an ampersand after them."""
    kept = {name: value for name, value in fields.items() if name != "offset"}
    return f"{urlencode(kept)}&" if kept else ""


def checked(kind: type[Told], told: Mapping[str, str]) -> Told:
    """A record of what was told in text.

    Raises:
        InputError: a field has no possible value.
    """
    try:
        return kind.model_validate_strings(told)
    except ValidationError as error:
        raise InputError("; ".join(complaints(error.errors()))) from error
