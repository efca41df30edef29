"""Exemplars where no model is at hand to tell which of their tokens carry them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from indexer.arrays import IntArray
from neurons.exemplars import NeuronTail, top_rows
from neurons.records import Exemplar, NeuronExemplars

if TYPE_CHECKING:
    from neurons.store import ActivationStore


def plain_exemplars(
    store: ActivationStore, tails: Sequence[NeuronTail], rows: IntArray, limit: int
) -> list[NeuronExemplars]:
    """The most activating sentences of each tail among `rows`, without tokens.

    Raises:
        InputError: a layer site has not the unit that is asked for.
        RunError: a layer site is not stored.
    """
    return [
        NeuronExemplars(
            neuron=str(tail.neuron),
            tail=tail.tail,
            exemplars=tuple(
                Exemplar(
                    row=row,
                    activation=float(store.array(tail.neuron.layer_site)[row, tail.neuron.unit]),
                    tokens=(),
                )
                for row in top_rows(store, tail, rows, limit).tolist()
            ),
        )
        for tail in tails
    ]
