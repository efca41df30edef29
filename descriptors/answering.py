"""Answers from the store where they were paid for before, from the LM where not."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from descriptors.generation import Answer, ChatRequest, RequestFailure, TextGenerator
from descriptors.proposer import RejectionCount
from descriptors.response_store import ResponseStore, response_key
from indexer.errors import BackendError

logger = logging.getLogger(__name__)


class AnswerSource:
    """An LM with the store of its answers, and counts of what the answers took.

    `requests` are different requests, `failures` those without an answer by reason. Tokens are
    those of all answers, stored ones included: a resumed run counts what an uninterrupted one does.
    `sent` are the requests that the store did not answer.
    """

    def __init__(self, generator: TextGenerator, store: ResponseStore | None) -> None:
        self._generator = generator
        self._store = store
        self.requests = 0
        self.sent = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.failures: Counter[str] = Counter()

    def missing(self, requests: Sequence[ChatRequest]) -> list[ChatRequest]:
        """The requests that `ask` would send: each once, none that the store answers.

        Raises:
            RunError: the store cannot be read.
        """
        distinct = dict(zip(self._keys(requests), requests, strict=True))
        return [request for key, request in distinct.items() if self._stored(key) is None]

    def stored(self, request: ChatRequest) -> Answer | None:
        """The answer that the store holds, if any.

        Raises:
            RunError: the store cannot be read.
        """
        [key] = self._keys([request])
        return self._stored(key)

    def ask(
        self, requests: Sequence[ChatRequest], *, progress: bool = False
    ) -> list[Answer | RequestFailure]:
        """The answer to each request; what is sent goes to the LM in one call.

        Raises:
            BackendError: the LM cannot be used, or a budget is spent; answers until then are in
                the store.
            RunError: the store cannot be read or written.
        """
        keys = self._keys(requests)
        distinct = dict(zip(keys, requests, strict=True))
        known: dict[str, Answer | RequestFailure] = {}
        for key in distinct:
            stored = self._stored(key)
            if stored is not None:
                known[key] = stored
                self._count(stored)
        self.requests += len(distinct)
        if known:
            asked = (self._generator.name, len(known), len(distinct))
            logger.info("%s: %d of %d requests were answered before", *asked)
        missing = [key for key in distinct if key not in known]
        self.sent += len(missing)
        if missing:
            stream = self._generator.generate([distinct[key] for key in missing], progress=progress)
            for position, answer in stream:
                known[missing[position]] = answer
                self._count(answer)
                if self._store is not None and isinstance(answer, Answer):
                    self._store.write(missing[position], answer)
        if len(known) < len(distinct):
            raise BackendError(
                f"{self._generator.name} answered {len(known)} of {len(distinct)} requests and "
                "stopped without saying why. Run again: stored answers are not sent for twice."
            )
        return [known[key] for key in keys]

    def _count(self, answer: Answer | RequestFailure) -> None:
        if isinstance(answer, RequestFailure):
            self.failures[answer.reason] += 1
        else:
            self.prompt_tokens += answer.prompt_tokens
            self.completion_tokens += answer.completion_tokens

    def _keys(self, requests: Sequence[ChatRequest]) -> list[str]:
        generator = self._generator.fingerprint
        return [response_key(generator, request) for request in requests]

    def _stored(self, key: str) -> Answer | None:
        return None if self._store is None else self._store.read(key)


def counts(reasons: Counter[str]) -> tuple[RejectionCount, ...]:
    """Reasons with their counts, in alphabetical order."""
    return tuple(RejectionCount(str(reason), reasons[reason]) for reason in sorted(reasons))
