"""The label-recovery protocol: do descriptors name the hidden labels a neuron responds to?

Gold labels of a neuron are the labels its activation separates on `test` with AUROC of at least
tau. A neuron enters the figures at k if it has at least k of them. What counts as a hit, and how
precision and recall divide, is fixed in `eval.metrics`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval.intervals import bootstrap_interval
from eval.metrics import Ranking, distinct_hits, precision_at_k, recall_at_k, recall_ceiling
from eval.records import Figure
from indexer.arrays import BoolArray, DoubleArray, IntArray

PROTOCOL = "label_recovery"
EVERY_NEURON = "every_neuron"


@dataclass(frozen=True, kw_only=True, eq=False)
class RecoveryInputs:
    """What one facet of labels is judged on.

    Attributes:
        test_auroc: AUROC of each label for each neuron on the test split (`n_labels, n_neurons`);
            NaN where it is undefined, and such a label is never gold.
        ranking: the predicted descriptors of each neuron.
        meanings: the label each descriptor means, one at most (`n_descriptors, n_labels`).
        contained_meanings: the second reading of what descriptors mean, of the same shape.
        descriptor_sizes: members of each descriptor on `discover` (`n_descriptors`); the largest
            are the frequency baseline, the first in order among equals.
        shuffled_ranking: the ranking the matcher gives for shuffled activations, the null.
        upper_ranking: the ranking of the matcher with the true labels as descriptors, holding
            label positions.
        facet: which labels these are, empty where there is one kind only.
        split: the split that `test_auroc` was measured on.

    Raises:
        ValueError: shapes do not fit, a ranking names an unknown descriptor, or a descriptor means
            several labels in `meanings`.
    """

    test_auroc: DoubleArray
    ranking: Ranking
    meanings: BoolArray
    contained_meanings: BoolArray
    descriptor_sizes: IntArray
    shuffled_ranking: Ranking | None = None
    upper_ranking: Ranking | None = None
    facet: str = ""
    split: str = "test"

    def __post_init__(self) -> None:
        if self.test_auroc.ndim != 2:
            raise ValueError(f"test_auroc has shape {self.test_auroc.shape}, expected 2 dimensions")
        n_labels, n_neurons = self.test_auroc.shape
        n_descriptors = self.descriptor_sizes.size
        for name in ("meanings", "contained_meanings"):
            found = getattr(self, name).shape
            if found != (n_descriptors, n_labels):
                raise ValueError(f"{name} have shape {found}, not {(n_descriptors, n_labels)}")
        if (self.meanings.sum(axis=1) > 1).any():
            raise ValueError("a descriptor means several labels; meanings allow one at most")
        for ranking, n_known in (
            (self.ranking, n_descriptors),
            (self.shuffled_ranking, n_descriptors),
            (self.upper_ranking, n_labels),
        ):
            if ranking is None:
                continue
            if ranking.n_neurons != n_neurons:
                raise ValueError(f"a ranking covers {ranking.n_neurons} neurons, not {n_neurons}")
            if ranking.n_descriptors_needed > n_known:
                raise ValueError(f"a ranking names a position beyond the {n_known} it can have")


@dataclass(frozen=True, eq=False)
class _Hits:
    """Hits and numbers of gold labels of the neurons a figure averages over (`n_neurons`)."""

    counts: IntArray | DoubleArray
    n_gold: IntArray

    def among(self, chosen: BoolArray) -> _Hits:
        return _Hits(self.counts[chosen], self.n_gold[chosen])


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

    def hits(self, ranking: Ranking, meanings: BoolArray) -> _Hits:
        counts = distinct_hits(self.gold, meanings, ranking.take(self.neurons), self.k)
        return _Hits(counts, self.n_gold)

    def null(self, meanings: BoolArray) -> _Hits | None:
        shuffled = self.inputs.shuffled_ranking
        return None if shuffled is None else self.hits(shuffled, meanings)

    def baseline(self, meanings: BoolArray) -> _Hits:
        return self.hits(_commonest(self.inputs, self.k), meanings)

    def figure(
        self,
        variant: str,
        metric: str,
        values: DoubleArray,
        null: DoubleArray | None = None,
        baseline: DoubleArray | None = None,
    ) -> Figure:
        named = f"tau={self.tau:g} {variant}".rstrip()
        return _figure(self.inputs, named, metric, self.k, self.seed, values, null, baseline)

    def precision_and_recall(
        self, variant: str, hits: _Hits, null: _Hits | None = None, baseline: _Hits | None = None
    ) -> list[Figure]:
        def precision(found: _Hits) -> DoubleArray:
            return precision_at_k(found.counts, self.k)

        def recall(found: _Hits) -> DoubleArray:
            return recall_at_k(found.counts, found.n_gold)

        return [
            self.figure(
                variant,
                metric,
                per_neuron(hits),
                None if null is None else per_neuron(null),
                None if baseline is None else per_neuron(baseline),
            )
            for metric, per_neuron in (("P", precision), ("R", recall))
        ]


def label_recovery(
    inputs: RecoveryInputs,
    *,
    ks: Sequence[int] = (1, 2, 5),
    taus: Sequence[float] = (0.8, 0.9),
    seed: int,
) -> list[Figure]:
    """All figures of the protocol for one facet, in the order of `taus`, then `ks`.

    Variants at each tau: `tau=T` (headline, an abstention is k misses), `tau=T described` (only
    neurons with a descriptor; its null averages those described under shuffling),
    `tau=T contained` (second reading of meaning), `tau=T random_descriptors` (exact expectation
    over k distinct descriptors drawn for each neuron), `tau=T upper_bound` (true labels as
    descriptors). `null` is the shuffled ranking and `baseline` the k commonest descriptors, on the
    same neurons. Where no neuron has k gold labels the value is None and n is 0.

    Raises:
        ValueError: a k is below 1 or a tau is outside 0 to 1.
    """
    if any(k < 1 for k in ks) or any(not 0.0 <= tau <= 1.0 for tau in taus):
        raise ValueError(f"ks are {list(ks)} and taus {list(taus)}, expected k >= 1, tau in [0, 1]")
    figures = [_described_share(inputs, seed)]
    for tau in taus:
        gold = np.ascontiguousarray((inputs.test_auroc >= tau).T)
        n_gold = gold.sum(axis=1, dtype=np.int64)
        for k in ks:
            neurons = np.flatnonzero(n_gold >= k)
            case = _Case(inputs, tau, k, seed, neurons, gold[neurons], n_gold[neurons])
            figures += [
                *_headline(case),
                *_described(case),
                *_contained(case),
                *_random_descriptors(case),
                *_upper_bound(case),
            ]
    return figures


def _described_share(inputs: RecoveryInputs, seed: int) -> Figure:
    shuffled = inputs.shuffled_ranking
    return _figure(
        inputs,
        EVERY_NEURON,
        "described",
        None,
        seed,
        inputs.ranking.described.astype(np.float64),
        None if shuffled is None else shuffled.described.astype(np.float64),
    )


def _headline(case: _Case) -> list[Figure]:
    meanings = case.inputs.meanings
    hits = case.hits(case.inputs.ranking, meanings)
    return [
        *case.precision_and_recall("", hits, case.null(meanings), case.baseline(meanings)),
        case.figure("", "R_ceiling", recall_ceiling(case.n_gold, case.k)),
        case.figure("", "gold_labels", case.n_gold.astype(np.float64)),
    ]


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
        *case.precision_and_recall("described", hits, null, baseline),
        case.figure("described", "R_ceiling", recall_ceiling(hits.n_gold, case.k)),
        case.figure(
            "described",
            "coverage",
            described.astype(np.float64),
            None if null_described is None else null_described.astype(np.float64),
        ),
    ]


def _contained(case: _Case) -> list[Figure]:
    meanings = case.inputs.contained_meanings
    hits = case.hits(case.inputs.ranking, meanings)
    return case.precision_and_recall(
        "contained", hits, case.null(meanings), case.baseline(meanings)
    )


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
    return case.precision_and_recall("random_descriptors", _Hits(bounded, case.n_gold))


def _upper_bound(case: _Case) -> list[Figure]:
    ranking = case.inputs.upper_ranking
    if ranking is None:
        return []
    identity = np.eye(case.gold.shape[1], dtype=np.bool_)
    return case.precision_and_recall("upper_bound", case.hits(ranking, identity))


def _commonest(inputs: RecoveryInputs, k: int) -> Ranking:
    """The k commonest descriptors, predicted for every neuron."""
    first = np.argsort(-inputs.descriptor_sizes, kind="stable")[:k]
    n_neurons = inputs.ranking.n_neurons
    return Ranking(np.broadcast_to(first, (n_neurons, first.size)), np.full(n_neurons, first.size))


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
    interval = bootstrap_interval(values, seed=seed) if values.size else None
    return Figure(
        protocol=PROTOCOL,
        variant=variant,
        metric=metric,
        k=k,
        split=inputs.split,
        facet=inputs.facet,
        value=_mean(values),
        ci_low=None if interval is None else interval.low,
        ci_high=None if interval is None else interval.high,
        null=None if null is None else _mean(null),
        baseline=None if baseline is None else _mean(baseline),
        n=values.size,
    )


def _mean(values: DoubleArray) -> float | None:
    """The mean, the same for any order of the values; None without values."""
    return math.fsum(values) / values.size if values.size else None
