"""A request that is turned away before any route sees it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus


class RefusalError(Exception):
    """Why a request is turned away; answered by a problem document.

    Args:
        status: of the answer.
        kind: the last word of the problem's type.
        detail: what was found, what was expected, and what would work.
        headers: of the answer.
    """

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})
