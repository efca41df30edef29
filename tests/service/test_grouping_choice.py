from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from descriptors.alternative_groupings import AlternativeGroupings
from descriptors.granularities import Granularity
from descriptors.groups import Grouping
from descriptors.records import Group
from indexer.arrays import FloatArray, IntArray
from indexer.index import VectorIndex
from neurons.followed import SampledNeurons
from neurons.split_rows import Activations, Block
from service.grouping_choice import GroupingEvidence, followed_more

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


def members(own: IntArray) -> list[IntArray]:
    return [DISCOVER[own[DISCOVER] == number] for number in range(own.max() + 1)]


def alternatives(by_all: list[IntArray], by_first: list[IntArray]) -> AlternativeGroupings:
    """What is taken of all spaces differs from what is compared, as granularities do."""
    return AlternativeGroupings(
        by_all=grouping("all", by_all[:-1]),
        by_first=grouping("first", by_first),
        by_all_as_fine=grouping("as_fine", by_all),
    )


@pytest.mark.parametrize("followed", ["clusters", "pairs"])
@pytest.mark.parametrize("by_all", ["clusters", "pairs"])
def test_the_groups_that_neurons_follow_are_taken(
    labels: IntArray, vectors: FloatArray, followed: str, by_all: str
) -> None:
    """Neurons that fire on clusters, or on pairs of them; groups of the one and of the other."""
    owners = {"clusters": labels, "pairs": labels // 2}
    fires_on = owners[followed]
    noise = 0.3 * np.random.default_rng(2).random((N_SENTENCES, fires_on.max() + 1))
    neurons = (np.eye(fires_on.max() + 1)[fires_on] + noise).astype(np.float32)
    (by_first,) = owners.keys() - {by_all}
    asked = alternatives(members(owners[by_all]), members(owners[by_first]))
    found = followed_more(asked, evidence(vectors, neurons))
    taken = asked.by_all if by_all == followed else asked.by_first
    assert found.groups == taken.groups
    assert [each.spaces for each in found.compared] == [("as_fine",), ("first",)]
    assert [each.groups for each in found.compared] == [
        len(asked.by_all_as_fine.groups),
        len(asked.by_first.groups),
    ]
    more, less = sorted((each.correlation for each in found.compared), reverse=True)
    assert more > 1.1 * less
    assert (found.compared[0].correlation == more) == (by_all == followed)


def test_of_equals_the_first_space_is_taken(labels: IntArray, vectors: FloatArray) -> None:
    neurons = np.random.default_rng(3).random((N_SENTENCES, 4)).astype(np.float32)
    same = alternatives(members(labels), members(labels))
    found = followed_more(same, evidence(vectors, neurons))
    assert found.groups == same.by_first.groups
    assert found.compared[0].correlation == found.compared[1].correlation
