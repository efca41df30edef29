"""Exact, tie-correct AUROC of many neurons against many sentence sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import DoubleArray, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_KEYS = 1 << 16
_COUNTED_FROM = 4096


def average_ranks(activations: NDArray[np.floating]) -> DoubleArray:
    """Ranks from 1 down each column, ties sharing their mean rank (`n_sentences, n_units`).

    Many float16 activations are ranked by counting their 65,536 possible values, others by sorting.
    """
    columns = np.ascontiguousarray(activations.T)
    if columns.dtype == np.float16 and columns.shape[1] >= _COUNTED_FROM:
        ranks = np.empty(columns.shape, dtype=np.float64)
        for unit, column in enumerate(columns):
            ranks[unit] = _counted_ranks(column)
    else:
        ranks = _sorted_ranks(columns)
    return np.ascontiguousarray(ranks.T)


def _counted_ranks(column: NDArray[np.floating]) -> DoubleArray:
    # Adding zero turns -0.0 into 0.0; then the bits, negative ones flipped, order like the values.
    bits = (column + np.float16(0)).view(np.uint16)
    keys = np.where(bits & 0x8000, ~bits, bits | 0x8000)
    counts = np.bincount(keys, minlength=_KEYS)
    ends = np.cumsum(counts)
    mean_ranks: DoubleArray = ends - (counts - 1) / 2.0
    return mean_ranks[keys]


def _sorted_ranks(columns: NDArray[np.floating]) -> DoubleArray:
    """Mean ranks along each row of `columns` (`n_units, n_sentences`)."""
    order = np.argsort(columns, axis=1, kind="stable")
    ordered = np.take_along_axis(columns, order, axis=1)
    differs = ordered[:, 1:] != ordered[:, :-1]
    edge = np.ones((len(columns), 1), dtype=bool)
    positions = np.arange(1, columns.shape[1] + 1, dtype=np.float64)
    starts = np.where(np.hstack([edge, differs]), positions, 0.0)
    ends = np.where(np.hstack([differs, edge]), positions, np.inf)
    first = np.maximum.accumulate(starts, axis=1)
    last = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty(columns.shape, dtype=np.float64)
    np.put_along_axis(ranks, order, (first + last) / 2.0, axis=1)
    return ranks


def indicator(membership: csr_matrix) -> csr_matrix:
    """The membership with 1 for every stored entry, whatever its score (`n_sets, n_sentences`).

    A stored score of 0 is a member too, and a sentence stored twice in a set is one member.
    """
    sets = membership.astype(np.float64)
    sets.sum_duplicates()
    sets.data[:] = 1.0
    return sets


def set_sizes(membership: csr_matrix) -> IntArray:
    """Number of sentences of each set (`n_sets`)."""
    return np.diff(indicator(membership).indptr).astype(np.int64)


def rarer_sizes(membership: csr_matrix) -> IntArray:
    """Number of members or of others of each set, whichever are fewer (`n_sets`)."""
    members = set_sizes(membership)
    return np.minimum(members, membership.shape[1] - members)


def auroc_from_ranks(ranks: DoubleArray, membership: csr_matrix) -> DoubleArray:
    """AUROC of each unit for each sentence set (`n_sets, n_units`), from `average_ranks`.

    AUROC = (R - n1 (n1 + 1) / 2) / (n1 n0) with R the rank sum of the n1 members (Mann-Whitney).
    Every stored entry of `membership` is a member, see `indicator`. A set without members or
    without non-members has no AUROC and gets NaN.

    Raises:
        ValueError: the membership covers another number of sentences than the ranks.
    """
    n_sentences = ranks.shape[0]
    if membership.shape[1] != n_sentences:
        raise ValueError(
            f"membership covers {membership.shape[1]} sentences, ranks cover {n_sentences}"
        )
    sets = indicator(membership)
    members = set_sizes(sets).astype(np.float64).reshape(-1, 1)
    others = n_sentences - members
    wins = np.asarray(sets @ ranks, dtype=np.float64) - members * (members + 1.0) / 2.0
    pairs = np.where(members * others > 0.0, members * others, np.nan)
    return np.asarray(wins / pairs, dtype=np.float64)


def auroc(activations: NDArray[np.floating], membership: csr_matrix) -> DoubleArray:
    """AUROC of each unit for each sentence set (`n_sets, n_units`); see `auroc_from_ranks`."""
    return auroc_from_ranks(average_ranks(activations), membership)


def members_of(sets: csr_matrix, number: int) -> IntArray:
    """Columns of the stored entries of one set (`n_members`)."""
    return np.asarray(sets.indices[sets.indptr[number] : sets.indptr[number + 1]], dtype=np.int64)
