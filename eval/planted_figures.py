"""The figures of the planted-units protocol: which of the planted concepts a ranking names.

Precision at k averages over the units with at least k gold concepts, so that no unit is out of
reach; recall averages over every planted unit and has its ceiling beside it. What counts as a hit
is fixed in `eval.metrics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from eval.mean_figures import mean_figure
from eval.metrics import Ranking, distinct_hits, precision_at_k, recall_at_k, recall_ceiling
from eval.rankings import commonest_descriptors
from eval.records import Figure
from indexer.arrays import BoolArray, DoubleArray, IntArray
from neurons.matching import TAILS

PROTOCOL = "planted"
FEWEST_UNITS = 20
SPLIT = "validation"
"""What a unit was planted with is known; matches, and what descriptors mean, are settled there."""

TailRankings = tuple[Ranking, Ranking]
"""Rankings of the same units for each of `TAILS`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PlantedInputs:
    """What units planted with concepts of one kind, at one strength, are judged on.

    Attributes:
        gold: the concepts each unit was planted with (`n_planted, n_concepts`).
        meanings: which concept each descriptor means (`n_descriptors, n_concepts`).
        contained: a second reading of that, of the same shape; None where concepts are descriptors.
        rankings: of all units, the planted first (`n_units`).
        shuffled: the same where descriptors hold for shuffled sentences, the null.
        upper: the same with the concepts as descriptors, holding their positions, if there is one.
        descriptor_sizes: members of each descriptor on discover (`n_descriptors`); the largest are
            the frequency baseline, the first in order among equals.
        variant: how the variants of all figures begin.
        facet: of the labels that the concepts are.
        seed: of the intervals.

    Raises:
        ValueError: shapes do not fit, or a unit has no gold concept.
    """

    gold: BoolArray
    meanings: BoolArray
    contained: BoolArray | None = None
    rankings: TailRankings
    shuffled: TailRankings
    upper: TailRankings | None = None
    descriptor_sizes: IntArray
    variant: str
    facet: str = ""
    seed: int

    def __post_init__(self) -> None:
        expected = (self.descriptor_sizes.size, self.gold.shape[1])
        for meanings in (self.meanings, self.contained):
            if meanings is not None and meanings.shape != expected:
                raise ValueError(f"meanings have shape {meanings.shape}, expected {expected}")
        n_planted, n_units = len(self.gold), self.rankings[0].n_neurons
        if n_planted > n_units:
            raise ValueError(f"gold has {n_planted} units, the ranking {n_units}")
        if not self.gold.any(axis=1).all():
            raise ValueError("a planted unit has no gold concept; leave it out first")


@dataclass(frozen=True, eq=False)
class _Judged:
    """Planted units that are judged together (`n_judged`), by one ranking and one reading of it.

    With `shuffled` its figures have a null, and the commonest descriptors as baseline.
    """

    inputs: PlantedInputs
    variant: str
    units: IntArray
    meanings: BoolArray
    ranking: Ranking
    shuffled: Ranking | None

    def figures(self, ks: Sequence[int], *, ceiling: bool = False) -> list[Figure]:
        """Precision and recall at each k, and the ceiling of recall if asked."""
        found = []
        for k in ks:
            reaching = replace(self, units=self.units[self._n_gold >= k])
            if reaching.units.size:
                found.append(reaching._figure("P", k))
            found.append(self._figure("R", k))
            if ceiling:
                found.append(self._ceiling(k))
        return found

    def _figure(self, metric: str, k: int) -> Figure:
        null = baseline = None
        if self.shuffled is not None:
            sizes = self.inputs.descriptor_sizes
            null = self._scores(metric, self.shuffled, k)
            baseline = self._scores(
                metric, commonest_descriptors(sizes, k, self.ranking.n_neurons), k
            )
        values = self._scores(metric, self.ranking, k)
        return _figure(self.inputs, self.variant, metric, k, values, null, baseline)

    def _ceiling(self, k: int) -> Figure:
        values = recall_ceiling(self._n_gold, k)
        return _figure(self.inputs, self.variant, "R_ceiling", k, values)

    def _scores(self, metric: str, ranking: Ranking, k: int) -> DoubleArray:
        gold = self.inputs.gold[self.units]
        hits = distinct_hits(gold, self.meanings, ranking.take(self.units), k)
        return precision_at_k(hits, k) if metric == "P" else recall_at_k(hits, self._n_gold)

    @property
    def _n_gold(self) -> IntArray:
        return np.asarray(self.inputs.gold[self.units].sum(axis=1, dtype=np.int64))


def planted_figures(inputs: PlantedInputs, ks: Sequence[int]) -> list[Figure]:
    """All figures at one strength.

    Variants, each beginning as `inputs.variant` says: the headline; `contained` (second reading of
    meaning) and `meant` (only units each of whose gold concepts some descriptor means, so that what
    the catalog lacks does not count), both where the concepts are labels; `upper_bound` (the labels
    as descriptors); `number=N` (units with N gold concepts); `unplanted` with its tail (the share
    of units without a signal that get a description all the same). A precision at more than the
    number of gold concepts of any unit is left out; one over fewer than 20 units is refused.
    """
    every = np.arange(len(inputs.gold))
    headline = _Judged(
        inputs, inputs.variant, every, inputs.meanings, inputs.rankings[0], inputs.shuffled[0]
    )
    n_gold = inputs.gold.sum(axis=1, dtype=np.int64)
    found = [
        _figure(inputs, inputs.variant, "gold_concepts", None, n_gold.astype(np.float64)),
        _described(inputs),
        *headline.figures(ks, ceiling=True),
    ]
    if inputs.contained is not None:
        judged = replace(headline, variant=f"{inputs.variant} contained", meanings=inputs.contained)
        found += judged.figures(ks)
        found += _meant(headline, ks)
    if inputs.upper is not None:
        exact = np.eye(inputs.gold.shape[1], dtype=np.bool_)
        variant = f"{inputs.variant} upper_bound"
        upper = _Judged(inputs, variant, every, exact, inputs.upper[0], None)
        found += upper.figures(ks)
    for number in np.unique(n_gold).tolist():
        variant = f"{inputs.variant} number={number}"
        own = replace(headline, variant=variant, units=np.flatnonzero(n_gold == number))
        found += own.figures(ks)
    return [*found, *_unplanted(inputs)]


def _meant(headline: _Judged, ks: Sequence[int]) -> list[Figure]:
    inputs = headline.inputs
    meant = np.asarray(inputs.meanings.any(axis=0))
    lacking = np.asarray((inputs.gold & ~meant).any(axis=1))
    own = replace(headline, variant=f"{inputs.variant} meant", units=np.flatnonzero(~lacking))
    if own.units.size:
        return own.figures(ks, ceiling=True)
    reason = (
        f"each of {len(lacking)} units has a gold label that no descriptor means, expected some "
        "that lack none; what a richer catalog would give is in upper_bound"
    )
    refused = Figure.refused(
        PROTOCOL, reason, variant=own.variant, split=SPLIT, facet=inputs.facet, n=0
    )
    return [refused]


def _described(inputs: PlantedInputs) -> Figure:
    planted = np.arange(len(inputs.gold))
    return _figure(
        inputs,
        inputs.variant,
        "described",
        None,
        inputs.rankings[0].described[planted].astype(np.float64),
        null=inputs.shuffled[0].described[planted].astype(np.float64),
    )


def _unplanted(inputs: PlantedInputs) -> list[Figure]:
    """How many units that respond to nothing are described, by either tail."""
    return [
        _figure(
            inputs,
            f"{inputs.variant} unplanted tail={tail.value}",
            "described",
            None,
            ranking.described[len(inputs.gold) :].astype(np.float64),
            null=shuffled.described[len(inputs.gold) :].astype(np.float64),
        )
        for tail, ranking, shuffled in zip(TAILS, inputs.rankings, inputs.shuffled, strict=True)
    ]


def _figure(
    inputs: PlantedInputs,
    variant: str,
    metric: str,
    k: int | None,
    values: DoubleArray,
    null: DoubleArray | None = None,
    baseline: DoubleArray | None = None,
) -> Figure:
    if values.size < FEWEST_UNITS:
        reason = (
            f"found {values.size} planted units to judge, expected {FEWEST_UNITS} or more; plant "
            "more units"
        )
        return Figure.refused(
            PROTOCOL,
            reason,
            metric=metric,
            variant=variant,
            k=k,
            split=SPLIT,
            facet=inputs.facet,
            n=values.size,
        )
    return mean_figure(
        values,
        protocol=PROTOCOL,
        variant=variant,
        metric=metric,
        k=k,
        split=SPLIT,
        facet=inputs.facet,
        null=null,
        baseline=baseline,
        seed=inputs.seed,
    )
