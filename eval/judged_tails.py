"""Which tails of neurons are judged, by which descriptions, and what these are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from indexer.arrays import IntArray

FEWEST_NEURONS = 10
"""Described neurons of one tail and site that a figure averages over at least."""

_NEAREST_IN_SIZE = 10
_BETWEEN = "; "


@dataclass(frozen=True)
class Descriptions:
    """What is said of one tail of a neuron, and what it is compared with.

    `swapped` are descriptions of other neurons that share no descriptor with it, the null. `random`
    is made of random descriptors, as many and of about the same sizes: the baseline.
    """

    own: str
    swapped: tuple[str, ...]
    random: str


def spread_over_layers(layers: IntArray, n_wanted: int, generator: np.random.Generator) -> IntArray:
    """Positions of neurons, as many of each layer as far as there are so many, ascending.

    Args:
        layers: the layer of each neuron to draw from (`n_neurons`).
        n_wanted: how many to draw at most.
        generator: draws.
    """
    shuffled = generator.permutation(len(layers))
    # The first of every layer, then the second of every layer, and so on.
    turn = np.zeros(len(layers), dtype=np.int64)
    for layer in np.unique(layers):
        own = np.flatnonzero(layers[shuffled] == layer)
        turn[own] = np.arange(len(own))
    return np.sort(shuffled[np.argsort(turn, kind="stable")][:n_wanted])


def describe(
    ranked: Sequence[tuple[int, ...]],
    texts: Sequence[str],
    sizes: IntArray,
    n_swaps: int,
    generator: np.random.Generator,
) -> list[Descriptions | None]:
    """The descriptions of each tail; None where all other tails share a descriptor with it.

    Args:
        ranked: ranked descriptors of each tail, as positions in the catalog.
        texts: phrase of each descriptor.
        sizes: discover sentences of each descriptor (`n_descriptors`).
        n_swaps: how many swapped descriptions a tail is to have; where fewer tails differ from it,
            they repeat.
        generator: draws.
    """
    found: list[Descriptions | None] = []
    for own in ranked:
        others = [other for other in ranked if not set(other) & set(own)]
        if not others:
            found.append(None)
            continue
        repeated = n_swaps > len(others)
        drawn = generator.choice(len(others), n_swaps, replace=repeated)
        found.append(
            Descriptions(
                own=_joined(own, texts),
                swapped=tuple(_joined(others[place], texts) for place in drawn),
                random=_joined(random_descriptors(own, sizes, generator), texts),
            )
        )
    return found


def random_descriptors(
    own: Sequence[int], sizes: IntArray, generator: np.random.Generator
) -> tuple[int, ...]:
    """For each descriptor another one out of the ten of the nearest size, all different.

    Shorter where the catalog has too few others.

    Args:
        own: positions in the catalog.
        sizes: discover sentences of each descriptor (`n_descriptors`).
        generator: draws.
    """
    free = np.ones(len(sizes), dtype=np.bool_)
    free[list(own)] = False
    drawn: list[int] = []
    for position in own:
        others = np.flatnonzero(free)
        if not len(others):
            break
        distance = np.abs(np.log1p(sizes[others]) - np.log1p(sizes[position]))
        nearest = others[np.argsort(distance, kind="stable")[:_NEAREST_IN_SIZE]]
        chosen = int(generator.choice(nearest))
        free[chosen] = False
        drawn.append(chosen)
    return tuple(drawn)


def _joined(descriptors: Sequence[int], texts: Sequence[str]) -> str:
    return _BETWEEN.join(texts[position] for position in descriptors)
