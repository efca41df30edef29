"""Pages of a list: where one ends and the next begins."""

from __future__ import annotations

import base64
import binascii
from typing import Self

from pydantic import Field, ValidationError

from indexer.errors import InputError, StaleError
from indexer.records import Record
from indexer.storage import fingerprint


class Cursor(Record):
    """Where a page begins, in which state of the list, and the fingerprint of what was asked.

    A list that others add to or take from says where by what is last on the page before:
    `after_item`.
    """

    offset: int = Field(default=0, ge=0, le=2**31)
    after_item: str | None = None
    etag: str
    question: str

    @classmethod
    def read(cls, text: str | None, *, etag: str, question: str) -> Self:
        """The cursor of a request, that of the first page if it names none.

        Raises:
            InputError: it is no cursor, or one of another list.
            StaleError: the list has changed since.
        """
        question = fingerprint(question)[:16]
        if text is None:
            return cls(etag=etag, question=question)
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            packed = base64.b64decode(padded, altchars=b"-_", validate=True)
            cursor = cls.model_validate_json(packed)
        except (UnicodeEncodeError, binascii.Error, ValidationError) as error:
            raise InputError(
                f"cursor {text!r} is not one; expected the next_cursor of a page, or none to start"
            ) from error
        if cursor.question != question:
            raise InputError(
                "the cursor is of a list with other filters; start again without a cursor"
            )
        if cursor.etag != etag:
            raise StaleError("the list has changed since the cursor's page; start again without it")
        return cursor

    def after(self, n_items: int, total: int) -> str | None:
        """The cursor after a page of so many items, None where it was the last."""
        offset = self.offset + n_items
        if n_items == 0 or offset >= total:
            return None
        return self.model_copy(update={"offset": offset}).written

    def behind(self, item: str) -> str:
        """The cursor of the page that follows an item."""
        return self.model_copy(update={"after_item": item}).written

    @property
    def written(self) -> str:
        """The cursor as clients hand it back."""
        packed = base64.urlsafe_b64encode(self.model_dump_json(exclude_defaults=True).encode())
        return packed.decode("ascii").rstrip("=")
