"""Metrics of ranked descriptors at k, counted over distinct gold labels.

Conventions, with the rivals they are often mistaken for:

* A hit is one of the first k descriptors that means a gold label which no earlier one means. Where
  a descriptor means one label at most, hits are the *distinct* gold labels found: a second
  descriptor for the same label is no hit. (Rival: counting every correct descriptor, which rewards
  synonyms.)
* Precision at k divides by k, also when fewer than k descriptors were given, so an abstention is k
  misses. (Rival: dividing by the number of descriptors given.)
* Recall at k is the found share of the gold labels. (Rival: 1 if anything was found, which is
  Success@k.) With more gold labels than k it cannot reach 1: see `recall_ceiling`.
* A neuron without gold labels has precision and success 0; recall, nDCG and average precision are
  undefined for it, and to ask for them is an error. (Rival: 0, which mixes neurons that were
  described badly with neurons that have nothing to describe.)
* Descriptors are ranked without ties, and ranks that a neuron does not have are misses.

`eval.measures` names these metrics, `eval.score_metrics` holds those that need no ranking.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from indexer.arrays import BoolArray, DoubleArray, IntArray

Counts = IntArray | DoubleArray


@dataclass(frozen=True, eq=False)
class Ranking:
    """Predicted descriptors of each neuron, best first.

    Attributes:
        descriptors: positions in the catalog (`n_neurons, n_ranks`); what lies beyond a neuron's
            length is ignored. Ranks that were cut off count as misses, so `n_ranks` must cover
            the largest k that is asked for.
        lengths: how many descriptors each neuron has (`n_neurons`), 0 where it abstained.

    Raises:
        ValueError: shapes do not fit, a length is out of range, a valid position is negative.
    """

    descriptors: IntArray
    lengths: IntArray

    def __post_init__(self) -> None:
        descriptors, lengths = self.descriptors, self.lengths
        if descriptors.ndim != 2 or lengths.shape != descriptors.shape[:1]:
            raise ValueError(
                f"descriptors have shape {descriptors.shape} and lengths {lengths.shape}, "
                "expected (n_neurons, n_ranks) and (n_neurons,)"
            )
        if descriptors.dtype.kind not in "iu" or lengths.dtype.kind not in "iu":
            raise ValueError(
                f"descriptors have type {descriptors.dtype} and lengths {lengths.dtype}, "
                "expected integers"
            )
        if ((lengths < 0) | (lengths > descriptors.shape[1])).any():
            raise ValueError(
                f"lengths run from {lengths.min()} to {lengths.max()}, "
                f"expected 0 to {descriptors.shape[1]} ranks"
            )
        valid = np.arange(descriptors.shape[1]) < lengths[:, None]
        if (valid & (descriptors < 0)).any():
            raise ValueError("a ranked descriptor has a negative position")

    @property
    def n_neurons(self) -> int:
        """How many neurons are ranked for, abstentions included."""
        return self.lengths.size

    @property
    def described(self) -> BoolArray:
        """Which neurons have at least one descriptor (`n_neurons`)."""
        return np.asarray(self.lengths > 0)

    @property
    def n_descriptors_needed(self) -> int:
        """The smallest catalog that holds every ranked descriptor."""
        valid = np.arange(self.descriptors.shape[1]) < self.lengths[:, None]
        return int(np.where(valid, self.descriptors, -1).max(initial=-1)) + 1

    def take(self, neurons: IntArray) -> Ranking:
        """The ranking of some neurons, in the order given."""
        return Ranking(self.descriptors[neurons], self.lengths[neurons])


def precision_at_k(hits: Counts, k: int) -> DoubleArray:
    """Hits divided by k for each neuron (`n_neurons`), however many descriptors it has.

    0 without hits, also where there are no gold labels to hit. (Rivals: dividing by the number of
    descriptors given; counting every correct descriptor, also a second one for the same label.)

    Raises:
        ValueError: k is below 1, or a neuron has hits outside 0 to k.
    """
    _check_k(k)
    if ((hits < 0) | (hits > k)).any():
        raise ValueError(f"hits run from {hits.min()} to {hits.max()}, expected 0 to k = {k}")
    return np.asarray(hits / k, dtype=np.float64)


def recall_at_k(hits: Counts, n_relevant: IntArray) -> DoubleArray:
    """Hits divided by the number of gold labels for each neuron (`n_neurons`).

    Undefined, and an error, without gold labels. (Rivals: 1 if anything was found, which is
    Success@k; dividing by min(k, n_relevant), which is this over `recall_ceiling`.)

    Raises:
        ValueError: unequal shapes, a neuron without gold labels, or hits outside 0 to their number.
    """
    _check_relevant(n_relevant)
    if hits.shape != n_relevant.shape:
        raise ValueError(f"hits have shape {hits.shape}, numbers of labels {n_relevant.shape}")
    if ((hits < 0) | (hits > n_relevant)).any():
        raise ValueError("a neuron has negative hits or more hits than gold labels")
    return np.asarray(hits / n_relevant, dtype=np.float64)


def recall_ceiling(n_relevant: IntArray, k: int) -> DoubleArray:
    """The largest recall at k that k descriptors can reach, for each neuron (`n_neurons`).

    Raises:
        ValueError: k is below 1 or a neuron has no gold labels.
    """
    _check_k(k)
    _check_relevant(n_relevant)
    return np.asarray(np.minimum(k, n_relevant) / n_relevant, dtype=np.float64)


def distinct_hits(gold: BoolArray, meanings: BoolArray, ranking: Ranking, k: int) -> IntArray:
    """How many of the first k descriptors mean a gold label that no earlier one means.

    At most k and at most the number of gold labels. Equal to the number of distinct gold labels
    found wherever a descriptor means one label at most; a descriptor that means several counts
    once, so that precision stays a share of descriptors.

    Args:
        gold: which labels are right for each neuron (`n_neurons, n_labels`).
        meanings: which labels each descriptor means (`n_descriptors, n_labels`).
        ranking: the predicted descriptors of the same neurons.
        k: how many of them count.

    Raises:
        ValueError: shapes do not fit, a ranked descriptor is not in `meanings`, k is below 1.
    """
    return np.asarray(ranked_hits(gold, meanings, ranking, k).sum(axis=1, dtype=np.int64))


def ranked_hits(gold: BoolArray, meanings: BoolArray, ranking: Ranking, k: int) -> BoolArray:
    """Which of the first k ranks are hits (`n_neurons, min(k, n_ranks)`); see `distinct_hits`.

    Raises:
        ValueError: as `distinct_hits`.
    """
    _check_k(k)
    if gold.ndim != 2 or meanings.ndim != 2 or gold.shape[1] != meanings.shape[1]:
        raise ValueError(
            f"gold has shape {gold.shape} and meanings {meanings.shape}, "
            "expected (n_neurons, n_labels) and (n_descriptors, n_labels)"
        )
    if gold.shape[0] != ranking.n_neurons:
        raise ValueError(f"gold has {gold.shape[0]} neurons, the ranking {ranking.n_neurons}")
    if ranking.n_descriptors_needed > meanings.shape[0]:
        raise ValueError(
            f"the ranking names descriptor {ranking.n_descriptors_needed - 1}, "
            f"meanings cover {meanings.shape[0]} descriptors"
        )
    hits = np.zeros((gold.shape[0], min(k, ranking.descriptors.shape[1])), dtype=np.bool_)
    missing = gold.copy()
    for rank in range(hits.shape[1]):
        neurons = np.flatnonzero(ranking.lengths > rank)
        meant = meanings[ranking.descriptors[neurons, rank]]
        hits[neurons, rank] = (missing[neurons] & meant).any(axis=1)
        missing[neurons] &= ~meant
    return hits


def success_at_k(hits: BoolArray, k: int) -> DoubleArray:
    """1 for each neuron with a hit among its first k descriptors, else 0 (`n_neurons`).

    There is no denominator: it does not matter how many hits there are. (Rivals: precision and
    recall, which do count them; also called hit rate, and recall where there is one gold label.)

    Args:
        hits: which ranks are hits, see `ranked_hits` (`n_neurons, n_ranks`).
        k: how many ranks count.

    Raises:
        ValueError: k is below 1 or hits are no table.
    """
    _check_k(k)
    _check_hits(hits)
    return np.asarray(hits[:, :k].any(axis=1), dtype=np.float64)


def ndcg_at_k(hits: BoolArray, n_relevant: IntArray, k: int) -> DoubleArray:
    """Hits discounted by rank, as a share of the best that k ranks can hold (`n_neurons`).

    DCG sums 1 / log2(rank + 1) over the hits up to rank k; the denominator is the DCG of
    min(k, n_relevant) hits at the first ranks (Jarvelin & Kekalainen 2002). Gain is 0 or 1, so that
    linear and exponential gain agree. (Rivals: an ideal of k hits whatever there is to find, with
    which a neuron of one gold label cannot reach 1; an ideal made of the hits found.)

    Args:
        hits: which ranks are hits, see `ranked_hits` (`n_neurons, n_ranks`).
        n_relevant: number of gold labels (`n_neurons`).
        k: how many ranks count.

    Raises:
        ValueError: k is below 1, shapes do not fit, a neuron has no gold labels or more hits than
            gold labels.
    """
    _check_k(k)
    _check_ranked(hits, n_relevant)
    width = max(k, hits.shape[1])
    discounts = 1.0 / np.log2(np.arange(2, width + 2))
    # Summed in one order for hits and ideal, so that a perfect ranking is exactly 1.
    ideal = np.cumsum(discounts)[np.minimum(k, n_relevant) - 1]
    gains = np.where(hits[:, :k], discounts[: hits.shape[1]][:k], 0.0)
    found = np.cumsum(gains, axis=1)[:, -1] if gains.shape[1] else np.zeros(len(hits))
    return np.asarray(found / ideal, dtype=np.float64)


def average_precision(hits: BoolArray, n_relevant: IntArray, k: int | None = None) -> DoubleArray:
    """Precision at the rank of each hit, summed and divided by the gold labels (`n_neurons`).

    Its mean over neurons is MAP. With a cutoff, hits beyond rank k count as misses, but the
    denominator stays the number of gold labels, so that with more of them than k it cannot reach 1.
    (Rivals: dividing by min(k, n_relevant), or by the hits found, which rewards stopping early.)

    Args:
        hits: which ranks are hits, see `ranked_hits` (`n_neurons, n_ranks`).
        n_relevant: number of gold labels (`n_neurons`).
        k: how many ranks count, all that there are if None.

    Raises:
        ValueError: k is below 1, shapes do not fit, a neuron has no gold labels or more hits than
            gold labels.
    """
    if k is not None:
        _check_k(k)
    _check_ranked(hits, n_relevant)
    counted = hits[:, :k]
    precisions = np.cumsum(counted, axis=1) / np.arange(1, counted.shape[1] + 1)
    return np.asarray((precisions * counted).sum(axis=1) / n_relevant, dtype=np.float64)


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k is {k}, expected 1 or more")


def _check_relevant(n_relevant: IntArray) -> None:
    if (n_relevant < 1).any():
        raise ValueError(
            "recall, nDCG and average precision are undefined for a neuron without gold labels; "
            "leave it out first"
        )


def _check_hits(hits: BoolArray) -> None:
    if hits.ndim != 2 or hits.dtype != np.bool_:
        raise ValueError(
            f"hits have shape {hits.shape} and type {hits.dtype}, expected true or false for "
            "(n_neurons, n_ranks)"
        )


def _check_ranked(hits: BoolArray, n_relevant: IntArray) -> None:
    _check_hits(hits)
    _check_relevant(n_relevant)
    if n_relevant.shape != hits.shape[:1]:
        raise ValueError(f"hits have shape {hits.shape}, numbers of labels {n_relevant.shape}")
    if (hits.sum(axis=1) > n_relevant).any():
        raise ValueError("a neuron has more hits than gold labels; hits count distinct labels")
