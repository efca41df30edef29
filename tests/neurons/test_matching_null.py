"""How often tails are described when there is nothing to find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from eval.label_recovery import shuffled_documents
from indexer.arrays import IntArray
from neurons.explanation_file import described_tails
from neurons.matching import MatchingSettings, match
from neurons.split_rows import SplitRows

World = Any
Worlds = Callable[..., World]

# Nothing but the null stands between an unrelated neuron and a description.
EAGER = MatchingSettings(minimum_auroc=0.5, false_discovery_rate=0.9)
SEEDS = range(4)
SIZES: dict[str, tuple[int, ...]] = {
    "single sentences": (1,),
    "documents of eight": (8,),
    "documents of several sizes": (1, 2, 4, 6, 12),
    "documents of all sizes": tuple(range(1, 25)),
}


def clustered(world: World, sizes: tuple[int, ...], scattered: bool, seed: int) -> World:
    """The world with activations and sets that are nearly the same all through a document."""
    generator = np.random.default_rng(seed)
    n_sentences, n_units = world.activations.shape
    documents = np.repeat(np.arange(n_sentences), generator.choice(sizes, n_sentences))
    documents = documents[:n_sentences]
    if scattered:
        documents = generator.permutation(documents)
    n_documents = int(documents.max()) + 1
    common = generator.normal(size=(n_documents, n_units))[documents]
    # Nine tenths of an activation's variance and most of a set belong to the document.
    activations = world.activations * 0.1**0.5 + common * 0.9**0.5
    own = generator.random((len(world.sets), n_documents)) < 0.06
    strays = generator.random(world.sets.shape) < 0.003
    return replace(
        world,
        activations=activations.astype(np.float16),
        sets=own[:, documents] | strays,
        rows=split_by_document(documents, generator),
    )


def split_by_document(documents: IntArray, generator: np.random.Generator) -> SplitRows:
    place = generator.random(int(documents.max()) + 1)[documents]
    return SplitRows(
        np.flatnonzero(place < 0.5),
        np.flatnonzero((place >= 0.5) & (place < 0.7)),
        np.flatnonzero(place >= 0.7),
        documents,
    )


@pytest.mark.parametrize("scattered", [False, True], ids=["in order", "scattered"])
@pytest.mark.parametrize("name", SIZES)
def test_unrelated_neurons_are_rarely_described(
    name: str, scattered: bool, unrelated_world: Worlds
) -> None:
    described, beats_null = [], []
    for seed in SEEDS:
        world = unrelated_world(seed, n_units=120, n_sets=50, n_sentences=1600)
        matches = clustered(world, SIZES[name], scattered, seed).match(EAGER, seed)
        assert matches.usable_descriptors >= 25
        described.append(described_tails(matches).mean())
        beats_null.append(matches.beats_null.mean())
    assert np.mean(described) <= 0.01
    # The best of all descriptors beats a 99% quantile in about 1 tail of 100.
    assert 0.0 < np.mean(beats_null) <= 0.05


def test_a_control_shuffled_with_the_seed_of_the_run_is_no_stricter(planted_world: World) -> None:
    world = planted_world
    for seed in SEEDS:
        shuffled = shuffled_documents(csr_matrix(world.sets * 0.5), world.rows, seed)
        found = match(world.stored, shuffled, world.rows, MatchingSettings(), seed)
        other = match(world.stored, shuffled, world.rows, MatchingSettings(), seed + 100)
        assert described_tails(found).mean() <= 0.02
        assert abs(found.null.discover - other.null.discover) < 0.06
