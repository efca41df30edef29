"""Fuzzing: can a judge tell the words on which a neuron is active from others of the same text?

After Paulo et al. 2024 (arXiv 2410.13928): each active text is shown twice, once with the words on
which the neuron is active marked, once with as many others, and the judge says which marking fits.
It is wrong to call a word active for not being 0, as units of an encoder hardly ever are: what
counts is how far a word lies above the unit's resting activation, its median over words. A word is
marked if it reaches 0.3 of the largest such distance in its text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from eval.detection import AUROC, BALANCED_ACCURACY, F1, decision_metrics
from eval.judge_scores import JudgedScores, JudgeFailed, Told, arms, columns, scores_of
from eval.judged_tails import Descriptions
from eval.judged_texts import FEWEST_ACTIVE, Shortfall
from eval.judges import Highlight, HighlightQuestion, Judge, WordedText
from indexer.arrays import BoolArray, DoubleArray

PROTOCOL = "fuzzing"
TOLD = {
    BALANCED_ACCURACY: Told(BALANCED_ACCURACY),
    F1: Told(F1),
    AUROC: Told(AUROC),
}
"""The figures, in order."""

MARKED_SHARE = 0.3
"""Of the strongest word's distance from rest, what a word must reach to be marked."""


@dataclass(frozen=True, eq=False)
class Markings:
    """A text's words that are marked rightly, and as many that are marked wrongly (`n_words`)."""

    right: BoolArray
    wrong: BoolArray


@dataclass(frozen=True, eq=False)
class FuzzingTail:
    """A tail of a neuron with its descriptions and highlighted texts, of which some are right."""

    descriptions: Descriptions
    highlights: tuple[Highlight, ...]
    right: BoolArray


def mark(strengths: DoubleArray, resting: float, generator: np.random.Generator) -> Markings | None:
    """Mark the words of a text rightly and wrongly.

    None where no word lies above rest, or more than half of the words are active: then there are
    not as many others.

    Args:
        strengths: of the words, pointing in the tail's direction (`n_words`).
        resting: the strength that a word usually has.
        generator: draws the words that are marked wrongly.
    """
    above = strengths - resting
    highest = above.max(initial=0.0)
    right = np.asarray(above >= MARKED_SHARE * highest)
    n_right = int(right.sum())
    if highest <= 0.0 or 2 * n_right > len(right):
        return None
    wrong = np.zeros(len(right), dtype=np.bool_)
    wrong[generator.choice(np.flatnonzero(~right), n_right, replace=False)] = True
    return Markings(right, wrong)


def fuzzed(
    descriptions: Descriptions,
    texts: Sequence[WordedText],
    strengths: Sequence[DoubleArray],
    resting: float,
    generator: np.random.Generator,
) -> FuzzingTail | Shortfall:
    """Highlight the active texts of a tail, each once rightly and once wrongly.

    No two highlights of one text are near each other, so that no judge compares them.

    Args:
        descriptions: of the tail.
        texts: those on which it is active.
        strengths: of the words of each text.
        resting: the strength that a word usually has.
        generator: draws the wrong words, and which highlight of a text comes first.
    """
    marked = [
        (text, markings)
        for text, own in zip(texts, strengths, strict=True)
        if (markings := mark(own, resting, generator)) is not None
    ]
    if len(marked) < FEWEST_ACTIVE:
        return Shortfall(f"fewer_than_{FEWEST_ACTIVE}_texts_with_half_of_their_words_at_rest")
    right_first = generator.random(len(marked)) < 0.5
    right = np.concatenate([right_first, ~right_first])
    highlights = tuple(
        Highlight(text, markings.right if is_right else markings.wrong)
        for (text, markings), is_right in zip([*marked, *marked], right, strict=True)
    )
    return FuzzingTail(descriptions, highlights, right)


def fuzz(judge: Judge, tails: Sequence[FuzzingTail]) -> JudgedScores | JudgeFailed:
    """Ask a judge about every tail's highlights, and score its answers."""

    def about(tail: FuzzingTail) -> list[HighlightQuestion]:
        return [
            HighlightQuestion(description, tail.highlights)
            for description in arms(tail.descriptions, judge)
        ]

    return scores_of(judge, judge.judge_highlights, tails, about, partial(_scored, judge))


def _scored(
    judge: Judge, tail: FuzzingTail, answers: Sequence[DoubleArray]
) -> Mapping[str, DoubleArray]:
    """The metrics of one tail, an entry for each description."""
    return columns(
        [
            decision_metrics(scores >= judge.highlight_threshold, scores, tail.right)
            for scores in answers
        ]
    )
