"""Descriptors that do not look at the neuron: random ones of like size, and those of others."""

from __future__ import annotations

import numpy as np

from eval.metrics import Ranking
from indexer.arrays import BoolArray, IntArray

_STREAM = 11


def size_matched(
    ranking: Ranking,
    sizes: IntArray,
    *,
    nearest: int = 10,
    allowed: BoolArray | None = None,
    seed: int,
) -> Ranking:
    """For each descriptor of a neuron a random one of like size, none of them the neuron's own.

    The draw is among the `nearest` in size of those that are left, in catalog order among equals.
    A neuron gets fewer where the catalog has no more.

    Args:
        ranking: the neurons' own descriptors.
        sizes: members of each descriptor (`n_descriptors`).
        nearest: from how many like-sized descriptors each is drawn.
        allowed: which descriptors may be drawn (`n_descriptors`); all if None.
        seed: of the draws.

    Raises:
        ValueError: sizes do not cover the ranking's descriptors, or `nearest` is below 1.
    """
    if ranking.n_descriptors_needed > sizes.size or nearest < 1:
        raise ValueError(
            f"found {sizes.size} sizes and nearest {nearest}, expected "
            f"{ranking.n_descriptors_needed} sizes or more and nearest of 1 or more"
        )
    candidates = np.arange(sizes.size) if allowed is None else np.flatnonzero(allowed)
    n_ranks = ranking.descriptors.shape[1]
    generator = np.random.default_rng([seed, _STREAM])
    closest: dict[int, list[int]] = {}
    drawn = np.zeros_like(ranking.descriptors)
    lengths = np.zeros_like(ranking.lengths)
    for neuron, length in enumerate(ranking.lengths.tolist()):
        taken = ranking.descriptors[neuron, :length].tolist()
        for descriptor in taken[:length]:
            if descriptor not in closest:
                order = np.argsort(np.abs(sizes[candidates] - sizes[descriptor]), kind="stable")
                closest[descriptor] = candidates[order[: nearest + 2 * n_ranks]].tolist()
            free = [each for each in closest[descriptor] if each not in taken][:nearest]
            if free:
                chosen = free[int(generator.integers(len(free)))]
                taken.append(chosen)
                drawn[neuron, lengths[neuron]] = chosen
                lengths[neuron] += 1
    return Ranking(drawn, lengths)


def dealt_to_others(ranking: Ranking, *, seed: int) -> Ranking:
    """Each neuron gets the descriptors of another neuron that has as many.

    How often each descriptor is given stays the same. A neuron that is alone in its number of
    descriptors gets none.

    Args:
        ranking: the neurons' own descriptors.
        seed: of the dealing.
    """
    generator = np.random.default_rng([seed, _STREAM])
    source = np.arange(ranking.n_neurons)
    lengths = ranking.lengths.copy()
    for length in np.unique(ranking.lengths):
        own = np.flatnonzero(ranking.lengths == length)
        if own.size == 1:
            lengths[own] = 0
            continue
        shuffled = generator.permutation(own)
        source[shuffled] = np.roll(shuffled, 1)
    return Ranking(ranking.descriptors[source], lengths)
