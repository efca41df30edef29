"""Activations with planted relations to sentence sets, for the tests of matching."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from indexer.arrays import BoolArray, DoubleArray
from neurons.matching import Matches, MatchingSettings, match
from neurons.split_rows import Activations, Block, SplitRows


@dataclass(frozen=True)
class World:
    """Activations (`n_sentences, n_units`) and sets (`n_sets, n_sentences`) made for a test."""

    activations: NDArray[np.float32]
    sets: BoolArray
    rows: SplitRows

    @classmethod
    def unrelated(
        cls, seed: int = 0, n_units: int = 40, n_sets: int = 12, n_sentences: int = 600
    ) -> World:
        """Nothing to be found; a half of the sentences is discover, a quarter each the others."""
        generator = np.random.default_rng(seed)
        activations = generator.normal(size=(n_sentences, n_units)).astype(np.float32)
        shares = generator.uniform(0.1, 0.3, size=(n_sets, 1))
        sets = generator.random((n_sets, n_sentences)) < shares
        order = generator.permutation(n_sentences)
        parts = np.split(order, [n_sentences // 2, n_sentences * 3 // 4])
        rows = SplitRows(*(np.sort(part) for part in parts), documents=np.arange(n_sentences))
        return cls(activations, sets, rows)

    def planted(self, unit: int, number: int, strength: float) -> World:
        """A unit answers to a set, with its negative tail where the strength is below 0."""
        activations = self.activations.copy()
        activations[self.sets[number], unit] += strength
        return replace(self, activations=activations)

    @property
    def stored(self) -> Activations:
        """The activations as the matcher reads them."""

        def blocks(n_units: int) -> Iterator[Block]:
            for first in range(0, self.activations.shape[1], n_units):
                yield self.activations[:, first : first + n_units]

        return Activations(self.activations.shape[1], len(self.activations), blocks)

    def match(
        self,
        settings: MatchingSettings | None = None,
        seed: int = 0,
        handicaps: DoubleArray | None = None,
    ) -> Matches:
        """Match every tail of every unit against every set."""
        membership = csr_matrix(self.sets * 0.5)
        chosen = settings or MatchingSettings()
        return match(self.stored, membership, self.rows, chosen, seed, handicaps=handicaps)


@pytest.fixture(scope="session")
def unrelated_world() -> Callable[..., World]:
    """Makes a world in which nothing is related; see `World.unrelated`."""
    return World.unrelated


@pytest.fixture(scope="session")
def planted_world() -> World:
    """Units 0 to 11 of 40 answer to sets 0 to 11 with both tails and several strengths."""
    world = World.unrelated()
    for unit in range(12):
        world = world.planted(unit, unit, (1.5, -1.5, 2.0, -2.0, 4.0, -4.0)[unit % 6])
    return world
