"""How closely neurons follow the descriptors they would be matched with, on held-out sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import BoolArray, DoubleArray, IntArray
from neurons.auroc import auroc_from_ranks, average_ranks, indicator, rarer_sizes, set_sizes
from neurons.match_block import handicapped, lower_bound
from neurons.split_rows import Activations, Block, sampled_units

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from neurons.matching import MatchingSettings

N_UNITS = 1_500
_RANKED_AT_A_TIME = 256


@dataclass(frozen=True, eq=False)
class SampledNeurons:
    """Some neurons on the sentences of two splits.

    Attributes:
        discover: rows on which descriptors are chosen.
        validation: rows on which they are judged.
        values: activations as stored, the rows of discover first (`n_rows, n_units`).
    """

    discover: IntArray
    validation: IntArray
    values: Block

    @classmethod
    def of(
        cls, activations: Activations, discover: IntArray, validation: IntArray, seed: int
    ) -> SampledNeurons:
        """A seeded sample of `N_UNITS` neurons, or all where there are no more."""
        rows = np.concatenate([discover, validation])
        return cls(discover, validation, sampled_units(activations, N_UNITS, seed, rows))


def mean_first_correlation(
    neurons: SampledNeurons,
    membership: csr_matrix,
    handicaps: DoubleArray,
    settings: MatchingSettings,
) -> float:
    """Mean Spearman correlation of the tails of neurons with their first descriptor, on validation.

    The first descriptor of a tail is chosen on discover, by the statistic of matching. An AUROC
    alone would favour many small descriptors, of which one always fits; the correlation also grows
    with the share of the sentences that is told apart. 0 where no descriptor can be judged, and for
    a neuron that is constant on a split.

    Args:
        neurons: what is to be followed.
        membership: every stored entry is a member (`n_descriptors, n_sentences`).
        handicaps: AUROC by which each comes after others (`n_descriptors`).
        settings: standard errors, and how many members can be judged.
    """
    usable = _enough(membership[:, neurons.discover], settings.minimum_discover)
    usable &= _enough(membership[:, neurons.validation], settings.minimum_held_out)
    if not usable.any():
        return 0.0
    chosen = membership[usable]
    sets = indicator(chosen[:, neurons.discover]), indicator(chosen[:, neurons.validation])
    n_discover = len(neurons.discover)
    found = []
    for first in range(0, neurons.values.shape[1], _RANKED_AT_A_TIME):
        values = neurons.values[:, first : first + _RANKED_AT_A_TIME]
        splits = values[:n_discover], values[n_discover:]
        found.append(_first_correlations(splits, sets, handicaps[usable], settings))
    return float(np.concatenate(found).mean())


def _enough(sets: csr_matrix, minimum: int) -> BoolArray:
    return np.asarray(rarer_sizes(sets) >= minimum)


def _first_correlations(
    units: tuple[Block, Block],
    sets: tuple[csr_matrix, csr_matrix],
    handicaps: DoubleArray,
    settings: MatchingSettings,
) -> DoubleArray:
    """Of both tails of some units, from their values on both splits (`2 * n_units`)."""
    ranks = [average_ranks(values) for values in units]
    area = auroc_from_ranks(ranks[0], sets[0])
    correlation = _spearman(ranks[1], sets[1])
    n_rarer = rarer_sizes(sets[0])
    found = []
    for tail_area, sign in ((area, 1.0), (1.0 - area, -1.0)):
        statistic = handicapped(lower_bound(tail_area, n_rarer, settings), handicaps)
        first = statistic.argmax(axis=0)
        found.append(sign * correlation[first, np.arange(len(first))])
    return np.concatenate(found)


def _spearman(ranks: DoubleArray, sets: csr_matrix) -> DoubleArray:
    """Correlation of ranks (`n_rows, n_units`) with membership (`n_sets, n_units`)."""
    n_rows = len(ranks)
    share = set_sizes(sets) / n_rows
    spread = ranks.std(axis=0)
    # The means of members and others lie n_rows * (AUROC - 1/2) apart.
    apart = n_rows * (auroc_from_ranks(ranks, sets) - 0.5)
    scale = np.sqrt(share * (1.0 - share))[:, np.newaxis]
    found = np.divide(apart * scale, spread, out=np.zeros_like(apart), where=spread > 0.0)
    return np.asarray(found, dtype=np.float64)
