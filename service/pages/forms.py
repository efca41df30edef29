"""What a form of a page was filled in with."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request

from indexer.errors import InputError

_MOST_FIELDS = 200
_KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class FormFields:
    """The fields of a form by name, each with all its values."""

    values: dict[str, list[str]]

    def one(self, name: str, default: str = "") -> str:
        """The first value of a field."""
        return self.values.get(name, [default])[0]

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a field."""
        return tuple(self.values.get(name, ()))

    @property
    def key(self) -> str | None:
        """What tells a form that is sent twice from two forms; None if it is no such key."""
        key = self.one("key")
        return key if _KEY.fullmatch(key) else None


async def read_form(request: Request) -> FormFields:
    """The fields of a form, as browsers send them.

    Raises:
        InputError: it is no such form.
    """
    try:
        body = (await request.body()).decode("utf-8")
        values = parse_qs(
            body, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError as error:
        raise InputError(
            f"the form cannot be read ({error}); expected application/x-www-form-urlencoded"
        ) from error
    return FormFields(values)


Form = Annotated[FormFields, Depends(read_form)]


def new_key() -> str:
    """A key for a form that is about to be shown: sending it twice starts one job."""
    return secrets.token_hex(16)
