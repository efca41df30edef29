"""How much two ranked lists of descriptors of the same neurons agree, beyond chance.

Chance has two meanings. Under the *null* one side's activations belong to other documents, so that
it knows nothing: descriptors that are common by themselves then agree as well as ever. As
*baseline* one side's lists belong to other neurons: what any two neurons share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval.defined_means import defined_mean
from eval.metrics import Ranking
from eval.rank_agreement import jaccard_at_k, rank_biased_overlap
from eval.records import Figure
from indexer.arrays import DoubleArray, IntArray

_STREAM = 14


@dataclass(frozen=True, eq=False)
class Comparison:
    """The descriptors of the same neurons found twice; `shuffled` is `other` with nothing to find.

    Raises:
        ValueError: the rankings cover different numbers of neurons.
    """

    one: Ranking
    other: Ranking
    shuffled: Ranking | None = None

    def __post_init__(self) -> None:
        found = {each.n_neurons for each in (self.one, self.other, self.shuffled) if each}
        if len(found) > 1:
            raise ValueError(f"rankings cover {sorted(found)} neurons, expected the same number")

    def take(self, neurons: IntArray) -> Comparison:
        """The comparison of some neurons."""
        shuffled = None if self.shuffled is None else self.shuffled.take(neurons)
        return Comparison(self.one.take(neurons), self.other.take(neurons), shuffled)

    def where_both_describe(self) -> Comparison:
        """The same where neurons that one side does not describe are described by none."""
        both = self.one.described & self.other.described

        def silenced(ranking: Ranking) -> Ranking:
            return Ranking(ranking.descriptors, np.where(both, ranking.lengths, 0))

        shuffled = None if self.shuffled is None else silenced(self.shuffled)
        return Comparison(silenced(self.one), silenced(self.other), shuffled)


@dataclass(frozen=True, kw_only=True)
class AgreementOptions:
    """How agreement is told.

    Attributes:
        protocol: of the figures.
        variant: of the figures.
        split: what the two sides were found on.
        k: how many descriptors of a neuron the Jaccard similarity compares.
        depth: how many the rank-biased overlap compares.
        minimum_neurons: how many described neurons it takes for a figure.
        seed: of the permuted neurons and the bootstrap.
    """

    protocol: str
    variant: str
    split: str
    k: int
    depth: int
    minimum_neurons: int
    seed: int


def permuted_neurons(ranking: Ranking, seed: int) -> Ranking:
    """Each described neuron gets the descriptors of another; abstentions stay where they are."""
    described = np.flatnonzero(ranking.described)
    source = np.arange(ranking.n_neurons)
    shuffled = np.random.default_rng([seed, _STREAM]).permutation(described)
    source[shuffled] = np.roll(shuffled, 1)
    return ranking.take(source)


def mapped_ranking(ranking: Ranking, mapping: IntArray, n_known: int) -> Ranking:
    """A ranking in the numbers of another catalog, to compare generators or corpora.

    Of descriptors of a neuron that mean the same there the first counts. One without counterpart
    keeps a number of its own beyond that catalog, so that it agrees with none.

    Args:
        ranking: descriptors of each neuron in their own catalog.
        mapping: the counterpart of each in the other catalog, -1 without (`n_descriptors`).
        n_known: descriptors in the other catalog.

    Raises:
        ValueError: the mapping is too short or names what the other catalog has not.
    """
    if ranking.n_descriptors_needed > mapping.size:
        raise ValueError(
            f"mapping covers {mapping.size} descriptors, expected {ranking.n_descriptors_needed}"
        )
    if mapping.size and (mapping.min() < -1 or mapping.max() >= n_known):
        raise ValueError(
            f"mapping names {mapping.min()} to {mapping.max()}, expected -1 to {n_known - 1}"
        )
    target = np.where(mapping < 0, n_known + np.arange(mapping.size), mapping)
    descriptors = np.zeros_like(ranking.descriptors)
    lengths = np.zeros_like(ranking.lengths)
    for neuron, length in enumerate(ranking.lengths.tolist()):
        own = target[ranking.descriptors[neuron, :length]].tolist()
        distinct = list(dict.fromkeys(own))
        descriptors[neuron, : len(distinct)] = distinct
        lengths[neuron] = len(distinct)
    return Ranking(descriptors, lengths)


def agreement_figures(comparisons: Sequence[Comparison], options: AgreementOptions) -> list[Figure]:
    """Jaccard similarity and rank-biased overlap over the neurons described on either side.

    A neuron's value is its mean over the comparisons (repeats) in which it is described. Each
    metric is followed by `_above_null` and `_above_baseline`, the mean difference of the same
    neurons, where an abstention on both sides shares nothing; without `shuffled` there is no null.

    Raises:
        ValueError: no comparisons, or they cover different numbers of neurons.
    """
    if len({each.one.n_neurons for each in comparisons}) != 1:
        raise ValueError(f"found {len(comparisons)} comparisons, expected 1 or more of the same n")
    described = np.zeros(comparisons[0].one.n_neurons, dtype=np.bool_)
    for each in comparisons:
        described |= each.one.described | each.other.described
    n_described = int(described.sum())
    if n_described < options.minimum_neurons:
        reason = (
            f"found {n_described} of {described.size} neurons described on either side, expected "
            f"{options.minimum_neurons} or more; a larger corpus or more neurons would do"
        )
        return [
            Figure.refused(
                options.protocol,
                reason,
                variant=options.variant,
                split=options.split,
                n=n_described,
            )
        ]
    chosen = [each.take(np.flatnonzero(described)) for each in comparisons]
    return [
        *_compared(chosen, options, "Jaccard", options.k),
        *_compared(chosen, options, "RBO", options.depth),
    ]


def _compared(
    comparisons: Sequence[Comparison], options: AgreementOptions, metric: str, k: int
) -> list[Figure]:
    measure = jaccard_at_k if metric == "Jaccard" else rank_biased_overlap
    value, null, baseline = [], [], []
    for number, each in enumerate(comparisons):
        found = measure(each.one, each.other, k)
        neither = np.isnan(found)
        value.append(found)
        others = permuted_neurons(each.other, options.seed + number)
        baseline.append(_chance(measure(each.one, others, k), neither))
        if each.shuffled is not None:
            null.append(_chance(measure(each.one, each.shuffled, k), neither))
    own, by_neurons = _averaged(value), _averaged(baseline)
    by_documents = _averaged(null) if len(null) == len(value) else None

    def figure(name: str, values: DoubleArray, **chance: DoubleArray | None) -> Figure:
        return defined_mean(
            options.protocol,
            options.variant,
            name,
            values,
            k=k,
            split=options.split,
            seed=options.seed,
            **chance,
        )

    figures = [figure(metric, own, null=by_documents, baseline=by_neurons)]
    if by_documents is not None:
        figures.append(figure(f"{metric}_above_null", own - by_documents))
    figures.append(figure(f"{metric}_above_baseline", own - by_neurons))
    return figures


def _chance(found: DoubleArray, neither: np.ndarray) -> DoubleArray:
    """On the neurons that are compared, where two abstentions share nothing."""
    return np.where(neither, np.nan, np.nan_to_num(found, nan=0.0))


def _averaged(repeats: Sequence[DoubleArray]) -> DoubleArray:
    """The mean of each neuron over the repeats in which it is defined; all have one."""
    stacked = np.stack(repeats)
    counts = (~np.isnan(stacked)).sum(axis=0)
    return np.asarray(np.nansum(stacked, axis=0) / counts, dtype=np.float64)


def verdict(figures: Sequence[Figure]) -> list[Figure]:
    """`stable`: 1 where the Jaccard similarity is above null and baseline, by interval, else 0.

    None where a difference has no interval; no figure where there are no differences.

    Args:
        figures: what `agreement_figures` has found.
    """
    names = ("Jaccard_above_null", "Jaccard_above_baseline")
    differences = [each for each in figures if each.metric in names]
    if not differences:
        return []
    bounds = [each.ci_low for each in differences if each.ci_low is not None]
    told = len(bounds) == len(differences)
    return [
        Figure(
            protocol=differences[0].protocol,
            variant=differences[0].variant,
            metric="stable",
            k=differences[0].k,
            split=differences[0].split,
            value=float(min(bounds) > 0.0) if told else None,
            n=differences[0].n,
        )
    ]
