"""A judge that is a generative LM, through any back end; what is answered is paid for once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from descriptors.answering import AnswerSource
from descriptors.generation import (
    Answer,
    ChatRequest,
    RequestFailure,
    SamplingSettings,
    TextGenerator,
)
from descriptors.prompts import retry_request
from descriptors.replies import ReplyProblem
from descriptors.response_store import ResponseStore
from eval.judges import (
    HighlightQuestion,
    TextQuestion,
    Unanswered,
    WordQuestion,
)
from eval.lm_judge_prompts import highlight_request, text_request, word_request
from eval.lm_judge_replies import read_scores, read_words
from indexer.arrays import DoubleArray

_Scores = TypeVar("_Scores")
_Part = TypeVar("_Part")


class LMJudge:
    """Asks an LM; texts are shown a few at a time, and an unusable answer is asked for once more.

    A question is unanswered if one of its requests has no usable answer in the end. `failures`
    counts such requests by reason, over all questions.

    Args:
        generator: the LM.
        store: keeps what it answers, so that no answer is paid for twice; None keeps nothing.
        sampling: how answers are drawn.
        texts_per_request: how many texts one request shows at most.
        progress: whether to show progress bars on stderr.
    """

    is_paid_for = True
    text_threshold = 0.5
    highlight_threshold = 0.5

    def __init__(
        self,
        generator: TextGenerator,
        store: ResponseStore | None,
        sampling: SamplingSettings | None = None,
        *,
        texts_per_request: int = 10,
        progress: bool = False,
    ) -> None:
        self._generator = generator
        self._source = AnswerSource(generator, store)
        self._sampling = sampling or SamplingSettings()
        self._texts_per_request = texts_per_request
        self._progress = progress
        self.failures: Counter[str] = Counter()

    @property
    def name(self) -> str:
        """The back end and model as the user writes them."""
        return self._generator.name

    @property
    def sent(self) -> int:
        """Requests that the store did not answer, second attempts included."""
        return self._source.sent

    def judge_texts(self, questions: Sequence[TextQuestion]) -> list[DoubleArray | Unanswered]:
        """A score for each text of each question (`n_texts`).

        Raises:
            BackendError: the LM cannot be used, or a budget is spent; answers until then are in
                the store.
            RunError: the store cannot be read or written.
        """
        requests = [
            _Request(number, text_request(each.description, texts, self._sampling), len(texts))
            for number, each in enumerate(questions)
            for texts in self._portions(each.texts)
        ]
        return self._scores(requests, len(questions))

    def judge_highlights(
        self, questions: Sequence[HighlightQuestion]
    ) -> list[DoubleArray | Unanswered]:
        """A score for each highlighted text of each question (`n_highlights`).

        Raises:
            BackendError, RunError: as `judge_texts`.
        """
        requests = [
            _Request(number, highlight_request(each.description, some, self._sampling), len(some))
            for number, each in enumerate(questions)
            for some in self._portions(each.highlights)
        ]
        return self._scores(requests, len(questions))

    def judge_words(
        self, questions: Sequence[WordQuestion]
    ) -> list[tuple[DoubleArray, ...] | Unanswered]:
        """A score for each word of each text of each question (`n_words` for each text).

        Raises:
            BackendError, RunError: as `judge_texts`.
        """
        requests = [
            _Request(number, word_request(each.description, texts, self._sampling), texts)
            for number, each in enumerate(questions)
            for texts in self._portions(each.texts)
        ]
        answered = self._ask(requests, read_words)
        joined: list[tuple[DoubleArray, ...] | Unanswered] = []
        for parts in _by_question(requests, answered, len(questions)):
            joined.append(
                parts
                if isinstance(parts, Unanswered)
                else tuple(scores for part in parts for scores in part)
            )
        return joined

    def close(self) -> None:
        """Let go of what the LM holds (memory, processes); it may be used again."""
        self._generator.close()

    def _portions(self, texts: Sequence[_Part]) -> list[Sequence[_Part]]:
        size = self._texts_per_request
        return [texts[first : first + size] for first in range(0, len(texts), size)]

    def _scores(
        self, requests: Sequence[_Request[int]], n_questions: int
    ) -> list[DoubleArray | Unanswered]:
        answered = self._ask(requests, read_scores)
        return [
            parts if isinstance(parts, Unanswered) else np.concatenate([np.empty(0), *parts])
            for parts in _by_question(requests, answered, n_questions)
        ]

    def _ask(
        self,
        requests: Sequence[_Request[_Part]],
        read: Callable[[Answer, _Part], _Scores | ReplyProblem],
    ) -> list[_Scores | Unanswered]:
        """What each request brought, at the second attempt where the first was unusable."""
        replies = self._replies(requests, [each.request for each in requests], read)
        again = {
            place: retry_request(requests[place].request, answer, [found])
            for place, (answer, found) in enumerate(replies)
            if isinstance(answer, Answer) and isinstance(found, ReplyProblem)
        }
        second = self._replies([requests[place] for place in again], list(again.values()), read)
        for place, reply in zip(again, second, strict=True):
            replies[place] = reply
        results: list[_Scores | Unanswered] = []
        for _, found in replies:
            if isinstance(found, ReplyProblem):
                self.failures[str(found.reason)] += 1
                results.append(Unanswered(str(found.reason)))
            else:
                results.append(found)
        return results

    def _replies(
        self,
        about: Sequence[_Request[_Part]],
        sent: Sequence[ChatRequest],
        read: Callable[[Answer, _Part], _Scores | ReplyProblem],
    ) -> list[tuple[Answer | RequestFailure, _Scores | ReplyProblem]]:
        answers = self._source.ask(sent, progress=self._progress)
        return [
            (
                answer,
                ReplyProblem(answer.reason, answer.message)
                if isinstance(answer, RequestFailure)
                else read(answer, each.about),
            )
            for answer, each in zip(answers, about, strict=True)
        ]


@dataclass(frozen=True)
class _Request(Generic[_Part]):
    """A request that is part of a question; `about` is what its answer must fit."""

    question: int
    request: ChatRequest
    about: _Part


def _by_question(
    requests: Sequence[_Request[_Part]],
    answered: Sequence[_Scores | Unanswered],
    n_questions: int,
) -> list[list[_Scores] | Unanswered]:
    """The answers of each question, or why one of them is missing."""
    found: list[list[_Scores] | Unanswered] = [[] for _ in range(n_questions)]
    for each, answer in zip(requests, answered, strict=True):
        own = found[each.question]
        if isinstance(own, Unanswered):
            continue
        if isinstance(answer, Unanswered):
            found[each.question] = answer
        else:
            own.append(answer)
    return found
