"""A judge that answers what it is told, for cases worked by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from eval.judged_tails import Descriptions
from eval.judged_texts import TextSample
from eval.judges import HighlightQuestion, TextQuestion, Unanswered, WordedText, WordQuestion
from indexer.arrays import BoolArray, DoubleArray
from indexer.errors import BackendError

Score = Callable[[str, str], float]


@dataclass
class ToldJudge:
    """Scores by a function of description and text or word; fails as told.

    `unanswered` are descriptions that it does not answer about; `broken` says why it cannot be
    used. `asked` holds the descriptions of all questions.
    """

    score: Score
    name: str = "told"
    is_paid_for: bool = False
    text_threshold: float | None = 0.5
    highlight_threshold: float = 0.5
    unanswered: frozenset[str] = frozenset()
    broken: str = ""
    asked: list[str] = field(default_factory=list)

    def judge_texts(self, questions: Sequence[TextQuestion]) -> list[DoubleArray | Unanswered]:
        return [
            missing
            if (missing := self._missing(each.description))
            else np.array([self.score(each.description, text) for text in each.texts])
            for each in questions
        ]

    def judge_words(
        self, questions: Sequence[WordQuestion]
    ) -> list[tuple[DoubleArray, ...] | Unanswered]:
        return [
            missing
            if (missing := self._missing(each.description))
            else tuple(
                np.array([self.score(each.description, word) for word in text.words])
                for text in each.texts
            )
            for each in questions
        ]

    def judge_highlights(
        self, questions: Sequence[HighlightQuestion]
    ) -> list[DoubleArray | Unanswered]:
        return [
            missing
            if (missing := self._missing(each.description))
            else np.array(
                [
                    np.mean(
                        [
                            self.score(each.description, word)
                            for word, marked in zip(one.worded.words, one.marked, strict=True)
                            if marked
                        ]
                    )
                    for one in each.highlights
                ]
            )
            for each in questions
        ]

    def _missing(self, description: str) -> Unanswered | None:
        self.asked.append(description)
        if self.broken:
            raise BackendError(self.broken)
        return Unanswered("server_failed") if description in self.unanswered else None


def says(description: str, text: str) -> float:
    """1 if the description is in the text, else 0."""
    return float(description in text)


def worded(text: str) -> WordedText:
    """A text cut at its blanks."""
    return WordedText(text, tuple(found.span() for found in re.finditer(r"\S+", text)))


def descriptions(own: str, *swapped: str, random: str = "random") -> Descriptions:
    """What is said of a tail, and what it is compared with."""
    return Descriptions(own, swapped or ("other",), random)


def sample(
    active: Sequence[int], hard: Sequence[int] = (), strengths: Sequence[float] = ()
) -> TextSample:
    """Texts of which some are active, and some of the others hard."""
    truth: BoolArray = np.array(active, dtype=np.bool_)
    n_texts = len(truth)
    return TextSample(
        rows=np.arange(n_texts),
        active=truth,
        hard=np.isin(np.arange(n_texts), hard),
        strengths=np.array(strengths or truth, dtype=np.float64),
    )
