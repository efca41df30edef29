"""Experiments on neurons: what is done to one, on which sentences, and what it is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from indexer.arrays import FloatArray, IntArray


class Operation(Protocol):
    """What is done to a unit."""

    def amounts(self, activations: FloatArray, mean: float, deviation: float) -> FloatArray:
        """What is added in every token (`n_tokens`), given the unit's moments over tokens."""
        ...


@dataclass(frozen=True)
class Ablation:
    """Every token takes the unit's mean."""

    def amounts(self, activations: FloatArray, mean: float, deviation: float) -> FloatArray:
        """The mean less what is there (`n_tokens`)."""
        return np.asarray(mean - activations, dtype=np.float32)


@dataclass(frozen=True)
class Steering:
    """Every token is raised by so many of the unit's standard deviations, lowered if below 0."""

    deviations: float

    def amounts(self, activations: FloatArray, mean: float, deviation: float) -> FloatArray:
        """The same in all tokens (`n_tokens`)."""
        return np.full_like(activations, self.deviations * deviation)


@dataclass(frozen=True, eq=False)
class Experiment:
    """A neuron, the sentences it is changed on, and what it is compared with.

    Attributes:
        unit: of the layer site.
        operation: what is done to it.
        sentences: positions among the texts (`n_own_sentences`), each once.
        controls: units of the same site, whose vectors are written in its place (`n_controls`).
        directions: vectors of length 1 (`n_directions, n_hidden_units`).
    """

    unit: int
    operation: Operation
    sentences: IntArray
    controls: IntArray
    directions: FloatArray

    @property
    def units(self) -> IntArray:
        """The neuron and its controls."""
        return np.concatenate([[self.unit], self.controls]).astype(np.int64)

    @property
    def n_conditions(self) -> int:
        """The neuron, each control, each direction."""
        return 1 + len(self.controls) + len(self.directions)
