"""What an AUROC is worth: standard errors, z values, q values, enrichment of the exemplars."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit, ndtr

from indexer.arrays import DoubleArray, IntArray

_BINS_PER_UNIT = 256
_LARGEST_Z = 40
_NORMAL_95 = 1.959963984540054


def conservative_standard_error(auroc: DoubleArray, n_rarer: IntArray) -> DoubleArray:
    """Upper bound sqrt(A (1 - A) / n) of an AUROC's standard error (`n_sets, n_units`).

    Holds for any distribution with n the size of the rarer class, see `rarer_sizes` (van Dantzig
    1951; Cortes & Mohri 2004). A (1 - A) is kept at its value one half sentence below 1, so that a
    perfect separation of few sentences is not taken for certainty.
    """
    rarer = n_rarer.astype(np.float64).reshape(-1, 1)
    edge = 0.5 / (rarer + 1.0)
    inside = np.clip(auroc, edge, 1.0 - edge)
    return np.asarray(np.sqrt(inside * (1.0 - inside) / rarer), dtype=np.float64)


def mann_whitney_z(
    auroc: DoubleArray, n_members: IntArray, n_sentences: int, rank_variances: DoubleArray
) -> DoubleArray:
    """Normal score of each AUROC under no relation (`n_sets, n_units`), corrected for ties.

    The variance of the ranks themselves carries the tie correction: the rank sum of n1 of n
    sentences has variance n1 n0 / (n - 1) times the population variance of the ranks (`n_units`). A
    constant unit has z 0.
    """
    members = n_members.astype(np.float64).reshape(-1, 1)
    others = n_sentences - members
    variance = members * others / (n_sentences - 1.0) * rank_variances
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (auroc - 0.5) * members * others / np.sqrt(variance)
    return np.asarray(np.nan_to_num(z, nan=0.0, posinf=0.0, neginf=0.0), dtype=np.float64)


class ZHistogram:
    """Counts of z values, fine enough for Benjamini-Hochberg, small enough for any number of pairs.

    Each z counts as the lower edge of its bin (1/256 wide, within 40 of zero), so that q values
    come out a little too large, never too small.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(2 * _LARGEST_Z * _BINS_PER_UNIT + 1, dtype=np.int64)

    def add(self, z: DoubleArray) -> None:
        """Count every value of `z`, any shape."""
        self._counts += np.bincount(self._bins(z).ravel(), minlength=len(self._counts))

    def merge(self, other: ZHistogram) -> None:
        """Count what another histogram has counted, too."""
        self._counts += other._counts

    @staticmethod
    def _bins(z: DoubleArray) -> IntArray:
        inside = np.clip(z, -_LARGEST_Z, _LARGEST_Z)
        return np.floor(inside * _BINS_PER_UNIT).astype(np.int64) + _LARGEST_Z * _BINS_PER_UNIT

    def q_values(self, z: DoubleArray) -> DoubleArray:
        """Benjamini-Hochberg q of one-sided tests with these z values, same shape.

        Raises:
            ValueError: nothing was counted.
        """
        total = int(self._counts.sum())
        if not total:
            raise ValueError("q values need the z values of all tests; none were added")
        edges = (np.arange(len(self._counts)) / _BINS_PER_UNIT) - _LARGEST_Z
        at_least = np.cumsum(self._counts[::-1])[::-1]
        raw = ndtr(-edges) * total / np.maximum(at_least, 1)
        # The smallest ratio of any weaker test bounds the q of a stronger one.
        adjusted = np.minimum(np.minimum.accumulate(raw), 1.0)
        return np.asarray(adjusted[self._bins(z)], dtype=np.float64)


def delong_standard_error(member_ranks: DoubleArray, n_sentences: int) -> DoubleArray:
    """Standard error of the AUROC of a sentence set for each unit (`n_units`).

    DeLong et al. 1988 from placement values; only the members' ranks are needed. A non-member tied
    with a member counts as half a win with full weight, which errs on the large side.

    Args:
        member_ranks: `average_ranks` over the split, of the members (`n_members, n_units`).
        n_sentences: of the split.

    Raises:
        ValueError: fewer than two members or non-members.
    """
    n_members = len(member_ranks)
    n_others = n_sentences - n_members
    if n_members < 2 or n_others < 2:
        raise ValueError(f"need 2 members and 2 others, found {n_members} and {n_others}")
    own = np.sort(member_ranks, axis=0)
    within = _ranks_within(own)
    below = own - within
    placement = below / n_others
    area = placement.mean(axis=0)
    weights = (2.0 * (n_members - np.arange(1, n_members + 1)) + 1.0).reshape(-1, 1)
    squares = (below * weights).sum(axis=0) / (n_members**2 * n_others)
    of_others = np.maximum(squares - area**2, 0.0) * n_others / (n_others - 1.0)
    of_members = placement.var(axis=0, ddof=1)
    return np.asarray(np.sqrt(of_members / n_members + of_others / n_others), dtype=np.float64)


def _ranks_within(ordered: DoubleArray) -> DoubleArray:
    """Mean ranks of already sorted columns."""
    positions = np.arange(1, len(ordered) + 1, dtype=np.float64).reshape(-1, 1)
    new = np.vstack([np.ones((1, ordered.shape[1]), bool), ordered[1:] != ordered[:-1]])
    last = np.vstack([ordered[1:] != ordered[:-1], np.ones((1, ordered.shape[1]), bool)])
    first_position = np.maximum.accumulate(np.where(new, positions, 0.0), axis=0)
    reversed_last = np.where(last, positions, np.inf)[::-1]
    last_position = np.minimum.accumulate(reversed_last, axis=0)[::-1]
    return (first_position + last_position) / 2.0


def auroc_bounds(
    auroc: DoubleArray, standard_error: DoubleArray, n_rarer: int
) -> tuple[DoubleArray, DoubleArray]:
    """95% bounds of AUROCs of one set, normal on the logit scale.

    Perfect separation leaves no standard error; its bound is that of n successes in n trials (n the
    size of the rarer class; Clopper & Pearson 1934). No lower AUROC gets a higher lower bound than
    that: near 1, and for few members, the normal bounds alone are far too narrow.
    """
    edge = float(0.025 ** (1.0 / n_rarer))
    inside = np.clip(auroc, 1e-12, 1.0 - 1e-12)
    reach = _NORMAL_95 * standard_error / (inside * (1.0 - inside))
    low, high = expit(logit(auroc) - reach), expit(logit(auroc) + reach)
    return np.minimum(low, edge), np.maximum(high, 1.0 - edge)


def enrichment_z(
    hits: DoubleArray, n_members: IntArray, n_exemplars: DoubleArray, n_sentences: int
) -> DoubleArray:
    """Hypergeometric z of the members found among the exemplars (`n_sets, n_units`).

    z = (x - n K / N) / sd with x hits among n exemplars, K members of N sentences. No exemplars,
    no members or only members: z is 0.
    """
    members = n_members.astype(np.float64).reshape(-1, 1)
    share = members / n_sentences
    expected = n_exemplars * share
    finite = (n_sentences - n_exemplars) / max(n_sentences - 1, 1)
    variance = expected * (1.0 - share) * finite
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (hits - expected) / np.sqrt(variance)
    return np.asarray(np.where(variance > 0.0, np.nan_to_num(z), 0.0), dtype=np.float64)
