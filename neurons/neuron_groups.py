"""Groups of neurons whose activations rise and fall together.

Correlation groups follow Dalvi et al. 2020, "Analyzing Redundancy in Pretrained Transformer
Models", without their matrix of all pairs. Standardised discover activations are shortened to a
count sketch (Charikar, Chen and Farach-Colton 2002), which keeps inner products; sketches are
compared block by block; linked neurons are split around centres, and the groups are confirmed on
every discover sentence. Memory grows with neurons times `_SKETCH_WIDTH`, never with their square.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from indexer.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from neurons.row_checks import check_rows
from neurons.split_rows import Activations, SplitRows, Watch, unwatched, wanted_columns

_SKETCH_WIDTH = 1_024
_BLOCK_NEURONS = 1_024
_CENTRE_BYTES = 1 << 28
_MOST_TURNS = 100
_FEWEST_ROWS = 3
_SKETCH_STREAM, _SHUFFLE_STREAM = 11, 12


class SignedNeuron(NamedTuple):
    """A neuron, counted over all blocks, and the sign (1 or -1) that aligns it with its group."""

    neuron: int
    sign: int


@dataclass(frozen=True)
class NeuronGroup:
    """Neurons that correlate with the signed mean of their standardised activations.

    Attributes:
        members: by neuron; the first has sign 1.
        coherence: mean absolute correlation of the members with their centre on validation.
        null_coherence: the same when each member's sentences are shuffled on their own. It is near
            1 / sqrt(n_members), for every member is a part of its centre.
    """

    members: tuple[SignedNeuron, ...]
    coherence: float
    null_coherence: float


def correlation_groups(
    activations: Activations,
    rows: SplitRows,
    threshold: float = 0.7,
    minimum_size: int = 2,
    seed: int = 0,
    watch: Watch = unwatched,
) -> tuple[NeuronGroup, ...]:
    """Disjoint groups of correlated neurons, largest first; test sentences are not read.

    Both tails count: a neuron that falls when the others rise belongs to them with sign -1.

    Args:
        activations: all neurons, read several times.
        rows: groups are formed on discover and verified on validation.
        threshold: least correlation of neurons that are linked, and of each member with its centre
            on discover; in (0, 1).
        minimum_size: fewest members of a group.
        seed: of the sketch (used with more than `_SKETCH_WIDTH` discover rows) and of the null.
        watch: wraps the comparison of all neurons, for a progress bar.

    Raises:
        ValueError: a threshold or size out of range, rows that are too few, repeat or do not exist,
            or activations that are not finite.
    """
    if not 0.0 < threshold < 1.0 or minimum_size < 2:
        raise ValueError(
            f"found threshold {threshold} and minimum size {minimum_size}, expected a threshold "
            "between 0 and 1 and a size of 2 or more"
        )
    if min(len(rows.discover), len(rows.validation)) < _FEWEST_ROWS:
        raise ValueError(
            f"found {len(rows.discover)} discover and {len(rows.validation)} validation rows, "
            f"expected {_FEWEST_ROWS} or more of each: correlations need them"
        )
    check_rows("discover", rows.discover, activations.n_sentences)
    check_rows("validation", rows.validation, activations.n_sentences)
    sketch = _sketch(activations, rows.discover, seed)
    labels = _split(sketch, *_linked(sketch, threshold, watch), threshold)
    labels = _confirmed(activations, rows.discover, labels, threshold, minimum_size)
    held_out = np.abs(_centre_correlations(activations, rows.validation, labels))
    null = np.abs(_centre_correlations(activations, rows.validation, labels, seed))
    groups = []
    for members in _gathered(np.abs(labels)):
        if labels[members[0]]:
            signs = np.sign(labels[members] * labels[members[0]])
            pairs = map(SignedNeuron, members.tolist(), signs.tolist())
            means = float(held_out[members].mean()), float(null[members].mean())
            groups.append(NeuronGroup(tuple(pairs), *means))
    return tuple(sorted(groups, key=lambda group: (-len(group.members), group.members)))


def _unit_columns(
    activations: Activations, rows: IntArray, wanted: BoolArray, shuffle_seed: int | None = None
) -> Iterator[tuple[IntArray, DoubleArray]]:
    """Like `wanted_columns`, centred and of length 1; a constant neuron's column is 0.

    With a seed each column comes in an order of its own, which depends on seed and neuron only.
    """
    for neurons, stored in wanted_columns(activations, rows, wanted):
        values = stored.astype(np.float64)
        broken = neurons[~np.isfinite(values).all(axis=0)]
        if len(broken):
            raise ValueError(f"neuron {broken[0]} has activations that are no finite numbers")
        # Less its first value a constant is exactly 0; less its rounded mean it would be noise.
        centred = values - values[:1]
        centred -= centred.mean(axis=0)
        lengths = np.linalg.norm(centred, axis=0)
        unit = np.divide(centred, lengths, out=np.zeros_like(centred), where=lengths > 0)
        if shuffle_seed is not None:
            for column, neuron in zip(unit.T, neurons.tolist(), strict=True):
                np.random.default_rng([shuffle_seed, _SHUFFLE_STREAM, neuron]).shuffle(column)
        yield neurons, unit


def _sketch(activations: Activations, rows: IntArray, seed: int) -> FloatArray:
    """Vectors of length 1 whose products are near correlations (`width, n_neurons`).

    Each sentence is added, with a random sign, to one of `_SKETCH_WIDTH` sums. The error of a
    product r is about (1 - r^2) / sqrt(width). Fewer sentences are kept as they are.
    """
    from scipy.sparse import csr_matrix, identity

    n_rows, generator = len(rows), np.random.default_rng([seed, _SKETCH_STREAM])
    sums = csr_matrix(identity(n_rows))
    if n_rows > _SKETCH_WIDTH:
        places = generator.integers(_SKETCH_WIDTH, size=n_rows), np.arange(n_rows)
        signs = generator.choice([-1.0, 1.0], size=n_rows)
        sums = csr_matrix((signs, places), shape=(_SKETCH_WIDTH, n_rows))
    sketch = np.zeros((sums.shape[0], activations.n_neurons), dtype=np.float32)
    every = np.ones(activations.n_neurons, dtype=bool)
    for neurons, unit in _unit_columns(activations, rows, every):
        short = np.asarray(sums @ unit)
        lengths = np.linalg.norm(short, axis=0)
        sketch[:, neurons] = np.divide(short, lengths, out=np.zeros_like(short), where=lengths > 0)
    return sketch


def _linked(sketch: FloatArray, threshold: float, watch: Watch) -> tuple[IntArray, DoubleArray]:
    """Connected components of the neurons, and how strongly each is linked (`n_neurons`).

    Neurons are linked when their absolute product reaches the threshold. A neuron's strength is
    the sum of its links. Links are merged into components as they come and not kept.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n_neurons = sketch.shape[1]
    labels, strength = np.arange(n_neurons), np.zeros(n_neurons)
    firsts = range(0, n_neurons, _BLOCK_NEURONS)
    blocks = watch((sketch[:, at : at + _BLOCK_NEURONS] for at in firsts), n_neurons)
    for block, first in zip(blocks, firsts, strict=True):
        for other in range(0, first + 1, _BLOCK_NEURONS):
            links = np.abs(block.T @ sketch[:, other : other + _BLOCK_NEURONS])
            links[links < threshold] = 0.0
            strength[first : first + len(links)] += links.sum(axis=1)
            if other < first:
                strength[other : other + links.shape[1]] += links.sum(axis=0)
            here, there = np.nonzero(links)
            here, there = labels[first + here], labels[other + there]
            new = here != there
            if new.any():
                ends = (here[new], there[new])
                graph = coo_matrix((np.ones(len(ends[0])), ends), shape=(n_neurons, n_neurons))
                labels = connected_components(graph, directed=False)[1].astype(np.int64)[labels]
    return labels, strength


def _gathered(labels: IntArray) -> Iterator[IntArray]:
    """Ascending positions of each label that occurs twice or more."""
    order = np.argsort(labels, kind="stable")
    for positions in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        if len(positions) > 1:
            yield positions


def _split(
    sketch: FloatArray, components: IntArray, strength: DoubleArray, threshold: float
) -> IntArray:
    """Components split so that all members reach the threshold with their centre (`n_neurons`).

    A component may be a chain whose ends have nothing in common. Each group grows around the
    neuron most strongly linked among those that are left. The answer counts groups from 1,
    negative for members of sign -1, and is 0 for neurons without a group.
    """
    labels = np.zeros(len(components), dtype=np.int64)
    n_groups = 0
    for component in _gathered(components):
        own = component[np.argsort(-strength[component], kind="stable")]
        vectors, free = sketch[:, own], np.ones(len(own), dtype=bool)
        for leader in range(len(own)):
            while free[leader]:
                signs = _settled(vectors, leader, free, threshold)
                inside = np.flatnonzero(signs)
                if len(inside) < 2:
                    free[leader] = False
                    continue
                # The centre may have moved away from the leader, who then gets another turn.
                free[inside] = False
                n_groups += 1
                labels[own[inside]] = n_groups * signs[inside]
    return labels


def _settled(vectors: FloatArray, leader: int, free: BoolArray, threshold: float) -> FloatArray:
    """Signs of the group around a leader, 0 outside, once its centre no longer changes it.

    No turn lowers the sum of max(0, |similarity| - threshold), so turns end (generalised power
    method, Journée et al. 2010) and a leader that is linked to a free neuron finds a group.
    """
    centre, signs = vectors[:, leader], np.zeros(vectors.shape[1], dtype=np.float32)
    # Turns can only go on for ever by rounding; `_confirmed` mends a group cut short.
    for _ in range(_MOST_TURNS):
        # A matrix product of finite numbers was once flagged as invalid; `_confirmed` would drop
        # whatever such a product put into a group.
        with np.errstate(invalid="ignore"):
            similarity = centre @ vectors
        found = np.sign(similarity) * (free & (np.abs(similarity) >= threshold))
        if (found == signs).all():
            break
        signs, centre = found, vectors @ found
        centre /= max(float(np.linalg.norm(centre)), float(np.finfo(np.float32).tiny))
    return signs


def _confirmed(
    activations: Activations, rows: IntArray, labels: IntArray, threshold: float, minimum_size: int
) -> IntArray:
    """Labels without members that, on all rows, are below the threshold with their centre."""
    while True:
        aligned = np.sign(labels) * _centre_correlations(activations, rows, labels)
        kept = aligned >= threshold
        kept &= np.bincount(np.abs(labels[kept]), minlength=len(labels) + 1)[np.abs(labels)] >= (
            minimum_size
        )
        if (kept == (labels != 0)).all():
            return labels
        labels = np.where(kept, labels, 0)


def _centre_correlations(
    activations: Activations, rows: IntArray, labels: IntArray, shuffle_seed: int | None = None
) -> DoubleArray:
    """Correlation of each labelled neuron with the signed mean of its group (`n_neurons`).

    Activations are standardised on the rows, and shuffled neuron by neuron where there is a seed.
    It is 0 without a label, and for a neuron that is constant on the rows.
    """
    found, group = np.zeros(len(labels)), np.abs(labels)
    at_once = max(1, _CENTRE_BYTES // (8 * len(rows)))
    for first in range(1, int(group.max(initial=0)) + 1, at_once):
        wanted = (group >= first) & (group < first + at_once)
        centres = np.zeros((int(group[wanted].max(initial=first)) - first + 1, len(rows)))
        for neurons, unit in _unit_columns(activations, rows, wanted, shuffle_seed):
            np.add.at(centres, group[neurons] - first, (np.sign(labels[neurons]) * unit).T)
        lengths = np.maximum(np.linalg.norm(centres, axis=1), np.finfo(np.float64).tiny)
        for neurons, unit in _unit_columns(activations, rows, wanted, shuffle_seed):
            own = group[neurons] - first
            found[neurons] = np.einsum("ij,ji->j", unit, centres[own]) / lengths[own]
    return found
