"""Choosing a neuron's descriptors in order of a statistic, none repeating another's sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from neurons.auroc import indicator

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

UNUSED = np.iinfo(np.int64).max
"""Fills the places of a row of choices beyond its length; no array can be indexed with it."""


def overlap(membership: csr_matrix) -> FloatArray:
    """Overlap coefficient |A and B| / min(|A|, |B|) of every two sets (`n_sets, n_sets`)."""
    sets = indicator(membership).astype(np.float32)
    common = np.asarray((sets @ sets.T).todense(), dtype=np.float32)
    sizes = np.diag(common)
    smaller = np.minimum(sizes[:, np.newaxis], sizes[np.newaxis, :])
    return np.asarray(common / np.maximum(smaller, 1.0), dtype=np.float32)


def best_first(statistic: DoubleArray, limit: int) -> IntArray:
    """The sets of highest statistic of each unit (`n_units, limit`), ties in set order."""
    limit = min(limit, len(statistic))
    order = np.argsort(-statistic, axis=0, kind="stable")[:limit]
    return np.ascontiguousarray(order.T).astype(np.int64)


def first_distinct(
    ordered: IntArray, allowed: BoolArray, overlaps: FloatArray, maximum: float, limit: int
) -> tuple[IntArray, IntArray]:
    """Take sets in order, skipping those that overlap one already taken.

    Args:
        ordered: set of each place, best first (`n_units, n_places`).
        allowed: places that may be taken at all (`n_units, n_places`).
        overlaps: see `overlap` (`n_sets, n_sets`).
        maximum: sets that overlap a taken one this much or more are skipped.
        limit: how many to take per unit.

    Returns:
        The places taken (`n_units, limit`, `UNUSED` beyond the length) and how many (`n_units`).
    """
    n_units, n_places = ordered.shape
    places = np.full((n_units, limit), UNUSED, dtype=np.int64)
    taken_sets = np.zeros((n_units, limit), dtype=np.int64)
    lengths = np.zeros(n_units, dtype=np.int64)
    for place in range(n_places):
        candidate = ordered[:, place]
        free = allowed[:, place] & (lengths < limit)
        for slot in range(limit):
            filled = slot < lengths
            free &= ~(filled & (overlaps[candidate, taken_sets[:, slot]] >= maximum))
        units = np.flatnonzero(free)
        places[units, lengths[units]] = place
        taken_sets[units, lengths[units]] = candidate[units]
        lengths[units] += 1
    return places, lengths
