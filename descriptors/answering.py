"""Answers from the store where they were paid for before, from the LM where not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from descriptors.generation import Answer, ChatRequest, RequestFailure, TextGenerator
from descriptors.proposer import RejectionCount
from descriptors.response_store import ResponseStore, response_key
from indexer.errors import BackendError


class AnswerSource:
    """An LM with the store of its answers, and counts of what asking took.

    `requests` are different requests, `from_store` those of them that were not sent. Tokens are
    those of answers that were sent for, `failures` the requests without an answer by reason.
    """

    def __init__(self, generator: TextGenerator, store: ResponseStore | None) -> None:
        self._generator = generator
        self._store = store
        self._damaged_before = self._damaged()
        self.requests = 0
        self.from_store = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.failures: Counter[str] = Counter()

    @property
    def damaged_entries(self) -> int:
        """Stored answers that could not be read and were sent for again."""
        return self._damaged() - self._damaged_before

    def missing(self, requests: Sequence[ChatRequest]) -> list[ChatRequest]:
        """The requests that `ask` would send: each once, none that the store answers.

        Raises:
            RunError: the store cannot be read.
        """
        distinct = dict(zip(self._keys(requests), requests, strict=True))
        return [request for key, request in distinct.items() if self._stored(key) is None]

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
        self.requests += len(distinct)
        self.from_store += len(known)
        missing = [key for key in distinct if key not in known]
        if missing:
            stream = self._generator.generate([distinct[key] for key in missing], progress=progress)
            for position, answer in stream:
                known[missing[position]] = answer
                self._keep(missing[position], answer)
        if len(known) < len(distinct):
            raise BackendError(
                f"{self._generator.name} answered {len(known)} of {len(distinct)} requests and "
                "stopped without saying why. Run again: stored answers are not sent for twice."
            )
        return [known[key] for key in keys]

    def _keep(self, key: str, answer: Answer | RequestFailure) -> None:
        if isinstance(answer, RequestFailure):
            self.failures[answer.reason] += 1
            return
        self.prompt_tokens += answer.prompt_tokens
        self.completion_tokens += answer.completion_tokens
        if self._store is not None:
            self._store.write(key, answer)

    def _keys(self, requests: Sequence[ChatRequest]) -> list[str]:
        generator = self._generator.fingerprint
        return [response_key(generator, request) for request in requests]

    def _stored(self, key: str) -> Answer | None:
        return None if self._store is None else self._store.read(key)

    def _damaged(self) -> int:
        return 0 if self._store is None else self._store.damaged_entries


def counts(reasons: Counter[str]) -> tuple[RejectionCount, ...]:
    """Reasons with their counts, in alphabetical order."""
    return tuple(RejectionCount(str(reason), reasons[reason]) for reason in sorted(reasons))
