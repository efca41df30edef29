"""How much two ranked lists of descriptors agree, neuron by neuron."""

from __future__ import annotations

import numpy as np

from eval.metrics import Ranking
from indexer.arrays import DoubleArray


def jaccard_at_k(one: Ranking, other: Ranking, k: int) -> DoubleArray:
    """Jaccard similarity of the first k descriptors on both sides, for each neuron (`n_neurons`).

    NaN where neither side has a descriptor, 0 where one has none.

    Raises:
        ValueError: different numbers of neurons, or k below 1.
    """
    _check(one, other, k)
    similarities = np.full(one.n_neurons, np.nan)
    for neuron in np.flatnonzero(one.described | other.described).tolist():
        first, second = set(_listed(one, neuron, k)), set(_listed(other, neuron, k))
        similarities[neuron] = len(first & second) / len(first | second)
    return similarities


def rank_biased_overlap(
    one: Ranking, other: Ranking, depth: int, persistence: float = 0.9
) -> DoubleArray:
    """Extrapolated rank-biased overlap of both sides, for each neuron (`n_neurons`).

    Webber, Moffat & Zobel 2010 ("A similarity measure for indefinite rankings"), equation 32, which
    takes lists of unequal length: 1 where the shorter is the beginning of the longer, and the
    higher a rank the more it counts. NaN where neither side has a descriptor, 0 where one has none.

    Args:
        one: descriptors of each neuron, none twice.
        other: the same found again.
        depth: how many descriptors of each side count.
        persistence: the weight of a rank relative to the one before it.

    Raises:
        ValueError: different numbers of neurons, depth below 1, or persistence outside (0, 1).
    """
    _check(one, other, depth)
    if not 0.0 < persistence < 1.0:
        raise ValueError(f"persistence is {persistence}, expected more than 0 and less than 1")
    overlaps = np.full(one.n_neurons, np.nan)
    for neuron in np.flatnonzero(one.described | other.described).tolist():
        first, second = _listed(one, neuron, depth), _listed(other, neuron, depth)
        overlaps[neuron] = _extrapolated(first, second, persistence)
    return overlaps


def _extrapolated(first: list[int], second: list[int], persistence: float) -> float:
    short, long = sorted((first, second), key=len)
    if not short:
        return 0.0
    shared = [len(set(long[:depth]) & set(short[:depth])) for depth in range(1, len(long) + 1)]
    at_short, at_end = shared[len(short) - 1], shared[-1]
    total = 0.0
    for depth, common in enumerate(shared, start=1):
        beyond = max(0, depth - len(short)) / len(short)
        total += (common + at_short * beyond) / depth * persistence**depth
    rest = (at_end - at_short) / len(long) + at_short / len(short)
    return total * (1.0 - persistence) / persistence + rest * persistence ** len(long)


def _listed(ranking: Ranking, neuron: int, limit: int) -> list[int]:
    length = min(int(ranking.lengths[neuron]), limit)
    found: list[int] = ranking.descriptors[neuron, :length].tolist()
    return found


def _check(one: Ranking, other: Ranking, k: int) -> None:
    if one.n_neurons != other.n_neurons or k < 1:
        raise ValueError(
            f"found rankings of {one.n_neurons} and {other.n_neurons} neurons at k = {k}, "
            "expected the same neurons and k of 1 or more"
        )
