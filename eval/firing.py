"""When a neuron fires: thresholds on its activation, and how firing agrees with a set of sentences.

A threshold is the one of best F1 for the set where it is chosen; sentences elsewhere tell how well
it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import IntArray


@dataclass(frozen=True, slots=True)
class Firing:
    """How well firing agrees with a set of sentences; all 0 where no member fires."""

    precision: float
    recall: float
    f1: float


def firing(activations: NDArray[np.floating[Any]], threshold: float, members: IntArray) -> Firing:
    """How well reaching a threshold agrees with the members.

    Args:
        activations: of one unit (`n_sentences`).
        threshold: from which activation on the unit fires.
        members: places of the sentences of the set (`n_members`).

    Raises:
        ValueError: there are no members.
    """
    _check_members(members)
    hits = int((activations[members] >= threshold).sum())
    if not hits:
        return Firing(0.0, 0.0, 0.0)
    n_firing = int((activations >= threshold).sum())
    return Firing(hits / n_firing, hits / members.size, 2.0 * hits / (n_firing + members.size))


@dataclass(frozen=True)
class SortedActivations:
    """Activations of one unit on some sentences (`n_sentences`), also in ascending order."""

    values: NDArray[np.floating[Any]]
    ascending: NDArray[np.floating[Any]]

    @classmethod
    def of(cls, values: NDArray[np.floating[Any]]) -> SortedActivations:
        """Sort the activations."""
        return cls(values, np.sort(values))

    def best_threshold(self, members: IntArray) -> tuple[float, float]:
        """The activation from which on firing has the best F1 for the members, and that F1.

        F1 is best at the activation of a member, since a lower threshold only adds others until it
        reaches the next one. The highest of equally good thresholds is taken.

        Args:
            members: places of the sentences of the set (`n_members`).

        Raises:
            ValueError: there are no members.
        """
        _check_members(members)
        thresholds = np.sort(self.values[members])[::-1]
        n_firing = self.ascending.size - np.searchsorted(self.ascending, thresholds, side="left")
        # Of members with one activation the last counts them all; those before it count too few.
        f1 = 2.0 * np.arange(1, members.size + 1) / (n_firing + members.size)
        best = int(np.argmax(f1))
        return float(thresholds[best]), float(f1[best])


def _check_members(members: IntArray) -> None:
    if not members.size:
        raise ValueError("found no members, expected 1 or more for firing to agree with")
