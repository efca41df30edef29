from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from descriptors.granularities import Granularity
from descriptors.groups import Grouping
from descriptors.records import Group
from indexer.arrays import FloatArray, IntArray
from indexer.index import VectorIndex
from neurons.followed import SampledNeurons
from neurons.split_rows import Activations, Block
from service.grouping_choice import GroupingEvidence, followed_most

N_CLUSTERS, SIZE = 12, 40
N_SENTENCES = N_CLUSTERS * SIZE
DISCOVER = np.arange(0, N_SENTENCES, 2)
VALIDATION = np.arange(1, N_SENTENCES, 4)


@pytest.fixture(scope="module")
def labels() -> IntArray:
    return np.random.default_rng(0).permutation(np.repeat(np.arange(N_CLUSTERS), SIZE))


@pytest.fixture(scope="module")
def vectors(labels: IntArray) -> FloatArray:
    """Sentences of a cluster lie together, and so do the clusters of a pair."""
    random = np.random.default_rng(1)
    pairs = np.repeat(random.normal(size=(N_CLUSTERS // 2, 32)), 2, axis=0)
    centres = (pairs + 0.5 * random.normal(size=pairs.shape))[labels]
    near = (centres + 0.15 * random.normal(size=centres.shape)).astype(np.float32)
    return np.asarray(near / np.linalg.norm(near, axis=1, keepdims=True), dtype=np.float32)


def grouping(space: str, sets: list[IntArray]) -> Grouping:
    """Each set is a group."""
    groups = tuple(
        Group(id=f"{space}/{number}", source=space, rows=tuple(rows.tolist()))
        for number, rows in enumerate(sets)
    )
    granularity = Granularity(space=space, repeat=0, n_clusters=len(sets), silhouette=0.0)
    return Grouping(groups, (), (granularity,), clustered=len(DISCOVER), ungrouped=0)


def evidence(vectors: FloatArray, neurons: FloatArray) -> GroupingEvidence:
    def blocks(_n_units: int) -> Iterator[Block]:
        yield neurons

    activations = Activations(neurons.shape[1], len(neurons), blocks)
    return GroupingEvidence(
        neurons=SampledNeurons.of(activations, DISCOVER, VALIDATION, seed=0),
        vectors=vectors,
        index=VectorIndex.build(vectors),
        background_rows=DISCOVER,
    )


@pytest.mark.parametrize("first", ["clusters", "pairs"])
@pytest.mark.parametrize("asked", ["clusters", "pairs"])
def test_the_grouping_that_neurons_follow_is_taken(
    labels: IntArray, vectors: FloatArray, asked: str, first: str
) -> None:
    """Neurons that fire on clusters, or on pairs of them; groups of the one and of the other."""
    of_asked = labels if asked == "clusters" else labels // 2
    neurons = np.eye(N_CLUSTERS)[of_asked][:, : of_asked.max() + 1]
    noisy = neurons + 0.3 * np.random.default_rng(2).random(neurons.shape)
    by_name = {
        name: grouping(name, [DISCOVER[own[DISCOVER] == number] for number in range(own.max() + 1)])
        for name, own in (("clusters", labels), ("pairs", labels // 2))
    }
    order = sorted(by_name, key=lambda name: name != first)
    chosen = followed_most(
        [by_name[name] for name in order], evidence(vectors, noisy.astype(np.float32))
    )
    assert chosen.groups == by_name[asked].groups
    assert chosen.spaces == (asked,)
    compared = {each.spaces: each.correlation for each in chosen.compared}
    assert set(compared) == {("clusters",), ("pairs",)}
    assert compared[(asked,)] == max(compared.values()) > 1.1 * min(compared.values())


def test_the_first_of_equals_is_taken(labels: IntArray, vectors: FloatArray) -> None:
    neurons = np.random.default_rng(3).random((N_SENTENCES, 4)).astype(np.float32)
    sets = [DISCOVER[labels[DISCOVER] == number] for number in range(N_CLUSTERS)]
    same = [grouping("one", sets), grouping("two", sets)]
    chosen = followed_most(same, evidence(vectors, neurons))
    assert chosen.spaces == ("one",)
    assert chosen.compared[0].correlation == chosen.compared[1].correlation


def test_no_grouping_is_refused(vectors: FloatArray) -> None:
    with pytest.raises(ValueError, match="found no grouping"):
        followed_most([], evidence(vectors, vectors[:, :2]))
