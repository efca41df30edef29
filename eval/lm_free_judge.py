"""What judges without an LM share: everything follows from how near two pieces of text are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from eval.judges import (
    HighlightQuestion,
    TextQuestion,
    Unanswered,
    WordedText,
    WordQuestion,
)
from indexer.arrays import BoolArray, DoubleArray

_DECIMALS = 9


class Nearness(Protocol):
    """How near some texts, or words, are to a description."""

    def scores(self, pieces: Sequence[str], description: str) -> DoubleArray:
        """Between 0 and 1, higher is nearer (`n_pieces`)."""
        ...


class LMFreeJudge(ABC):
    """Scores a text, and a word by itself, by its nearness to the description.

    A word in its text is scored by the mean of its own score and that of its text, for reading
    every word within its sentence anew would cost one more reading for each word. A highlighting is
    scored by how much nearer the marked words are than the others: one half where they are alike.
    """

    name: str
    is_paid_for = False
    text_threshold = None
    highlight_threshold = float(np.nextafter(0.5, 1.0))
    """Above one half: where marked words are as near as the others, the highlighting fits not."""

    @abstractmethod
    def nearness(self, pieces: Iterable[str], descriptions: Iterable[str]) -> Nearness | Unanswered:
        """What can compare these texts and words with these descriptions.

        Raises:
            BackendError: the judge cannot be used at all.
        """

    def judge_texts(self, questions: Sequence[TextQuestion]) -> list[DoubleArray | Unanswered]:
        """A score for each text of each question (`n_texts`).

        Raises:
            BackendError: the judge cannot be used at all.
        """
        near = self.nearness(
            (text for each in questions for text in each.texts),
            (each.description for each in questions),
        )
        if isinstance(near, Unanswered):
            return [near for _ in questions]
        return [near.scores(each.texts, each.description) for each in questions]

    def judge_words(
        self, questions: Sequence[WordQuestion]
    ) -> list[tuple[DoubleArray, ...] | Unanswered]:
        """A score for each word of each text of each question (`n_words` for each text).

        Raises:
            BackendError: the judge cannot be used at all.
        """
        distinct = dict.fromkeys(worded for each in questions for worded in each.texts)
        near = self.nearness(
            (piece for worded in distinct for piece in (worded.text, *worded.words)),
            (each.description for each in questions),
        )
        if isinstance(near, Unanswered):
            return [near for _ in questions]
        answers: list[tuple[DoubleArray, ...] | Unanswered] = []
        for each in questions:
            texts = near.scores([worded.text for worded in each.texts], each.description)
            words = _by_word(near, each.texts, each.description)
            answers.append(
                tuple(in_context(own, float(text)) for own, text in zip(words, texts, strict=True))
            )
        return answers

    def judge_highlights(
        self, questions: Sequence[HighlightQuestion]
    ) -> list[DoubleArray | Unanswered]:
        """A score for each highlighted text of each question (`n_highlights`).

        Raises:
            BackendError: the judge cannot be used at all.
            ValueError: a highlight marks no word, or all.
        """
        distinct = dict.fromkeys(one.worded for each in questions for one in each.highlights)
        near = self.nearness(
            (word for worded in distinct for word in worded.words),
            (each.description for each in questions),
        )
        if isinstance(near, Unanswered):
            return [near for _ in questions]
        answers: list[DoubleArray | Unanswered] = []
        for each in questions:
            texts = [one.worded for one in each.highlights]
            words = _by_word(near, texts, each.description)
            answers.append(
                np.array(
                    [
                        highlight_score(own, one.marked)
                        for own, one in zip(words, each.highlights, strict=True)
                    ],
                    dtype=np.float64,
                )
            )
        return answers


def in_context(words: DoubleArray, text: float) -> DoubleArray:
    """The score of each word of a text: the mean of its own and that of its text (`n_words`)."""
    return np.asarray((words + text) / 2.0, dtype=np.float64)


def highlight_score(words: DoubleArray, marked: BoolArray) -> float:
    """How much more the marked words fit than the others, from 0 to 1; 0.5 where they fit alike.

    Raises:
        ValueError: no word is marked, or every word is.
    """
    if marked.all() or not marked.any():
        raise ValueError(
            f"{int(marked.sum())} of {marked.size} words are marked, expected some and not all"
        )
    difference = words[marked].mean() - words[~marked].mean()
    # Rounded so that means of equal scores are equal, whatever the number of words.
    return float(np.round((1.0 + difference) / 2.0, _DECIMALS))


def _by_word(near: Nearness, texts: Sequence[WordedText], description: str) -> list[DoubleArray]:
    """Scores of the words of each text, by themselves."""
    pieces = [worded.words for worded in texts]
    together = near.scores([word for words in pieces for word in words], description)
    return np.split(together, np.cumsum([len(words) for words in pieces])[:-1])
