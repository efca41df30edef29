"""How the client asks a service, and how problems become errors again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any, Protocol, Self, TypeVar
from urllib.parse import quote

import httpx2

import indexer.errors as tree
from indexer.errors import BackendError, InputError, NeuroscribeError, NotFoundError, RunError
from indexer.records import Record

_ERRORS = {
    name: kind
    for name, kind in vars(tree).items()
    if isinstance(kind, type) and issubclass(kind, NeuroscribeError)
}
_SHOWN_CHARACTERS = 300

Answer = TypeVar("Answer", bound=Record)
Item = TypeVar("Item")
Listed = TypeVar("Listed", covariant=True)


class Page(Protocol[Listed]):
    """A part of a list, and where the next begins."""

    @property
    def items(self) -> tuple[Listed, ...]:
        """What is on the page."""

    @property
    def next_cursor(self) -> str | None:
        """What to ask the next one with."""


@dataclass(frozen=True)
class Operation:
    """A request of the API, by the names that its OpenAPI document uses.

    Attributes:
        method: of HTTP.
        path: with the names of its parameters in braces.
    """

    method: str
    path: str

    def url(self, names: Mapping[str, str]) -> str:
        """The path with its parameters filled in."""
        return self.path.format_map({name: quote(text, safe="") for name, text in names.items()})


class Requests:
    """Requests to one service over connections that are kept.

    Args:
        http: which sends them; closed with this.
    """

    def __init__(self, http: httpx2.Client) -> None:
        self._http = http

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(
        self,
        kind: type[Answer],
        operation: Operation,
        names: Mapping[str, str] | None = None,
        **sent: Any,
    ) -> Answer:
        """Send a request and read the answer as a record.

        Args:
            kind: the class of the answer.
            operation: what to ask.
            names: the parameters of its path.
            sent: `params`, `json`, `content` and `headers`, as httpx2 takes them.

        Raises:
            NeuroscribeError: the service answers with a problem, or cannot be reached.
        """
        with self.opened(operation, names, **sent) as response:
            return kind.model_validate_json(response.read())

    def do(self, operation: Operation, names: Mapping[str, str] | None = None) -> None:
        """Send a request that has no answer.

        Raises:
            NeuroscribeError: the service answers with a problem, or cannot be reached.
        """
        with self.opened(operation, names):
            pass

    def all_items(
        self,
        page_of: Callable[[Mapping[str, Any]], Page[Item]],
        params: Mapping[str, Any],
    ) -> Iterator[Item]:
        """The items of all pages, each asked for when it is needed.

        Args:
            page_of: asks for a page with query parameters.
            params: those of every page.

        Raises:
            NeuroscribeError: the service answers with a problem, or cannot be reached.
        """
        page = page_of(params)
        yield from page.items
        while page.next_cursor is not None:
            page = page_of({**params, "cursor": page.next_cursor})
            yield from page.items

    @contextmanager
    def opened(
        self,
        operation: Operation,
        names: Mapping[str, str] | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        content: Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[httpx2.Response]:
        """An answer whose body is read by the caller.

        Raises:
            NeuroscribeError: the service answers with a problem, or cannot be reached.
        """
        try:
            with self._http.stream(
                operation.method,
                operation.url(names or {}),
                params=_given(params or {}),
                json=json,
                content=content,
                headers=dict(headers or {}),
            ) as response:
                if not response.is_success:
                    raise error_of(response.status_code, response.read())
                yield response
        except httpx2.TransportError as error:
            raise BackendError(
                f"the service at {self._http.base_url} cannot be reached: {error or type(error)}; "
                "is `neuroscribe serve` running there?"
            ) from error


def error_of(status: int, body: bytes) -> NeuroscribeError:
    """The error that a service meant by a problem document, or by a mere status."""
    try:
        problem = httpx2.Response(status, content=body).json()
        name, detail = str(problem["type"]).rpartition(":")[2], str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        shown = body[:_SHOWN_CHARACTERS].decode("utf-8", "replace")
        name, detail = "", f"the service answers {status} without saying why: {shown!r}"
    return named_error(name, detail, _kind_by_status(status))


def named_error(
    name: str, message: str, otherwise: type[NeuroscribeError] = BackendError
) -> NeuroscribeError:
    """The error of the tree with this name, or `otherwise` if the service has one of its own."""
    return _ERRORS.get(name, otherwise)(message)


def _kind_by_status(status: int) -> type[NeuroscribeError]:
    if status == HTTPStatus.NOT_FOUND:
        return NotFoundError
    if status == HTTPStatus.CONFLICT:
        return RunError
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return BackendError
    return InputError


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    """Query parameters without those that are not given; enumerations by their values."""
    return {
        name: value.value if isinstance(value, Enum) else value
        for name, value in params.items()
        if value is not None
    }
