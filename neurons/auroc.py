"""Exact, tie-correct AUROC of many neurons against many sentence sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import DoubleArray, IntArray
from neurons.row_checks import check_sentences

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_COUNTED_FROM = 4096


def average_ranks(activations: NDArray[np.floating]) -> DoubleArray:
    """Ranks from 1 down each column, ties sharing their mean rank (`n_sentences, n_units`).

    Many float16 activations are ranked by counting their values, others by sorting.
    """
    columns = np.ascontiguousarray(activations.T)
    if columns.dtype != np.float16:
        ranks = _sorted_ranks(columns)
    elif columns.shape[1] < _COUNTED_FROM:
        ranks = _sorted_ranks(half_keys(columns))
    else:
        ranks = _counted_ranks(half_keys(columns))
    return np.ascontiguousarray(ranks.T)


def half_keys(halves: NDArray[np.floating]) -> NDArray[np.int16]:
    """Whole numbers that order like float16 numbers, -0.0 like 0.0 (same shape)."""
    bits = halves.view(np.int16)
    negative = bits >> 15
    keys = bits & np.int16(0x7FFF)
    # Of a magnitude below 0, all bits flipped plus one is its negative.
    keys ^= negative
    keys -= negative
    return keys


def _counted_ranks(columns: NDArray[np.int16]) -> DoubleArray:
    """Mean ranks along each row of `columns` (`n_units, n_sentences`)."""
    ranks = np.empty(columns.shape, dtype=np.float64)
    for unit, (column, least) in enumerate(zip(columns, columns.min(axis=1), strict=True)):
        places = np.subtract(column, least, dtype=np.int64)
        counts = np.bincount(places)
        doubled = np.cumsum(counts)
        doubled += doubled
        doubled -= counts - 1
        ranks[unit] = doubled[places]
    ranks *= 0.5
    return ranks


def _sorted_ranks(columns: NDArray[Any]) -> DoubleArray:
    """Mean ranks along each row of `columns` (`n_units, n_sentences`)."""
    n_units, n_sentences = columns.shape
    order = np.argsort(columns, axis=1, kind="stable")
    order += np.arange(n_units).reshape(-1, 1) * n_sentences
    ordered = columns.ravel()[order]
    first = np.ones(columns.shape, dtype=bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=first[:, 1:])
    starts = np.flatnonzero(first)
    lengths = np.diff(starts, append=columns.size)
    ranks = np.empty(columns.size, dtype=np.float64)
    ranks[order.ravel()] = np.repeat(starts % n_sentences + (lengths + 1) / 2.0, lengths)
    return ranks.reshape(columns.shape)


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
    sets = membership if membership.has_canonical_format else indicator(membership)
    return np.diff(sets.indptr).astype(np.int64)


def rarer_sizes(membership: csr_matrix) -> IntArray:
    """Number of members or of others of each set, whichever are fewer (`n_sets`)."""
    members = set_sizes(membership)
    return np.minimum(members, membership.shape[1] - members)


def auroc_from_ranks(ranks: DoubleArray, membership: csr_matrix) -> DoubleArray:
    """AUROC of each unit for each sentence set (`n_sets, n_units`), from `average_ranks`.

    Every stored entry of `membership` is a member, see `indicator`. A set without members or
    without non-members has no AUROC and gets NaN.

    Raises:
        ValueError: the membership covers another number of sentences than the ranks.
    """
    check_sentences(membership, ranks=len(ranks))
    sums = np.asarray(indicator(membership) @ ranks, dtype=np.float64)
    return auroc_from_sums(sums, set_sizes(membership), len(ranks))


def auroc_from_sums(rank_sums: DoubleArray, n_members: IntArray, n_sentences: int) -> DoubleArray:
    """AUROC of each unit for each sentence set (`n_sets, n_units`), from its members' rank sums.

    AUROC = (R - n1 (n1 + 1) / 2) / (n1 n0) with R the rank sum of the n1 members (Mann-Whitney).
    """
    members = n_members.astype(np.float64).reshape(-1, 1)
    pairs = members * (n_sentences - members)
    wins = rank_sums - members * (members + 1.0) / 2.0
    return np.asarray(wins / np.where(pairs > 0.0, pairs, np.nan), dtype=np.float64)


def auroc(activations: NDArray[np.floating], membership: csr_matrix) -> DoubleArray:
    """AUROC of each unit for each sentence set (`n_sets, n_units`); see `auroc_from_ranks`."""
    return auroc_from_ranks(average_ranks(activations), membership)


def members_of(sets: csr_matrix, number: int) -> IntArray:
    """Columns of the stored entries of one set (`n_members`)."""
    return np.asarray(sets.indices[sets.indptr[number] : sets.indptr[number + 1]], dtype=np.int64)
