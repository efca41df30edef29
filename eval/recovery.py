"""The label-recovery protocol: do descriptors name the hidden labels a neuron responds to?

Gold labels of a neuron are the labels its activation separates on `test` with AUROC of at least
tau. A neuron enters the figures at k if it has at least k of them. What counts as a hit, and how
precision and recall divide, is fixed in `eval.metrics`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from eval.mean_figures import mean_figure
from eval.measures import Measure
from eval.metrics import Ranking, precision_at_k, ranked_hits, recall_at_k, recall_ceiling
from eval.rankings import commonest_descriptors
from eval.records import Figure
from eval.recovery_inputs import RecoveryInputs as RecoveryInputs
from eval.variants import Reading, Variant
from indexer.arrays import BoolArray, DoubleArray, IntArray

PROTOCOL = "label_recovery"
TAUS = (0.8, 0.9, 0.95)


@dataclass(frozen=True, eq=False)
class _Hits:
    """Ranks that are hits (`n_neurons, n_ranks`) and gold labels of the neurons of a figure."""

    ranked: BoolArray
    n_gold: IntArray

    def among(self, chosen: BoolArray) -> _Hits:
        return _Hits(self.ranked[chosen], self.n_gold[chosen])


@dataclass(frozen=True, eq=False)
class _Case:
    """The neurons with at least k gold labels at one tau, and what all figures on them share."""

    inputs: RecoveryInputs
    tau: float
    k: int
    seed: int
    neurons: IntArray
    gold: BoolArray
    n_gold: IntArray

    def hits(self, ranking: Ranking, meanings: BoolArray, n_ranks: int | None = None) -> _Hits:
        """Of the first `n_ranks`, k unless told."""
        own = ranking.take(self.neurons)
        return _Hits(ranked_hits(self.gold, meanings, own, n_ranks or self.k), self.n_gold)

    def null(self, meanings: BoolArray, n_ranks: int | None = None) -> _Hits | None:
        shuffled = self.inputs.shuffled_ranking
        return None if shuffled is None else self.hits(shuffled, meanings, n_ranks)

    def baseline(self, meanings: BoolArray, n_ranks: int | None = None) -> _Hits:
        inputs = self.inputs
        commonest = commonest_descriptors(
            inputs.descriptor_sizes, n_ranks or self.k, inputs.ranking.n_neurons
        )
        return self.hits(commonest, meanings, n_ranks)

    def figure(
        self,
        reading: Reading,
        metric: str,
        values: DoubleArray,
        null: DoubleArray | None = None,
        baseline: DoubleArray | None = None,
    ) -> Figure:
        variant = str(Variant(reading, self.tau))
        return _figure(self.inputs, variant, metric, self.k, self.seed, values, null, baseline)

    def measured(
        self,
        reading: Reading,
        measures: Sequence[Measure],
        hits: _Hits,
        null: _Hits | None = None,
        baseline: _Hits | None = None,
    ) -> list[Figure]:
        """Each measure of the hits, the null and the baseline."""

        def values(measure: Measure, of: _Hits | None) -> DoubleArray | None:
            return None if of is None else measure.per_neuron(of.ranked, of.n_gold)

        return [
            _figure(
                self.inputs,
                str(Variant(reading, self.tau)),
                measure.name,
                measure.k,
                self.seed,
                measure.per_neuron(hits.ranked, hits.n_gold),
                values(measure, null),
                values(measure, baseline),
            )
            for measure in measures
        ]

    @property
    def precision_and_recall(self) -> tuple[Measure, Measure]:
        return (Measure("P", self.k), Measure("R", self.k))


def label_recovery(
    inputs: RecoveryInputs,
    *,
    ks: Sequence[int] = (1, 2, 5),
    taus: Sequence[float] = TAUS,
    seed: int,
) -> list[Figure]:
    """All figures of the protocol for one facet, in the order of `taus`, then `ks`.

    Variants at each tau: `tau=T` (headline, an abstention is k misses), `tau=T described` (only
    neurons with a descriptor; its null averages those described under shuffling),
    `tau=T contained` (second reading of meaning), `tau=T named` (a hit must also say the label),
    `tau=T random_descriptors` (exact expectation over k distinct descriptors drawn for each
    neuron), `tau=T upper_bound` (true labels as descriptors). `null` is the shuffled ranking and
    `baseline` the k commonest descriptors, on the same neurons. Where no neuron has k gold labels
    the value is None and n is 0. The headline has success and nDCG at each k as well, and once for
    each tau MAP over all ranks there are, of the neurons with a gold label.

    Raises:
        ValueError: a k is below 1 or a tau is outside 0 to 1.
    """
    figures = [_described_share(inputs, seed)]
    for tau, cases in _cases(inputs, ks, taus, seed):
        for case in cases:
            figures += [
                *_headline(case),
                *_described(case),
                *_contained(case),
                *_named(case),
                *_random_descriptors(case),
                *_upper_bound(case),
            ]
        figures += _mean_average_precision(_case(inputs, tau, 1, seed))
    return figures


def brief_recovery(
    inputs: RecoveryInputs, *, ks: Sequence[int] = (1, 2), taus: Sequence[float] = TAUS, seed: int
) -> list[Figure]:
    """Precision and recall of the headline and the upper bound, and the share described.

    See `label_recovery`.

    Raises:
        ValueError: a k is below 1 or a tau is outside 0 to 1.
    """
    figures = [_described_share(inputs, seed)]
    for _, cases in _cases(inputs, ks, taus, seed):
        for case in cases:
            figures += [*_compared(case, Reading.HEADLINE, inputs.meanings), *_upper_bound(case)]
    return figures


def _cases(
    inputs: RecoveryInputs, ks: Sequence[int], taus: Sequence[float], seed: int
) -> Iterator[tuple[float, list[_Case]]]:
    if any(k < 1 for k in ks) or any(not 0.0 <= tau <= 1.0 for tau in taus):
        raise ValueError(f"ks are {list(ks)} and taus {list(taus)}, expected k >= 1, tau in [0, 1]")
    for tau in taus:
        yield tau, [_case(inputs, tau, k, seed) for k in ks]


def _case(inputs: RecoveryInputs, tau: float, k: int, seed: int) -> _Case:
    gold = inputs.gold(tau)
    n_gold = gold.sum(axis=1, dtype=np.int64)
    neurons = np.flatnonzero(n_gold >= k)
    return _Case(inputs, tau, k, seed, neurons, gold[neurons], n_gold[neurons])


def _described_share(inputs: RecoveryInputs, seed: int) -> Figure:
    shuffled = inputs.shuffled_ranking
    return _figure(
        inputs,
        Reading.EVERY_NEURON,
        "described",
        None,
        seed,
        inputs.ranking.described.astype(np.float64),
        None if shuffled is None else shuffled.described.astype(np.float64),
    )


def _compared(case: _Case, reading: Reading, meanings: BoolArray, *more: Measure) -> list[Figure]:
    """Precision, recall and more under one reading of what descriptors mean, with its controls."""
    return case.measured(
        reading,
        (*case.precision_and_recall, *more),
        case.hits(case.inputs.ranking, meanings),
        case.null(meanings),
        case.baseline(meanings),
    )


def _headline(case: _Case) -> list[Figure]:
    more = (Measure("Success", case.k), Measure("nDCG", case.k))
    ceiling = recall_ceiling(case.n_gold, case.k)
    return [
        *_compared(case, Reading.HEADLINE, case.inputs.meanings, *more),
        case.figure(Reading.HEADLINE, "R_ceiling", ceiling),
        case.figure(Reading.HEADLINE, "gold_labels", case.n_gold.astype(np.float64)),
    ]


def _mean_average_precision(case: _Case) -> list[Figure]:
    meanings, ranking = case.inputs.meanings, case.inputs.ranking
    n_ranks = max(1, ranking.descriptors.shape[1])
    return case.measured(
        Reading.HEADLINE,
        (Measure("MAP"),),
        case.hits(ranking, meanings, n_ranks),
        case.null(meanings, n_ranks),
        case.baseline(meanings, n_ranks),
    )


def _described(case: _Case) -> list[Figure]:
    inputs, meanings = case.inputs, case.inputs.meanings
    described = inputs.ranking.described[case.neurons]
    hits = case.hits(inputs.ranking, meanings).among(described)
    baseline = case.baseline(meanings).among(described)
    null, null_described = case.null(meanings), None
    if null is not None and inputs.shuffled_ranking is not None:
        null_described = inputs.shuffled_ranking.described[case.neurons]
        null = null.among(null_described)
    return [
        *case.measured(Reading.DESCRIBED, case.precision_and_recall, hits, null, baseline),
        case.figure(Reading.DESCRIBED, "R_ceiling", recall_ceiling(hits.n_gold, case.k)),
        case.figure(
            Reading.DESCRIBED,
            "coverage",
            described.astype(np.float64),
            None if null_described is None else null_described.astype(np.float64),
        ),
    ]


def _contained(case: _Case) -> list[Figure]:
    return _compared(case, Reading.CONTAINED, case.inputs.contained_meanings)


def _named(case: _Case) -> list[Figure]:
    named = case.inputs.named_meanings
    return [] if named is None else _compared(case, Reading.NAMED, named)


def _random_descriptors(case: _Case) -> list[Figure]:
    """A label is found unless all of k distinct random descriptors miss the ones that mean it."""
    meanings = case.inputs.meanings
    n_descriptors = meanings.shape[0]
    others = n_descriptors - meanings.sum(axis=0, dtype=np.int64)
    all_miss = np.ones(meanings.shape[1])
    for drawn in range(min(case.k, n_descriptors)):
        all_miss *= np.maximum(others - drawn, 0) / (n_descriptors - drawn)
    expected = case.gold @ (1.0 - all_miss)
    # Rounding may lift the expectation a hair above its bound.
    bounded = np.minimum(expected, np.minimum(case.k, case.n_gold))
    reading = Reading.RANDOM_DESCRIPTORS
    return [
        case.figure(reading, "P", precision_at_k(bounded, case.k)),
        case.figure(reading, "R", recall_at_k(bounded, case.n_gold)),
    ]


def _upper_bound(case: _Case) -> list[Figure]:
    ranking = case.inputs.upper_ranking
    if ranking is None:
        return []
    identity = np.eye(case.gold.shape[1], dtype=np.bool_)
    hits = case.hits(ranking, identity)
    return case.measured(Reading.UPPER_BOUND, case.precision_and_recall, hits)


def _figure(
    inputs: RecoveryInputs,
    variant: str,
    metric: str,
    k: int | None,
    seed: int,
    values: DoubleArray,
    null: DoubleArray | None = None,
    baseline: DoubleArray | None = None,
) -> Figure:
    return mean_figure(
        values,
        protocol=PROTOCOL,
        variant=variant,
        metric=metric,
        k=k,
        split=inputs.split,
        facet=inputs.facet,
        null=null,
        baseline=baseline,
        seed=seed,
    )
