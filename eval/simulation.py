"""Simulation: do a judge's guesses at a neuron's activations correlate with the real ones?

The score of Bills et al. 2023 ("Language models can explain neurons in language models"): Pearson's
r over the words of all of a neuron's texts together, not a mean over texts. The texts are those of
`eval.detection`, active ones and others, so r is higher than over texts drawn at random. At
`level=sentence` the scores of whole texts are set against the pooled activations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.detection import SampledTexts
from eval.judge_scores import JudgedScores, JudgeFailed, Told, arms, columns, scores_of
from eval.judged_tails import Descriptions
from eval.judges import Judge, TextQuestion, WordedText, WordQuestion
from eval.score_metrics import pearson, spearman
from indexer.arrays import DoubleArray

PROTOCOL = "simulation"
PEARSON = "Pearson"
SPEARMAN = "Spearman"
WORD_LEVEL = "level=word"
SENTENCE_LEVEL = "level=sentence"
TOLD = {name: Told(name) for name in (PEARSON, SPEARMAN)}
"""The figures of each level, in order."""


@dataclass(frozen=True, eq=False)
class SentenceTail:
    """A tail of a neuron with its descriptions and the texts it is simulated on."""

    descriptions: Descriptions
    test: SampledTexts


@dataclass(frozen=True, eq=False)
class WordTail:
    """The same with the words of the texts, and the strengths of all of them together."""

    descriptions: Descriptions
    texts: tuple[WordedText, ...]
    strengths: DoubleArray


def simulate_sentences(judge: Judge, tails: Sequence[SentenceTail]) -> JudgedScores | JudgeFailed:
    """Ask a judge about every tail's texts, and correlate its scores with the activations."""

    def about(tail: SentenceTail) -> list[TextQuestion]:
        return [
            TextQuestion(description, tail.test.texts)
            for description in arms(tail.descriptions, judge)
        ]

    def scored(tail: SentenceTail, answers: Sequence[DoubleArray]) -> Mapping[str, DoubleArray]:
        return correlations(answers, tail.test.sample.strengths)

    return scores_of(judge, judge.judge_texts, tails, about, scored)


def simulate_words(judge: Judge, tails: Sequence[WordTail]) -> JudgedScores | JudgeFailed:
    """Ask a judge about the words of every tail's texts, and correlate likewise."""

    def about(tail: WordTail) -> list[WordQuestion]:
        return [
            WordQuestion(description, tail.texts) for description in arms(tail.descriptions, judge)
        ]

    def scored(
        tail: WordTail, answers: Sequence[Sequence[DoubleArray]]
    ) -> Mapping[str, DoubleArray]:
        return correlations([np.concatenate(words) for words in answers], tail.strengths)

    return scores_of(judge, judge.judge_words, tails, about, scored)


def correlations(guesses: Sequence[DoubleArray], truth: DoubleArray) -> Mapping[str, DoubleArray]:
    """Pearson's and Spearman's correlation of each of some guesses with the truth (`n_guesses`).

    A guess that is the same everywhere explains nothing: here its correlation, which is undefined,
    counts as 0, for to leave such neurons out would be to count only those a judge can guess at.

    Args:
        guesses: of the same words or texts, `n_words` each.
        truth: the activations (`n_words`), which are not all the same.

    Raises:
        ValueError: all activations are the same.
    """
    if np.ptp(truth) == 0.0:
        raise ValueError("all activations are the same; leave the neuron out first")
    return columns(
        [
            {PEARSON: pearson(guess, truth) or 0.0, SPEARMAN: spearman(guess, truth) or 0.0}
            for guess in guesses
        ]
    )
