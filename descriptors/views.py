"""What sentences are compared by: views, and spaces that join them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from indexer.arrays import FloatArray, IntArray

SentenceView = Callable[[IntArray], FloatArray]
"""From rows of the corpus to unit vectors (`n_rows, n_components`)."""


@dataclass(frozen=True)
class WeightedView:
    """A view, its name for provenance, and the length its vectors get in the joint space."""

    name: str
    view: SentenceView
    weight: float = 1.0


def joined(views: Sequence[WeightedView]) -> SentenceView:
    """One view of all: vectors side by side, each at its weight, scaled to length 1.

    The cosine of two joined vectors is the mean of the views' cosines, weighted by squared weights.
    """
    if len(views) == 1:
        return views[0].view
    length = math.sqrt(sum(each.weight**2 for each in views))

    def view(rows: IntArray) -> FloatArray:
        parts = [np.asarray(each.view(rows), dtype=np.float32) for each in views]
        scaled = [part * (each.weight / length) for part, each in zip(parts, views, strict=True)]
        return np.concatenate(scaled, axis=1)

    return view


@dataclass(frozen=True)
class Space:
    """Views in which sentences are compared together."""

    views: tuple[WeightedView, ...]

    @property
    def name(self) -> str:
        """The names of the views."""
        return "_and_".join(each.name for each in self.views)

    @property
    def view(self) -> SentenceView:
        """Unit vectors of sentences in the space."""
        return joined(self.views)
