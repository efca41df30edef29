"""Detection: can a judge tell the texts on which a neuron is active, given its description?

The measure of Bills et al. 2023 made cheap, as in Paulo et al. 2024 (arXiv 2410.13928): the judge
scores texts one by one, half of which are active. A figure is the mean over neurons, so every
neuron counts alike. Thresholds are chosen on `validation` for each neuron and description,
swapped ones included, unless the judge has a threshold of its own. Numbers are of `test`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from eval.judge_scores import JudgedScores, JudgeFailed, Told, arms, columns, scores_of
from eval.judged_tails import Descriptions
from eval.judged_texts import TextSample
from eval.judges import Judge, TextQuestion
from eval.score_metrics import auroc, f1
from eval.yes_no import balanced_accuracy, best_threshold
from indexer.arrays import BoolArray, DoubleArray

PROTOCOL = "detection"
BALANCED_ACCURACY = "balanced_accuracy"
F1 = "F1"
AUROC = "AUROC"
AGAINST_RANDOM = "AUROC against random"
AGAINST_HARD = "AUROC against hard"
TOLD = {
    BALANCED_ACCURACY: Told(BALANCED_ACCURACY),
    F1: Told(F1),
    AUROC: Told(AUROC),
    AGAINST_RANDOM: Told(AUROC, ("others=random",)),
    AGAINST_HARD: Told(AUROC, ("others=hard",)),
}
"""The figures, in order; the last two set the active texts against one kind of the others only."""


@dataclass(frozen=True, eq=False)
class SampledTexts:
    """Texts of one split with what a tail does on them."""

    sample: TextSample
    texts: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class DetectionTail:
    """A tail of a neuron with its descriptions and the texts it is judged on."""

    descriptions: Descriptions
    test: SampledTexts
    validation: SampledTexts


def detect(judge: Judge, tails: Sequence[DetectionTail]) -> JudgedScores | JudgeFailed:
    """Ask a judge about every tail's texts, and score its answers.

    A judge with a threshold of its own is asked about the test texts only.
    """
    calibrated = judge.text_threshold is None

    def about(tail: DetectionTail) -> list[TextQuestion]:
        splits = (tail.test, tail.validation) if calibrated else (tail.test,)
        return [
            TextQuestion(description, each.texts)
            for each in splits
            for description in arms(tail.descriptions, judge)
        ]

    return scores_of(judge, judge.judge_texts, tails, about, partial(_scored, judge))


def _scored(
    judge: Judge, tail: DetectionTail, answers: Sequence[DoubleArray]
) -> Mapping[str, DoubleArray]:
    """The metrics of one tail, an entry for each description."""
    n_arms = len(arms(tail.descriptions, judge))
    own, held_out = tail.test.sample, tail.validation.sample
    rows = []
    for scores, calibrating in zip(answers[:n_arms], answers[-n_arms:], strict=True):
        threshold = judge.text_threshold
        if threshold is None:
            threshold = best_threshold(calibrating, held_out.active)
        with_random, with_hard = ~own.hard, own.active | own.hard
        rows.append(
            {
                **decision_metrics(scores >= threshold, scores, own.active),
                AGAINST_RANDOM: auroc(scores[with_random], own.active[with_random]),
                AGAINST_HARD: auroc(scores[with_hard], own.active[with_hard]),
            }
        )
    return columns(rows)


def decision_metrics(
    said: BoolArray, scores: DoubleArray, truth: BoolArray
) -> dict[str, float | None]:
    """Balanced accuracy and F1 of the decisions, AUROC of the scores that they were made from.

    Args:
        said: where the judge says yes (`n_items`).
        scores: what it says that from (`n_items`).
        truth: what is so (`n_items`), some and not all.
    """
    return {
        BALANCED_ACCURACY: balanced_accuracy(said, truth),
        F1: f1(said, truth),
        AUROC: auroc(scores, truth),
    }
