"""The neurons of a descriptor, and what they tell together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import BoolArray, DoubleArray
from neurons.auroc import auroc
from neurons.matching import TAILS
from neurons.neuron_groups import SignedNeuron
from neurons.records import Tail
from neurons.row_checks import check_rows
from neurons.split_rows import Activations, Block, SplitRows, wanted_columns

if TYPE_CHECKING:
    from neurons.matching import Matches


@dataclass(frozen=True)
class DescriptorNeurons:
    """The neurons of a descriptor and what they tell together, AUROC on test.

    Attributes:
        members: highest AUROC on discover and validation first.
        n_combined: how many of the first members are combined.
        combined_auroc: of the signed mean of their activations, standardised on discover.
        single_auroc: of the first member alone.
    """

    members: tuple[SignedNeuron, ...]
    n_combined: int
    combined_auroc: float
    single_auroc: float


def carriers(matches: Matches, descriptor: int) -> tuple[SignedNeuron, ...]:
    """The neurons that a descriptor is a match of, sign -1 for the negative tail, by neuron."""
    own = matches.descriptor == descriptor
    signs = np.where(matches.tail[own] == TAILS.index(Tail.POSITIVE), 1, -1)
    return tuple(sorted(map(SignedNeuron, matches.neuron[own].tolist(), signs.tolist())))


def descriptor_neurons(
    activations: Activations,
    carrying: tuple[SignedNeuron, ...],
    holds: BoolArray,
    rows: SplitRows,
    n_combined: int = 10,
) -> DescriptorNeurons:
    """Order the neurons that carry a descriptor and measure what the first of them tell together.

    Order comes from discover and validation, scale from discover; test is only told.

    Args:
        activations: all neurons.
        carrying: such as `carriers` gives; order does not matter.
        holds: the sentences the descriptor holds for (`n_sentences`).
        rows: rows of each split.
        n_combined: how many neurons to combine, or all if there are fewer.

    Raises:
        ValueError: no neuron, one named twice, unknown or with another sign; nothing to combine;
            rows that repeat or do not exist; or a descriptor that does not tell sentences apart in
            and outside of test.
    """
    _check_carrying(activations, carrying, holds, n_combined)
    for split in ("discover", "validation", "test"):
        check_rows(split, getattr(rows, split), activations.n_sentences)
    fitted, read = (np.concatenate([rows.discover, own]) for own in (rows.validation, rows.test))
    signs, area = np.zeros(activations.n_neurons), np.zeros(activations.n_neurons)
    signs[[own.neuron for own in carrying]] = [own.sign for own in carrying]
    for neurons, values in wanted_columns(activations, fitted, signs != 0.0):
        # In the precision of the store: float16 is ranked several times as fast.
        directed = signs[neurons].astype(values.dtype) * values
        area[neurons] = _auroc(directed, holds[fitted], "discover and validation")
    ordered = tuple(sorted(carrying, key=lambda own: (-area[own.neuron], own.neuron)))
    n_combined = min(n_combined, len(ordered))
    signs[[own.neuron for own in ordered[n_combined:]]] = 0.0
    taken = list(wanted_columns(activations, read, signs != 0.0))
    combined = np.concatenate([neurons for neurons, _ in taken])
    values = signs[combined] * np.concatenate(
        [values.astype(np.float64) for _, values in taken], axis=1
    )
    # Less its first value a constant is exactly 0; other shifts change no AUROC.
    discover, test = np.split(values - values[:1], [len(rows.discover)])
    spread = discover.std(axis=0)
    # A neuron that discover never moved has no scale on which to join the others.
    spread[spread == 0.0] = np.inf
    mean = (test / spread).mean(axis=1)
    single = test[:, combined == ordered[0].neuron]
    areas = _auroc(np.column_stack([mean, single]), holds[rows.test], "test")
    return DescriptorNeurons(ordered, n_combined, *areas.tolist())


def _check_carrying(
    activations: Activations, carrying: tuple[SignedNeuron, ...], holds: BoolArray, n_combined: int
) -> None:
    n_neurons, n_sentences = activations.n_neurons, activations.n_sentences
    if not carrying or n_combined < 1:
        raise ValueError(
            f"found {len(carrying)} neurons of which to combine {n_combined}, expected 1 or more"
        )
    if holds.shape != (n_sentences,):
        raise ValueError(f"found sentences of shape {holds.shape}, expected ({n_sentences},)")
    counts = Counter(neuron for neuron, _ in carrying)
    for neuron, sign in carrying:
        if counts[neuron] > 1 or not 0 <= neuron < n_neurons or sign not in (-1, 1):
            raise ValueError(
                f"found neuron {neuron} {counts[neuron]} times and with sign {sign}, expected "
                f"each once, from 0 to {n_neurons - 1}, with sign 1 or -1"
            )


def _auroc(values: Block, holds: BoolArray, split: str) -> DoubleArray:
    """AUROC of each column (`n_units`)."""
    from scipy.sparse import csr_matrix

    n_members = int(np.count_nonzero(holds))
    if not 0 < n_members < len(holds):
        raise ValueError(
            f"the descriptor holds for {n_members} of {len(holds)} {split} sentences, expected "
            "some and not all"
        )
    return np.asarray(auroc(values, csr_matrix(holds.astype(np.float64)[np.newaxis]))[0])
