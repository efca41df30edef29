"""What each proposer contributed to label recovery: how many predictions, and how many hits.

A prediction is one of the first k descriptors of a neuron that counts in label recovery; a neuron
that abstains makes none. Each belongs to whoever proposed its descriptor. Descriptors of several
proposers are a line of their own, so that the shares add up to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from descriptors.curation import JOINT
from eval.intervals import ratio_interval
from eval.metrics import Ranking, ranked_hits
from eval.records import Figure
from eval.recovery import PROTOCOL, RecoveryInputs
from eval.variants import Variant
from indexer.arrays import BoolArray, IntArray

SHARE = "prediction_share"
PRECISION = "prediction_precision"


@dataclass(frozen=True, eq=False)
class _Predictions:
    """Predictions of the neurons that make any (`n_neurons, n_ranks`).

    `credit` is the place of the proposers of each, -1 beyond a neuron's last prediction.
    """

    credit: IntArray
    hits: BoolArray

    @classmethod
    def of(
        cls, inputs: RecoveryInputs, ranking: Ranking, gold: BoolArray, credit: IntArray, k: int
    ) -> _Predictions:
        """The first k of `ranking` for the neurons with at least k of the `gold` labels."""
        neurons = np.flatnonzero((gold.sum(axis=1) >= k) & ranking.described)
        own = ranking.take(neurons)
        hits = ranked_hits(gold[neurons], inputs.meanings, own, k)
        n_ranks = hits.shape[1]
        made = np.arange(n_ranks) < own.lengths[:, None]
        # What lies beyond a neuron's last rank may be no position at all.
        places = np.where(made, own.descriptors[:, :n_ranks], 0)
        return cls(np.where(made, credit[places], -1), hits)

    def share(self, place: int) -> tuple[IntArray, IntArray]:
        """Predictions of one line, and all of them, for each neuron."""
        return _count(self.credit == place), _count(self.credit >= 0)

    def precision(self, place: int) -> tuple[IntArray, IntArray]:
        """Hits of one line, and its predictions, for each neuron that has any."""
        own = self.credit == place
        some = own.any(axis=1)
        return _count(self.hits & own)[some], _count(own)[some]


def contribution_figures(
    inputs: RecoveryInputs,
    proposers: Sequence[str],
    *,
    ks: Sequence[int] = (1, 2),
    taus: Sequence[float] = (0.8, 0.9),
    seed: int,
) -> list[Figure]:
    """Share and precision of each proposer's predictions, in the order of `taus`, `ks` and names.

    None where all descriptors come from one line. `proposers` holds the proposers of each
    descriptor as the catalog writes them; their order there is of no account. The variant is
    `tau=T proposer=NAMES`. `null` is the shuffled ranking; `baseline` of a share is the share of
    the catalog. `n` counts predictions, all for a share and the line's own for its precision;
    intervals draw whole neurons.

    Raises:
        ValueError: `proposers` are given, but not one for each descriptor.
    """
    if proposers and len(proposers) != inputs.descriptor_sizes.size:
        raise ValueError(
            f"proposers of {len(proposers)} descriptors, expected {inputs.descriptor_sizes.size}"
        )
    lines = [JOINT.join(sorted(names.split(JOINT))) for names in proposers]
    names, credit = np.unique(np.array(lines, dtype=np.str_), return_inverse=True)
    if len(names) < 2:
        return []
    figures = []
    for tau in taus:
        gold = np.ascontiguousarray((inputs.test_auroc >= tau).T)
        for k in ks:
            found = _Predictions.of(inputs, inputs.ranking, gold, credit, k)
            shuffled = inputs.shuffled_ranking
            null = shuffled and _Predictions.of(inputs, shuffled, gold, credit, k)
            for place, name in enumerate(names.tolist()):
                variant = str(Variant(tau=tau, proposer=name))
                figures += [
                    _figure(
                        inputs, variant, SHARE, k, seed, found.share(place),
                        null=_ratio(*null.share(place)) if null else None,
                        baseline=float(np.mean(credit == place)),
                    ),
                    _figure(
                        inputs, variant, PRECISION, k, seed, found.precision(place),
                        null=_ratio(*null.precision(place)) if null else None,
                    ),
                ]  # fmt: skip
    return figures


def _figure(
    inputs: RecoveryInputs,
    variant: str,
    metric: str,
    k: int,
    seed: int,
    counted: tuple[IntArray, IntArray],
    null: float | None,
    baseline: float | None = None,
) -> Figure:
    parts, wholes = counted
    interval = ratio_interval(parts, wholes, seed=seed) if wholes.size else None
    return Figure(
        protocol=PROTOCOL,
        variant=variant,
        metric=metric,
        k=k,
        split=inputs.split,
        facet=inputs.facet,
        value=_ratio(parts, wholes),
        ci_low=None if interval is None else interval.low,
        ci_high=None if interval is None else interval.high,
        null=null,
        baseline=baseline,
        n=int(wholes.sum()),
    )


def _ratio(parts: IntArray, wholes: IntArray) -> float | None:
    return int(parts.sum()) / int(wholes.sum()) if wholes.size else None


def _count(chosen: BoolArray) -> IntArray:
    return np.asarray(chosen.sum(axis=1, dtype=np.int64))
