"""What judges descriptions: a description and texts go in, how well they fit comes out.

A judge never sees an activation. Whether its scores tell the texts on which a neuron is active
from others is what `eval.detection`, `eval.fuzzing` and `eval.simulation` measure, so a bad judge
makes descriptions look bad, and no judge is trusted alone (`eval.judge_agreement`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self
from urllib.parse import quote

from pydantic import Field, field_validator, model_validator

from indexer.arrays import BoolArray, DoubleArray
from indexer.records import Record

EMBEDDING = "embedding"
WORDS = "words"
LM_FREE_JUDGES = (EMBEDDING, WORDS)


class JudgeSettings(Record):
    """How descriptions are judged.

    `neurons` described tails are drawn, as many of each site and tail, spread over the layers.
    Each is judged on up to `texts` test sentences on which it is active and as many others, all out
    of `pool` sentences of the split, so that time does not grow with the corpus. Active is what
    reaches the quantile of its discover activations above which `active_share` lies. The
    description is its first `descriptors` descriptors, joined. The null are the descriptions of
    `swaps` other neurons (an LM judges one). `judges` are of embedding and words; `lm` adds a
    chat model, written as a proposer is (`openai:MODEL`), which is shown `texts_per_request` texts
    at a time. A judge that leaves more than `maximum_missing` of the neurons unanswered gets no
    figure.
    """

    neurons: int = Field(default=100, ge=10)
    texts: int = Field(default=50, ge=20)
    pool: int = Field(default=1_000, ge=200)
    active_share: float = Field(default=0.1, gt=0.0, le=0.4)
    descriptors: int = Field(default=5, ge=1, le=5)
    swaps: int = Field(default=3, ge=1)
    judges: tuple[str, ...] = LM_FREE_JUDGES
    lm: str | None = None
    texts_per_request: int = Field(default=10, ge=1, le=50)
    maximum_missing: float = Field(default=0.1, ge=0.0, lt=1.0)

    @field_validator("judges")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names) or not set(names) <= set(LM_FREE_JUDGES):
            raise ValueError(
                f"found judges {names}, expected different ones of {LM_FREE_JUDGES}; a chat model "
                "goes into `lm`"
            )
        return names

    @model_validator(mode="after")
    def _no_judge_alone(self) -> Self:
        if len(self.judges) + (self.lm is not None) < 2:
            raise ValueError(
                f"found judges {self.judges} and lm {self.lm}, expected two judges or more: what "
                f"one alone says may be its own; {LM_FREE_JUDGES} need no LM"
            )
        return self


@dataclass(frozen=True)
class WordedText:
    """A text cut into words, with the characters each one covers (`start`, `end`)."""

    text: str
    places: tuple[tuple[int, int], ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The words as they stand in the text."""
        return tuple(self.text[start:end] for start, end in self.places)


@dataclass(frozen=True)
class TextQuestion:
    """Which of the texts does the description fit?"""

    description: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class WordQuestion:
    """Which words of the texts does the description fit?"""

    description: str
    texts: tuple[WordedText, ...]


@dataclass(frozen=True, eq=False)
class Highlight:
    """A text of which some words are marked (`n_words`)."""

    worded: WordedText
    marked: BoolArray


@dataclass(frozen=True, eq=False)
class HighlightQuestion:
    """On which of the texts are the marked words those that the description fits?"""

    description: str
    highlights: tuple[Highlight, ...]


@dataclass(frozen=True)
class Unanswered:
    """A question, or a part of it, that a judge did not answer; `reason` is one word to count."""

    reason: str


class Judge(Protocol):
    """Says how well descriptions fit; scores are between 0 and 1, higher fits better.

    An answer is `Unanswered` as soon as any part of it is missing.
    """

    @property
    def name(self) -> str:
        """What figures call it."""
        ...

    @property
    def is_paid_for(self) -> bool:
        """Whether a question is dear; such a judge is asked about one swapped description."""
        ...

    @property
    def text_threshold(self) -> float | None:
        """The score from which on a text fits; None where it has to be calibrated."""
        ...

    @property
    def highlight_threshold(self) -> float:
        """The score from which on a highlighting fits."""
        ...

    def judge_texts(self, questions: Sequence[TextQuestion]) -> list[DoubleArray | Unanswered]:
        """A score for each text of each question (`n_texts`).

        Raises:
            BackendError: the judge cannot be used at all.
        """
        ...

    def judge_words(
        self, questions: Sequence[WordQuestion]
    ) -> list[tuple[DoubleArray, ...] | Unanswered]:
        """A score for each word of each text of each question (`n_words` for each text).

        Raises:
            BackendError: the judge cannot be used at all.
        """
        ...

    def judge_highlights(
        self, questions: Sequence[HighlightQuestion]
    ) -> list[DoubleArray | Unanswered]:
        """A score for each highlighted text of each question (`n_highlights`).

        Raises:
            BackendError: the judge cannot be used at all.
        """
        ...


def judge_word(names: Sequence[str]) -> str:
    """The word of a variant that names judges: `judge=embedding+words`, without blanks."""
    return "judge=" + "+".join(quote(name, safe="/:") for name in names)
