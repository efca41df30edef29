"""What matching asks of the ranks of a block of neurons, and numpy's answer.

Ranks are multiples of one half, and so are their sums, which float64 holds exactly up to 2^52.
Every figure here is an exact sum, or numpy's quotient of one, so that all arithmetics agree to the
last bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import DoubleArray, IntArray
from neurons.auroc import auroc_from_ranks, average_ranks, indicator

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Ranks = Any
"""Ranks (`n_sentences, n_units`) as an arithmetic made them, for no other to read; has a length."""


class RankArithmetic(Protocol):
    """Ranks of the neurons of a block among the sentences of a split, and what follows from them.

    Ranks may be kept on another device; what leaves it has no side as long as the sentences.
    """

    def average_ranks(self, activations: NDArray[np.floating]) -> Ranks:
        """See `neurons.auroc.average_ranks`; activations are finite (`n_sentences, n_units`)."""

    def reordered(self, ranks: Ranks, order: IntArray) -> Ranks:
        """Ranks of the sentences in another order (`n_sentences, n_units`)."""

    def auroc(self, ranks: Ranks, membership: csr_matrix) -> DoubleArray:
        """See `neurons.auroc.auroc_from_ranks` (`n_sets, n_units`)."""

    def variances(self, ranks: Ranks) -> DoubleArray:
        """Population variance of each unit's ranks (`n_units`), 0 without sentences.

        It is exact up to 300,000 sentences; beyond that its last digits depend on the arithmetic.
        """

    def exemplar_hits(
        self, ranks: Ranks, membership: csr_matrix, n_exemplars: int, highest: bool
    ) -> tuple[DoubleArray, DoubleArray]:
        """Members among the exemplars (`n_sets, n_units`), and how many exemplars (`n_units`).

        Exemplars are the sentences of highest or lowest rank; ties at the edge are left out.
        """

    def picked(self, ranks: Ranks, sentences: IntArray, units: IntArray) -> DoubleArray:
        """Ranks of some sentences for one unit each (`n_picked, n_sentences`).

        Args:
            ranks: where to look them up.
            sentences: rows of ranks (`n_picked, n_sentences`).
            units: columns of ranks (`n_picked`).
        """


class NumpyRanks:
    """The arithmetic of arrays in memory."""

    def average_ranks(self, activations: NDArray[np.floating]) -> DoubleArray:
        """See `RankArithmetic`."""
        return average_ranks(activations)

    def reordered(self, ranks: DoubleArray, order: IntArray) -> DoubleArray:
        """See `RankArithmetic`."""
        return ranks[order]

    def auroc(self, ranks: DoubleArray, membership: csr_matrix) -> DoubleArray:
        """See `RankArithmetic`."""
        return auroc_from_ranks(ranks, membership)

    def variances(self, ranks: DoubleArray) -> DoubleArray:
        """See `RankArithmetic`."""
        centred = ranks - (len(ranks) + 1) / 2.0
        return np.asarray(np.einsum("ij,ij->j", centred, centred) / max(len(ranks), 1))

    def exemplar_hits(
        self, ranks: DoubleArray, membership: csr_matrix, n_exemplars: int, highest: bool
    ) -> tuple[DoubleArray, DoubleArray]:
        """See `RankArithmetic`."""
        extreme = ranks > len(ranks) - n_exemplars if highest else ranks < n_exemplars + 1
        exemplars = extreme.astype(np.float32)
        hits = np.asarray(indicator(membership).astype(np.float32) @ exemplars, dtype=np.float64)
        return hits, exemplars.sum(axis=0, dtype=np.float64)

    def picked(self, ranks: DoubleArray, sentences: IntArray, units: IntArray) -> DoubleArray:
        """See `RankArithmetic`."""
        return ranks[sentences, units.reshape(-1, 1)]


NUMPY_RANKS = NumpyRanks()
