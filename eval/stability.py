"""Are the same neurons given the same descriptors again, more often than chance would have it?

A Jaccard similarity near 1 between two parts of a corpus shows nothing by itself: neurons that know
nothing reach it when they are given the commonest descriptors of their exemplars. So every
agreement stands beside the one that is left when one side's activations belong to other documents
(`null`), and the one between different neurons (`baseline`); `stable` is what exceeds both. The
reading `exemplar_counts`, the plain counting of descriptors among exemplars, is there to compare.

How generators or corpora agree is told by `eval.agreement`, from rankings brought into one catalog.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from pydantic import Field

from eval.agreement import AgreementOptions, Comparison, agreement_figures, verdict
from eval.defined_means import defined_mean
from eval.halves import Found, HalvedTask, MatchedHalves, TailRankings, match_halves
from eval.label_recovery import Population
from eval.records import Figure
from indexer.arrays import DoubleArray
from indexer.records import Record
from neurons.matching import TAILS

PROTOCOL = "stability"
SPLIT = "discover+validation"
HALVES, BOTH, SEEDS, EXEMPLAR_COUNTS = "halves", "halves both", "seeds", "exemplar_counts"


class StabilitySettings(Record):
    """What is compared; counts of descriptors, of neurons and of exemplars.

    The corpus is halved `repeats` times. The Jaccard similarity compares `k` descriptors of a
    neuron, the rank-biased overlap all it has. `neurons` bounds how many of each site are drawn,
    described or not. Plain counting counts in `exemplar_share` of a half's discover sentences, at
    least `fewest_exemplars`.
    """

    repeats: int = Field(default=3, ge=1)
    k: int = Field(default=2, ge=1)
    neurons: int = Field(default=2000, ge=1)
    minimum_neurons: int = Field(default=10, ge=1)
    exemplar_share: float = Field(default=0.01, gt=0.0, le=0.5)
    fewest_exemplars: int = Field(default=20, ge=1)


@dataclass(frozen=True)
class StabilityTask:
    """A finished run as the protocol sees it: the halves to match, and who is judged together.

    The populations are columns of the task's activations.
    """

    halved: HalvedTask
    populations: tuple[Population, ...]


def stability(task: StabilityTask, settings: StabilitySettings) -> list[Figure]:
    """All figures of the protocol, for each population and tail.

    Readings: `halves`, the two halves of each repeat, over the neurons that either describes;
    `halves both`, over those that both describe; `seeds`, the first halves of each two repeats in
    a row, drawn and matched with different seeds, which share half their documents;
    `exemplar_counts`, the two halves by plain counting. `described` is the share of the neurons
    that are described in a half, and its null that of the shuffled half. `stable` is told of
    `halves`, see `eval.agreement.verdict`.

    Raises:
        RunError: an activation is no finite number.
    """
    refusal = _refusal(task.halved)
    if refusal:
        return [Figure.refused(PROTOCOL, refusal, split=SPLIT)]
    found = [match_halves(task.halved, repeat) for repeat in range(settings.repeats)]
    usable = min(each.usable_descriptors for each in found)
    if usable < 2:
        reason = (
            f"found {usable} descriptors that can be judged in half of the corpus, expected 2 or "
            "more; a larger corpus would do"
        )
        return [Figure.refused(PROTOCOL, reason, split=SPLIT, n=usable)]
    figures = []
    for population in task.populations:
        for number, tail in enumerate(TAILS):
            where = f"tail={tail.value} site={population.name}"
            figures += _tail_figures(task, settings, found, population, number, where)
    return figures


def _refusal(task: HalvedTask) -> str:
    for name, rows in (("discover", task.rows.discover), ("validation", task.rows.validation)):
        n_documents = np.unique(task.rows.documents[rows]).size
        if n_documents < 2:
            return f"found {n_documents} documents in {name}, expected 2 or more to halve"
    return ""


def _tail_figures(
    task: StabilityTask,
    settings: StabilitySettings,
    found: list[MatchedHalves],
    population: Population,
    tail: int,
    where: str,
) -> list[Figure]:
    neurons = population.neurons
    matched = [each.matched for each in found]
    halves = [_halves(each, tail) for each in matched]
    readings = {
        HALVES: halves,
        BOTH: [each.where_both_describe() for each in halves],
        SEEDS: [
            # A shuffled half knows as little of the first half as of the one it was made from.
            Comparison(each.one[tail], following.one[tail], following.shuffled[tail])
            for each, following in pairwise(matched)
        ],
        EXEMPLAR_COUNTS: [_halves(each.counted, tail) for each in found],
    }
    figures = [_described_figure(task, matched, population, tail, f"{HALVES} {where}")]
    for reading, comparisons in readings.items():
        if not comparisons:
            continue
        options = AgreementOptions(
            protocol=PROTOCOL,
            variant=f"{reading} {where}",
            split=SPLIT,
            k=settings.k,
            depth=settings.k if reading == EXEMPLAR_COUNTS else task.halved.settings.matches,
            minimum_neurons=settings.minimum_neurons,
            seed=task.halved.seed,
        )
        told = agreement_figures([each.take(neurons) for each in comparisons], options)
        figures += [*told, *verdict(told)] if reading == HALVES else told
    return figures


def _described_figure(
    task: StabilityTask, matched: list[Found], population: Population, tail: int, variant: str
) -> Figure:
    own = [_described(each.one, each.other, tail) for each in matched]
    shuffled = [_described(each.shuffled, each.shuffled, tail) for each in matched]
    return defined_mean(
        PROTOCOL,
        variant,
        "described",
        np.mean(own, axis=0)[population.neurons],
        null=np.mean(shuffled, axis=0)[population.neurons],
        split=SPLIT,
        seed=task.halved.seed,
    )


def _halves(found: Found, tail: int) -> Comparison:
    return Comparison(found.one[tail], found.other[tail], found.shuffled[tail])


def _described(one: TailRankings, other: TailRankings, tail: int) -> DoubleArray:
    """Share of the two in which each neuron is described (`n_neurons`)."""
    both = [each[tail].described for each in (one, other)]
    return np.asarray(np.mean(both, axis=0), dtype=np.float64)
