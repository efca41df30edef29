"""All judges of one population of tails: the figures of each, and how far they agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from eval.judge_agreement import agreement_figures, sensitivity_figures
from eval.judge_scores import JudgedScores, JudgeFailed, Population, Told, score_figures
from eval.judges import Judge
from eval.records import Figure
from indexer.arrays import IntArray

_Tail = TypeVar("_Tail")


@dataclass(frozen=True, eq=False)
class Comparing:
    """How judges are compared.

    Attributes:
        metric: of their metrics, the one whose ranks over neurons are correlated.
        n_items: active items, and others, of each tail (`n_tails, 2`), where `metric` is an AUROC
            and its verdicts are compared as well.
    """

    metric: str
    n_items: IntArray | None = None


def judged_figures(
    population: Population,
    judges: Sequence[Judge],
    tails: Sequence[_Tail],
    ask: Callable[[Judge, Sequence[_Tail]], JudgedScores | JudgeFailed],
    told: Mapping[str, Told],
    comparing: Comparing,
    maximum_missing: float,
    seed: int,
) -> list[Figure]:
    """Ask every judge about all tails; nobody is asked where there are too few of them.

    Args:
        population: which tails these are.
        judges: who is asked.
        tails: those that can be judged, with what they are asked about.
        ask: asks one judge and scores its answers.
        told: which metrics become figures.
        comparing: how judges are compared.
        maximum_missing: the largest share of neurons that a judge may leave unanswered.
        seed: of the bootstrap.
    """
    figures = population.shortage()
    if not population.enough:
        return figures
    results = [ask(judge, tails) for judge in judges]
    for result in results:
        figures += score_figures(population, result, told, maximum_missing, seed)
    answered = [each for each in results if isinstance(each, JudgedScores) and each.answered]
    figures += agreement_figures(population, answered, comparing.metric, seed)
    if comparing.n_items is not None:
        figures += sensitivity_figures(
            population, answered, comparing.metric, comparing.n_items, seed
        )
    return figures
