from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import sem

from descriptors.granularities import SpaceClusterings, ladder
from descriptors.grouping_settings import GroupingSettings
from indexer.arrays import FloatArray
from indexer.clustering import held_out_silhouettes, spherical_kmeans

SETTINGS = GroupingSettings(restarts=2, repeats=2)


def planted(n_clusters: int, size: int) -> FloatArray:
    random = np.random.default_rng(0)
    centres = random.normal(size=(n_clusters, 32))
    vectors = np.repeat(centres, size, axis=0) + 0.3 * random.normal(size=(n_clusters * size, 32))
    unit: FloatArray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


@pytest.fixture(scope="module")
def clusterings() -> SpaceClusterings:
    vectors = planted(16, 45)
    held_out = np.arange(len(vectors)) % 3 == 0
    return SpaceClusterings("text", vectors[~held_out], vectors[held_out], SETTINGS, 4)


def test_the_ladder_by_hand() -> None:
    assert ladder(23, GroupingSettings()) == []
    assert ladder(24, GroupingSettings()) == [2]
    assert ladder(480, GroupingSettings()) == [8, 11, 16, 23, 32, 40]
    assert ladder(10**6, GroupingSettings(maximum_groups=64))[-2:] == [45, 64]


@given(st.integers(2, 5_000), st.integers(2, 30), st.integers(2, 600))
def test_the_ladder_ends_where_the_settings_say(n: int, mean_group: int, maximum: int) -> None:
    counts = ladder(n, GroupingSettings(mean_group=mean_group, maximum_groups=maximum))
    limit = min(maximum, n // mean_group)
    if limit < 2:
        assert counts == []
        return
    assert counts == sorted(set(counts))
    assert counts[0] == min(limit, 8)
    assert counts[-1] == limit


def test_the_best_is_the_fewest_clusters_near_the_highest_silhouette(
    clusterings: SpaceClusterings,
) -> None:
    assert clusterings.best in (11, 16, 23)
    highest = max(clusterings.tried, key=lambda each: each.silhouette)
    near = [
        each.n_clusters
        for each in clusterings.tried
        if each.silhouette >= highest.silhouette - 2.0 * highest.standard_error
    ]
    assert clusterings.best == min(near)
    for each in clusterings.tried:
        found = held_out_silhouettes(clusterings.held_out, each.clustering.centroids)
        assert each.silhouette == pytest.approx(found.mean())
        assert each.standard_error == pytest.approx(sem(found, ddof=0))


def test_a_flat_silhouette_gives_few_clusters_and_without_tolerance_the_highest() -> None:
    vectors = np.random.default_rng(3).normal(size=(600, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = [
        SpaceClusterings(
            "text",
            vectors[:400],
            vectors[400:],
            SETTINGS.model_copy(update={"standard_errors": errors}),
            0,
        )
        for errors in (0.0, 2.0, 1000.0)
    ]
    highest = max(found[0].tried, key=lambda each: each.silhouette)
    assert found[0].best == highest.n_clusters
    assert found[1].best <= found[0].best
    assert found[2].best == found[0].tried[0].n_clusters


def test_multiples_come_in_repeats_that_start_anew(clusterings: SpaceClusterings) -> None:
    best = clusterings.best
    attempts = clusterings.at(1.0, 2.0, restarts=2)
    most = clusterings.tried[-1].n_clusters
    counts = [best, best, min(most, 2 * best), min(most, 2 * best)]
    assert [each.n_clusters for each in attempts] == counts
    assert [each.repeat for each in attempts] == [0, 1, 0, 1]
    first, second = (each.clustering.centroids for each in attempts[2:])
    assert not np.array_equal(first, second)


def test_attempts_of_one_start_differ_from_all_those_of_more() -> None:
    vectors = np.random.default_rng(5).normal(size=(700, 24)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    settings = SETTINGS.model_copy(update={"part_restarts": 1})
    alone = SpaceClusterings("text", vectors[:600], vectors[600:], settings, 0)
    n_clusters = alone.tried[-1].n_clusters
    # The first came with the ladder, the best of the starts 0 and 1; the second is start 2 alone.
    first, second = alone.at(100.0, restarts=1)
    starts = [spherical_kmeans(alone.vectors, n_clusters, start).centroids for start in range(3)]
    assert any(np.array_equal(first.clustering.centroids, each) for each in starts[:2])
    assert np.array_equal(second.clustering.centroids, starts[2])


def test_nothing_is_clustered_twice(clusterings: SpaceClusterings) -> None:
    once = clusterings.at(1.0, 2.0, restarts=2)
    assert all(a is b for a, b in zip(once, clusterings.at(2.0, 1.0, 1.0, restarts=2), strict=True))
    assert once[0] in clusterings.tried


def test_multiples_beyond_the_ladder_end_at_its_top(clusterings: SpaceClusterings) -> None:
    most = clusterings.tried[-1].n_clusters
    assert {each.n_clusters for each in clusterings.at(50.0, 80.0, restarts=2)} == {most}


def test_central_sentences_by_brute_force(clusterings: SpaceClusterings) -> None:
    attempt = clusterings.at(2.0, restarts=2)[0]
    assignment = attempt.clustering.assignment
    sizes = [int((assignment == n).sum()) for n in range(attempt.n_clusters)]
    cluster = int(np.argmax(sizes))
    members = np.flatnonzero(assignment == cluster)
    expected = [
        float(clusterings.vectors[member] @ attempt.clustering.centroids[cluster])
        for member in members
    ]
    assert attempt.centrality(members, cluster) == pytest.approx(expected, abs=1e-6)
    assert attempt.granularity.model_dump() == {
        "space": "text",
        "repeat": 0,
        "n_clusters": attempt.n_clusters,
        "silhouette": attempt.silhouette,
    }
