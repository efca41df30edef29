"""The ranked descriptors of every neuron, as matches or written explanations hold them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.metrics import Ranking
from indexer.arrays import IntArray
from neurons.matching import TAILS, Matches
from neurons.records import Explanation

N_RANKS = 5


def rankings_of(matches: Matches, n_ranks: int = N_RANKS) -> tuple[Ranking, Ranking]:
    """The ranked descriptors of every neuron for each of `TAILS`; abstentions have length 0."""
    return (_ranking(matches, 0, n_ranks), _ranking(matches, 1, n_ranks))


def _ranking(matches: Matches, tail: int, n_ranks: int) -> Ranking:
    n_neurons = len(matches.constant)
    own = np.flatnonzero((matches.tail == tail) & (matches.rank <= n_ranks))
    lengths = np.bincount(matches.neuron[own], minlength=n_neurons)
    descriptors = np.zeros((n_neurons, n_ranks), dtype=np.int64)
    descriptors[matches.neuron[own], matches.rank[own] - 1] = matches.descriptor[own]
    return Ranking(descriptors, lengths.astype(np.int64))


def commonest_descriptors(sizes: IntArray, k: int, n_neurons: int) -> Ranking:
    """The k descriptors of most members for every neuron, the first in order among equals."""
    first = np.argsort(-sizes, kind="stable")[:k]
    return Ranking(np.broadcast_to(first, (n_neurons, first.size)), np.full(n_neurons, first.size))


def explained_rankings(
    explanations: Sequence[Explanation], descriptor_ids: Sequence[str], n_ranks: int = N_RANKS
) -> tuple[Ranking, Ranking]:
    """The rankings that explanations hold, neurons in their order, for each of `TAILS`.

    Raises:
        ValueError: an explanation names a descriptor that is not in the catalog.
    """
    place = {identifier: number for number, identifier in enumerate(descriptor_ids)}
    rankings = []
    for tail in TAILS:
        own = [explanation for explanation in explanations if explanation.tail is tail]
        descriptors = np.zeros((len(own), n_ranks), dtype=np.int64)
        lengths = np.zeros(len(own), dtype=np.int64)
        for neuron, explanation in enumerate(own):
            shown = explanation.matches[:n_ranks]
            lengths[neuron] = len(shown)
            for rank, found in enumerate(shown):
                if found.descriptor_id not in place:
                    raise ValueError(f"{found.descriptor_id} is not in the catalog")
                descriptors[neuron, rank] = place[found.descriptor_id]
        rankings.append(Ranking(descriptors, lengths))
    return (rankings[0], rankings[1])
