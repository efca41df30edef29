"""Which neurons, sentences and controls take part in the causal protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eval.label_recovery import Population
from indexer.arrays import BoolArray, FloatArray, IntArray
from neurons.records import Explanation, NeuronId, Site, Tail

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True, order=True)
class DescribedTail:
    """A tail of a neuron and its first descriptor, as a position in the catalog."""

    neuron: NeuronId
    tail: Tail
    descriptor: int


def described_tails(
    explanations: Mapping[tuple[NeuronId, Tail], Explanation],
    descriptor_ids: Sequence[str],
    site: Site,
) -> list[DescribedTail]:
    """The tails at a site that have a descriptor, in the order of the explanations.

    Raises:
        ValueError: an explanation names a descriptor that is not in the catalog.
    """
    place = {identifier: number for number, identifier in enumerate(descriptor_ids)}
    found = []
    for (neuron, tail), explanation in explanations.items():
        if neuron.site is not site or not explanation.matches:
            continue
        first = explanation.matches[0].descriptor_id
        if first not in place:
            raise ValueError(f"{first} is not in the catalog")
        found.append(DescribedTail(neuron, tail, place[first]))
    return found


def spread_over_layers(
    described: Sequence[DescribedTail], n_wanted: int, generator: np.random.Generator
) -> list[DescribedTail]:
    """Draw tails, from every layer as many as from any other while it has some, in order."""
    layers: dict[int, list[DescribedTail]] = {}
    for position in generator.permutation(len(described)):
        each = described[position]
        layers.setdefault(each.neuron.layer, []).append(each)
    drawn: list[DescribedTail] = []
    turn = 0
    while len(drawn) < min(n_wanted, len(described)):
        standing = [layers[layer][turn] for layer in sorted(layers) if turn < len(layers[layer])]
        drawn += standing[: n_wanted - len(drawn)]
        turn += 1
    return sorted(drawn)


def namesakes(
    explanations: Mapping[tuple[NeuronId, Tail], Explanation],
) -> dict[str, set[NeuronId]]:
    """For each descriptor, by its id, the neurons that have it among the matches of a tail."""
    found: dict[str, set[NeuronId]] = {}
    for (neuron, _), explanation in explanations.items():
        for match in explanation.matches:
            found.setdefault(match.descriptor_id, set()).add(neuron)
    return found


def matched_units(comparable: BoolArray, n_wanted: int, generator: np.random.Generator) -> IntArray:
    """Draw some of the units of a layer site that a neuron can be compared with, in order.

    Raises:
        ValueError: there are fewer.
    """
    left = np.flatnonzero(comparable)
    if len(left) < n_wanted:
        raise ValueError(f"{len(left)} units are left to compare with, expected {n_wanted}")
    return np.sort(generator.choice(left, size=n_wanted, replace=False))


def random_directions(n_wanted: int, dimension: int, generator: np.random.Generator) -> FloatArray:
    """Vectors of length 1, uniform over the sphere (`n_wanted, dimension`)."""
    drawn = generator.standard_normal((n_wanted, dimension))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class SplitMembers:
    """Rows that a descriptor holds for, and the others."""

    members: IntArray
    others: IntArray

    @classmethod
    def of(cls, membership: csr_matrix, descriptor: int, rows: IntArray) -> SplitMembers:
        """Of one descriptor, among `rows` and in their order."""
        holds = np.zeros(membership.shape[1], dtype=np.bool_)
        holds[membership[[descriptor]].indices] = True
        return cls(rows[holds[rows]], rows[~holds[rows]])


def populations(drawn: Sequence[DescribedTail], site: Site) -> list[Population]:
    """All neurons together, each layer, each tail."""
    everyone = np.arange(len(drawn))
    layers = np.asarray([each.neuron.layer for each in drawn])
    tails = np.asarray([each.tail.value for each in drawn])
    where = f"site={site.value}"
    return [
        Population(where, everyone),
        *(
            Population(f"layer={layer} {where}", np.flatnonzero(layers == layer))
            for layer in np.unique(layers).tolist()
        ),
        *(
            Population(f"tail={tail.value} {where}", np.flatnonzero(tails == tail.value))
            for tail in Tail
        ),
    ]
