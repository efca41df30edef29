"""Some neurons of a store, against its arrays."""

from pathlib import Path

import numpy as np
import pytest

from indexer.errors import RunError
from neurons.chosen_neurons import ChosenNeurons
from neurons.records import LayerSite, NeuronId, Pooling, Site
from neurons.store import ActivationStore, ExtractionReport, StoredSite, StoreLayout, StoreManifest

SITES = (LayerSite(0, Site.FFN), LayerSite(0, Site.HIDDEN), LayerSite(1, Site.FFN))


@pytest.fixture
def store() -> ActivationStore:
    generator = np.random.default_rng(0)
    arrays = {place: generator.normal(size=(7, 20)).astype(np.float16) for place in SITES}
    layout = StoreLayout(
        key="test",
        n_sentences=7,
        window_sentences=7,
        pooling=Pooling.MAX,
        sites=tuple(StoredSite(layer=each.layer, site=each.site, units=20) for each in SITES),
    )
    manifest = StoreManifest(layout=layout, report=ExtractionReport(), parity=None)
    return ActivationStore(Path(), manifest, arrays)


def test_columns_are_those_of_the_store_in_its_order(store: ActivationStore) -> None:
    wanted = [
        *(NeuronId(1, Site.FFN, unit) for unit in (19, 2)),
        *(NeuronId(0, Site.FFN, unit) for unit in (5, 4, 0, 5)),
    ]
    chosen = ChosenNeurons.of_store(store, wanted)
    assert [str(neuron) for neuron in chosen.neurons] == [
        *("L0.ffn.0", "L0.ffn.4", "L0.ffn.5", "L1.ffn.2", "L1.ffn.19"),
    ]
    assert chosen.activations.n_neurons == 5
    expected = np.stack(
        [store.array(neuron.layer_site)[:, neuron.unit] for neuron in chosen.neurons], axis=1
    )
    for n_units in (1, 2, 512):
        blocks = list(chosen.activations.blocks(n_units))
        assert all(block.shape[1] <= n_units for block in blocks)
        np.testing.assert_array_equal(np.concatenate(blocks, axis=1), expected)


def test_a_layer_that_is_not_stored(store: ActivationStore) -> None:
    with pytest.raises(RunError, match=r"L1\.hidden is not in"):
        ChosenNeurons.of_store(store, [NeuronId(1, Site.HIDDEN, 0)])
