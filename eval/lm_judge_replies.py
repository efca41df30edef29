"""From what an LM wrote as a judge to scores.

An answer is a JSON object that fits the schema, and as many scores as there were texts. Nothing
else is read into it: what does not fit is a problem with a reason, and never becomes a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from pydantic import ValidationError

from descriptors.generation import Answer, FinishReason
from descriptors.replies import ReplyProblem, ReplyRejection, answer_text
from eval.judges import WordedText
from eval.lm_judge_prompts import HIGHEST
from indexer.arrays import DoubleArray
from indexer.records import Record


class _ScoreAnswer(Record):
    """One whole number for each text."""

    scores: list[int]


class _ActiveWord(Record):
    """A word of a text, both counted from 1, and how active it is."""

    text: int
    word: int
    strength: int


class _WordAnswer(Record):
    """The words that are active."""

    active_words: list[_ActiveWord]


_Reply = TypeVar("_Reply", bound=Record)


def read_scores(answer: Answer, n_texts: int) -> DoubleArray | ReplyProblem:
    """The scores in an answer, between 0 and 1 (`n_texts`), or why it is unusable."""
    read = _read(answer, _ScoreAnswer)
    if isinstance(read, ReplyProblem):
        return read
    if len(read.scores) != n_texts:
        return _misfit(f"it has {len(read.scores)} scores, expected {n_texts}")
    wrong = [score for score in read.scores if not 0 <= score <= HIGHEST]
    if wrong:
        return _misfit(f"{wrong[0]} is no score from 0 to {HIGHEST}")
    return np.array(read.scores, dtype=np.float64) / HIGHEST


def read_words(
    answer: Answer, texts: Sequence[WordedText]
) -> tuple[DoubleArray, ...] | ReplyProblem:
    """The scores of the words of each text, between 0 and 1, or why the answer is unusable.

    Words that are not listed have 0; of a word that is listed twice the larger strength counts.
    """
    read = _read(answer, _WordAnswer)
    if isinstance(read, ReplyProblem):
        return read
    scores = tuple(np.zeros(len(worded.places)) for worded in texts)
    for active in read.active_words:
        if not 1 <= active.text <= len(texts):
            return _misfit(f"there is no text {active.text}, they are numbered 1 to {len(texts)}")
        own = scores[active.text - 1]
        if not 1 <= active.word <= len(own):
            return _misfit(f"text {active.text} has no word {active.word}, but {len(own)} words")
        if not 0 <= active.strength <= HIGHEST:
            return _misfit(f"{active.strength} is no strength from 1 to {HIGHEST}")
        own[active.word - 1] = max(own[active.word - 1], active.strength / HIGHEST)
    return scores


def _read(answer: Answer, kind: type[_Reply]) -> _Reply | ReplyProblem:
    if answer.finish is FinishReason.REFUSED:
        return ReplyProblem(ReplyRejection.REFUSAL, "it was a refusal")
    text = answer_text(answer)
    if not text:
        return ReplyProblem(ReplyRejection.EMPTY_ANSWER, "it was empty")
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        if answer.finish is FinishReason.LENGTH:
            return ReplyProblem(ReplyRejection.TRUNCATED, "it was cut off before its end")
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            return ReplyProblem(ReplyRejection.NOT_JSON, "it is not one JSON object")
        return _misfit(f"it does not fit the schema: {first['msg']}")


def _misfit(message: str) -> ReplyProblem:
    return ReplyProblem(ReplyRejection.SCHEMA_MISMATCH, message)
