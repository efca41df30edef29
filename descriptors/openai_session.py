"""One round of requests to an OpenAI-compatible server: how many at a time, and when to stop."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from descriptors.budget import Budget, Spending, fits, spent_message
from descriptors.generation import Answer, ChatRequest, FailureReason, RequestFailure
from descriptors.openai_answers import read_body, read_completion
from descriptors.openai_dialect import Dialect
from descriptors.openai_errors import Server, explain, keeps_failing, not_found
from descriptors.token_estimate import estimate_prompt_tokens
from indexer.errors import BackendError

if TYPE_CHECKING:
    import openai

_logger = logging.getLogger(__name__)

FAILURES_IN_A_ROW = 5
_SERVER_IS_ILL = (FailureReason.SERVER_FAILED, FailureReason.CUT_OFF)

Outcome = Answer | RequestFailure


@dataclass
class Session:
    """The requests that wait and run.

    `dialect`, `spending` and `counted` (the server counts tokens) tell what the round came to.
    """

    client: openai.AsyncOpenAI
    server: Server
    requests: Sequence[ChatRequest]
    concurrency: int
    budget: Budget
    extra_body: dict[str, Any]
    dialect: Dialect
    spending: Spending
    counted: bool = field(default=True, init=False)
    _waiting: deque[int] = field(init=False)
    # Every running request with the most tokens it is expected to cost.
    _running: dict[asyncio.Task[tuple[int, Outcome | BackendError]], int] = field(
        default_factory=dict, init=False
    )
    _problem: BackendError | None = field(default=None, init=False)
    _failures_in_a_row: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._waiting = deque(range(len(self.requests)))

    async def advance(self) -> list[tuple[int, Outcome]]:
        """Start what may start and wait until a request is done; empty when there is none left.

        Raises:
            BackendError: the round cannot go on, and all that was under way has been returned.
        """
        outcomes: list[tuple[int, Outcome]] = []
        while not outcomes:
            self._start()
            if not self._running:
                break
            done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del self._running[task]
                position, outcome = task.result()
                if isinstance(outcome, BackendError):
                    self._problem = self._problem or outcome
                else:
                    self._account(outcome)
                    outcomes.append((position, outcome))
        if not outcomes and self._problem:
            raise self._problem
        return outcomes

    async def close(self) -> None:
        """Give up what is still under way, when the caller stopped listening."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.client.close()

    def _start(self) -> None:
        while self._waiting and not self._problem and len(self._running) < self.concurrency:
            request = self.requests[self._waiting[0]]
            cost = estimate_prompt_tokens(request) + request.sampling.maximum_completion_tokens
            expected = self.spending.plus(requests=1, tokens=sum(self._running.values()) + cost)
            if not fits(self.budget, expected):
                # Requests under way may turn out cheaper than expected and leave room.
                if not self._running:
                    said = spent_message(self.budget, self.spending, len(self._waiting))
                    self._problem = BackendError(said)
                return
            task = asyncio.create_task(self._ask(self._waiting.popleft()))
            self._running[task] = cost
            self.spending = self.spending.plus(requests=1)

    def _account(self, outcome: Outcome) -> None:
        if isinstance(outcome, Answer):
            tokens = outcome.prompt_tokens + outcome.completion_tokens
            self.spending = self.spending.plus(tokens=tokens)
        if not isinstance(outcome, RequestFailure) or outcome.reason not in _SERVER_IS_ILL:
            self._failures_in_a_row = 0
            return
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= FAILURES_IN_A_ROW and not self._problem:
            self._problem = keeps_failing(self.server, self._failures_in_a_row, outcome)

    async def _ask(self, position: int) -> tuple[int, Outcome | BackendError]:
        import openai

        request = self.requests[position]
        try:
            completion = read_body(await self._body(request))
        except openai.NotFoundError as error:
            return position, not_found(error, self.server, await self._offered_models())
        except openai.APIError as error:
            return position, explain(error, self.server)
        if isinstance(completion, RequestFailure):
            return position, completion
        if self.counted and not completion.counts_tokens:
            self.counted = False
            _logger.warning(
                "%s does not count tokens; those of its answers are estimated",
                self.server.shown_url,
            )
        return position, read_completion(completion, request)

    async def _body(self, request: ChatRequest) -> str:
        """The body of the response, unread; asks again without what the server rejects."""
        import openai

        create: Any = self.client.chat.completions.with_raw_response.create
        while True:
            asked = self.dialect
            try:
                response = await create(
                    **asked.parameters(self.server.model, request),
                    extra_body=self.extra_body or None,
                )
                return str(response.text)
            except openai.APIStatusError as error:
                simpler = asked.without_rejected(error)
                if simpler is None:
                    raise
                # Requests that ran side by side meet the same rejection; one of them reports it.
                if self.dialect == asked:
                    _logger.warning(
                        "%s rejected a parameter (%s): %s",
                        self.server.shown_url,
                        self.server.quote(error.message),
                        asked.difference(simpler),
                    )
                    self.dialect = simpler

    async def _offered_models(self) -> list[str] | None:
        import openai

        try:
            page = await self.client.models.list()
            return [model.id for model in page.data]
        except (openai.APIError, json.JSONDecodeError, AttributeError, TypeError):
            return None
