"""Exact, tie-correct AUROC of many neurons against many sentence sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import DoubleArray, FloatArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def average_ranks(activations: FloatArray) -> DoubleArray:
    """Ranks from 1 down each column, ties sharing their mean rank (`n_sentences, n_units`)."""
    n_sentences, n_units = activations.shape
    ranks = np.empty((n_sentences, n_units), dtype=np.float64)
    for unit in range(n_units):
        column = activations[:, unit]
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        ends = np.r_[starts[1:], n_sentences]
        ranks[order, unit] = np.repeat((starts + ends + 1) / 2.0, ends - starts)
    return ranks


def auroc_from_ranks(ranks: DoubleArray, membership: csr_matrix) -> DoubleArray:
    """AUROC of each unit for each sentence set (`n_sets, n_units`), from `average_ranks`.

    AUROC = (R - n1 (n1 + 1) / 2) / (n1 n0) with R the rank sum of the n1 members (Mann-Whitney).
    A set without members or without non-members has no AUROC and gets NaN.

    Raises:
        ValueError: the membership covers another number of sentences than the ranks.
    """
    n_sentences = ranks.shape[0]
    if membership.shape[1] != n_sentences:
        raise ValueError(
            f"membership covers {membership.shape[1]} sentences, ranks cover {n_sentences}"
        )
    indicator = membership.astype(np.bool_).astype(np.float64)
    members = np.asarray(indicator.sum(axis=1), dtype=np.float64).reshape(-1, 1)
    others = n_sentences - members
    rank_sums = np.asarray(indicator @ ranks, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        values: DoubleArray = (rank_sums - members * (members + 1.0) / 2.0) / (members * others)
    values[((members == 0) | (others == 0)).ravel()] = np.nan
    return values


def auroc(activations: FloatArray, membership: csr_matrix) -> DoubleArray:
    """AUROC of each unit for each sentence set (`n_sets, n_units`); see `auroc_from_ranks`."""
    return auroc_from_ranks(average_ranks(activations), membership)
