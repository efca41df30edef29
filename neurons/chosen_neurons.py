"""Some neurons of a store, read without the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neurons.records import LayerSite, NeuronId
from neurons.split_rows import Activations, Block

if TYPE_CHECKING:
    from neurons.store import ActivationStore


@dataclass(frozen=True)
class ChosenNeurons:
    """Neurons in the order of the store, and their activations alone.

    Attributes:
        neurons: address of each column of `activations`.
        activations: reads nothing but these columns.
    """

    neurons: tuple[NeuronId, ...]
    activations: Activations

    @classmethod
    def of_store(cls, store: ActivationStore, wanted: Iterable[NeuronId]) -> ChosenNeurons:
        """The `wanted` neurons, each once.

        Raises:
            RunError: the store lacks a layer site.
        """
        chosen: dict[LayerSite, list[int]] = {}
        for neuron in set(wanted):
            chosen.setdefault(neuron.layer_site, []).append(neuron.unit)
        for layer_site in chosen:
            store.array(layer_site)
        units = {site: sorted(chosen.get(site, ())) for site in store.layer_sites}
        neurons = tuple(
            NeuronId(site.layer, site.site, unit) for site, own in units.items() for unit in own
        )

        def blocks(n_units: int) -> Iterator[Block]:
            for site, own in units.items():
                for first in range(0, len(own), n_units):
                    yield np.asarray(store.array(site)[:, own[first : first + n_units]])

        def name(number: int) -> str:
            return f"{neurons[number]} of {store.folder}"

        return cls(neurons, Activations(len(neurons), store.n_sentences, blocks, name))
