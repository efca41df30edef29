"""Units whose meaning is known, since it was put there: noise of real units and a planted signal.

The noise is a real unit with its sentences dealt to other documents, so that its distribution, with
all its skew and ties, stays and its meaning goes. The signal is added where *at least one* of the
unit's gold concepts holds. A sum over the concepts would be another model of a unit: activations
are pooled over tokens by their maximum, so what two concepts in one sentence do does not add up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from indexer.arrays import BoolArray, FloatArray, IntArray
from neurons.auroc import indicator, members_of
from neurons.null import permuted_rows
from neurons.pooling import HALF_PRECISION_LIMIT
from neurons.selection import overlap
from neurons.split_rows import Activations, Block, SplitRows, sampled_units

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_MAXIMUM_BYTES = 1 << 29
_SPARE = 1.25
_NOISE_STREAM = 101
_GOLD_STREAM = 102


@dataclass(frozen=True, eq=False)
class Noise:
    """Shuffled real units (`n_sentences, n_units`), of mean 0 and deviation 1 on discover."""

    columns: FloatArray

    @classmethod
    def of_real_units(
        cls, activations: Activations, rows: SplitRows, n_wanted: int, seed: int
    ) -> Self:
        """Units drawn from all, each shuffled by document within every split on its own.

        A few more are drawn than wanted, since some may not vary on discover. Fewer are returned if
        too few vary, or if that many do not fit half a gigabyte.

        Args:
            activations: the real units.
            rows: rows of each split.
            n_wanted: how many units to draw.
            seed: of the draw and the shuffles.
        """
        column_bytes = np.dtype(np.float32).itemsize * activations.n_sentences
        n_kept = min(n_wanted, max(1, _MAXIMUM_BYTES // column_bytes))
        sample = sampled_units(activations, round(n_kept * _SPARE), seed)
        fitted = sample[rows.discover]
        varying = np.flatnonzero((fitted != fitted[:1]).any(axis=0))
        columns = sample[:, varying[:n_kept]].astype(np.float32)
        generator = np.random.default_rng([seed, _NOISE_STREAM])
        for own in (rows.discover, rows.validation, rows.test):
            for unit in range(columns.shape[1]):
                dealt = own[permuted_rows(rows.documents[own], generator)]
                columns[own, unit] = columns[dealt, unit]
        fitted = columns[rows.discover].astype(np.float64)
        return cls(((columns - fitted.mean(axis=0)) / fitted.std(axis=0)).astype(np.float32))

    @property
    def n_units(self) -> int:
        """How many units there are."""
        return int(self.columns.shape[1])


def gold_numbers(n_units: int, shares: tuple[float, ...]) -> IntArray:
    """How many gold concepts each unit is to get (`n_units`), from 1, in these shares of the units.

    Raises:
        ValueError: the shares do not sum to 1.
    """
    if abs(sum(shares) - 1.0) > 1e-9:
        raise ValueError(f"shares are {shares} and sum to {sum(shares):g}, expected 1")
    places = (np.arange(n_units) + 0.5) / n_units
    found = np.searchsorted(np.cumsum(shares)[:-1], places, side="right")
    return np.asarray(found + 1, dtype=np.int64)


def draw_gold(
    concepts: csr_matrix,
    numbers: IntArray,
    *,
    maximum_overlap: float,
    maximum_share: float,
    seed: int,
) -> BoolArray:
    """Which concepts each unit is planted with (`n_units, n_concepts`).

    Concepts are taken in random order, leaving out those whose overlap coefficient with one already
    taken is `maximum_overlap` or more: the matcher would show only one of the two. A unit gets
    fewer than asked for where no more are to be had, and none if every concept holds too often.

    Args:
        concepts: members of each on discover (`n_concepts, n_sentences`).
        numbers: how many each unit is to get (`n_units`).
        maximum_overlap: see above.
        maximum_share: of the sentences that a unit's concepts hold for together; a unit with a
            signal on nearly all sentences would carry none.
        seed: of the draw.
    """
    members = indicator(concepts)
    n_concepts, n_sentences = members.shape
    overlaps = overlap(members)
    generator = np.random.default_rng([seed, _GOLD_STREAM])
    gold = np.zeros((len(numbers), n_concepts), dtype=np.bool_)
    for unit, number in enumerate(numbers):
        taken: list[int] = []
        covered = np.zeros(n_sentences, dtype=np.bool_)
        for concept in generator.permutation(n_concepts).tolist():
            own = members_of(members, concept)
            n_together = int(covered.sum()) + int((~covered[own]).sum())
            distinct = (overlaps[concept, taken] < maximum_overlap).all()
            if distinct and n_together <= maximum_share * n_sentences:
                taken.append(concept)
                covered[own] = True
            if len(taken) == number:
                break
        gold[unit, taken] = True
    return gold


def signals(gold: BoolArray, concepts: csr_matrix) -> BoolArray:
    """Where at least one gold concept of each unit holds (`n_sentences, n_units`).

    Args:
        gold: the concepts of each unit (`n_units, n_concepts`).
        concepts: members of each concept among all sentences (`n_concepts, n_sentences`).
    """
    found = np.zeros((concepts.shape[1], len(gold)), dtype=np.bool_)
    members = indicator(concepts)
    for unit, own in enumerate(gold):
        found[members[np.flatnonzero(own)].indices, unit] = True
    return found


def planted_activations(noise: Noise, signal: BoolArray, strength: float) -> Activations:
    """The first units with their signal, and after them the rest, which are not planted.

    Blocks are float16 like an activation store; numbers beyond its range become its largest.

    Args:
        noise: all units (`n_sentences, n_units`).
        signal: where the first units respond (`n_sentences, n_planted`).
        strength: what is added there, in standard deviations of the noise.
    """
    n_planted = signal.shape[1]

    def blocks(n_at_once: int) -> Iterator[Block]:
        for first in range(0, noise.n_units, n_at_once):
            block = noise.columns[:, first : first + n_at_once].copy()
            own = signal[:, first : first + n_at_once]
            block[:, : own.shape[1]] += np.float32(strength) * own
            yield block.clip(-HALF_PRECISION_LIMIT, HALF_PRECISION_LIMIT).astype(np.float16)

    def name(unit: int) -> str:
        return f"planted unit {unit}" if unit < n_planted else f"unplanted unit {unit - n_planted}"

    return Activations(noise.n_units, len(noise.columns), blocks, name)
