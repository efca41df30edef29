"""The `openai:` back end: any OpenAI-compatible server, through the official client."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field

from descriptors.budget import Budget, Spending
from descriptors.generation import Answer, ChatRequest, RequestFailure
from descriptors.openai_dialect import Dialect
from descriptors.openai_errors import NO_KEY, Server
from descriptors.openai_session import Session
from descriptors.token_estimate import estimate_prompt_tokens
from indexer.errors import InputError
from indexer.records import Record
from indexer.storage import fingerprint

_HOSTED_URL = "https://api.openai.com/v1"
_CONNECT_SECONDS = 10.0


class OpenAISettings(Record):
    """How a server is used.

    `base_url` None takes `OPENAI_BASE_URL`, then OpenAI's own. `maximum_retries` counts repeats of
    one request after a status of 408, 409, 429 or 5xx or a broken connection; the client backs off
    between them and obeys `Retry-After`. `extra_body` goes into every request as it is, for what
    only some servers know (`{"chat_template_kwargs": {"enable_thinking": false}}`).
    """

    base_url: str | None = None
    concurrency: int = Field(default=8, ge=1)
    timeout_seconds: float = Field(default=300.0, gt=0)
    maximum_retries: int = Field(default=5, ge=0)
    budget: Budget = Budget()
    extra_body: dict[str, Any] = Field(default_factory=dict)


class OpenAIGenerator:
    """Asks a chat model behind an OpenAI-compatible server; the key is read from OPENAI_API_KEY.

    `spending` counts over all calls, each when it ends; the budget holds for them together.

    Raises:
        InputError: the base URL is none.
    """

    def __init__(self, model: str, settings: OpenAISettings | None = None) -> None:
        self.settings = settings or OpenAISettings()
        url = self.settings.base_url or os.environ.get("OPENAI_BASE_URL") or _HOSTED_URL
        if not _is_web_address(url):
            # The address is not shown: it may hold a password.
            raise InputError(
                "the server address of openai: is no web address; expected something like "
                "http://localhost:8000/v1 in OPENAI_BASE_URL"
            )
        self._server = Server(url, model, os.environ.get("OPENAI_API_KEY") or NO_KEY)
        self._dialect = Dialect()
        self.spending = Spending()

    @property
    def name(self) -> str:
        """The back end and model as the user writes them."""
        return f"openai:{self._server.model}"

    @property
    def fingerprint(self) -> str:
        """Model, server and extra parameters: one name may mean two models on two servers."""
        server = self._server
        return fingerprint(["openai", server.model, server.shown_url, self.settings.extra_body])

    def count_prompt_tokens(self, requests: Sequence[ChatRequest]) -> list[int]:
        """An estimate, as the tokenizer is on the server: see `estimate_prompt_tokens`."""
        return [estimate_prompt_tokens(request) for request in requests]

    def generate(
        self, requests: Sequence[ChatRequest], *, progress: bool = False
    ) -> Iterator[tuple[int, Answer | RequestFailure]]:
        """Yield the position of each request with its outcome, as they come.

        The event loop runs only while the caller waits for the next outcome, so this cannot be
        called from a coroutine. Requests under way are awaited before an error is raised.

        Raises:
            BackendError: no server, wrong key, no such model, failure after failure, budget spent.
        """
        from indexer.progress_bar import ProgressBar

        with (
            asyncio.Runner() as runner,
            ProgressBar(
                total=len(requests), unit=" requests", desc="ask", disable=not progress
            ) as bar,
        ):
            session = runner.run(self._open(requests))
            try:
                while outcomes := runner.run(session.advance()):
                    bar.update(len(outcomes))
                    yield from outcomes
            finally:
                self._dialect, self.spending = session.dialect, session.spending
                runner.run(session.close())

    def close(self) -> None:
        """Nothing: connections are closed at the end of every `generate`."""

    async def _open(self, requests: Sequence[ChatRequest]) -> Session:
        import openai

        client = openai.AsyncOpenAI(
            api_key=self._server.api_key,
            base_url=self._server.base_url,
            max_retries=self.settings.maximum_retries,
            timeout=openai.Timeout(self.settings.timeout_seconds, connect=_CONNECT_SECONDS),
        )
        return Session(
            client=client,
            server=self._server,
            requests=requests,
            concurrency=self.settings.concurrency,
            budget=self.settings.budget,
            extra_body=self.settings.extra_body,
            dialect=self._dialect,
            spending=self.spending,
        )


def _is_web_address(url: str) -> bool:
    try:
        address = urlsplit(url)
    except ValueError:
        return False
    return address.scheme in ("http", "https") and bool(address.hostname)
