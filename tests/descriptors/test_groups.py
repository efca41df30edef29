from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from descriptors.groups import Grouping, GroupingSettings, form_groups
from descriptors.records import Group
from indexer.arrays import FloatArray, IntArray
from indexer.errors import InputError
from indexer.neighbours import Vectors

SETTINGS = GroupingSettings()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """FAISS's threads wait for each other by spinning: many times slower on busy cores."""
    faiss = importlib.import_module("faiss")
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(threads)


def unit(rows: Vectors) -> FloatArray:
    result: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return result


def planted(n_clusters: int, size: int, seed: int = 0) -> tuple[FloatArray, IntArray]:
    """Shuffled vectors of equally large clusters, and the cluster of each."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(n_clusters), size))
    centres = unit(random.normal(size=(n_clusters, 64)))
    return unit(centres[labels] + 0.07 * random.normal(size=(len(labels), 64))), labels


def group_all(
    vectors: FloatArray, settings: GroupingSettings = SETTINGS, seed: int = 0
) -> Grouping:
    """Two of three rows to discover, the others to validation."""
    rows = np.arange(len(vectors))
    return form_groups(vectors, rows[rows % 3 > 0], rows[rows % 3 == 0], settings, seed)


def n_clusters_of(group: Group) -> int:
    return int(group.source.removeprefix("embedding_clusters:"))


def cluster_means(groups: list[Group], vectors: FloatArray) -> FloatArray:
    return unit(np.array([vectors[list(group.rows)].mean(axis=0) for group in groups]))


@pytest.mark.parametrize("n_planted", [8, 16, 23, 45])
def test_the_planted_number_of_clusters_is_found(n_planted: int) -> None:
    vectors, labels = planted(n_planted, 60)
    grouping = group_all(vectors)
    assert n_planted / math.sqrt(2) - 1 <= grouping.chosen[0] <= n_planted * math.sqrt(2) + 1
    groups = [g for g in grouping.groups if n_clusters_of(g) == grouping.chosen[0]]
    rows = [row for group in groups for row in group.rows]
    found = [position for position, group in enumerate(groups) for _ in group.rows]
    assert adjusted_rand_score(labels[rows], found) > 0.7


def test_the_best_silhouette_is_chosen_and_every_try_reported() -> None:
    grouping = group_all(planted(16, 60)[0])
    best = max(grouping.tried, key=lambda each: each.silhouette)
    assert grouping.chosen[0] == best.n_clusters
    assert [each.n_clusters for each in grouping.tried] == [8, 11, 16, 23, 32, 45, 53]
    assert all(0.0 <= each.silhouette <= 1.0 for each in grouping.tried)


def test_rows_are_discover_rows_most_central_first() -> None:
    vectors, _ = planted(12, 40)
    grouping = group_all(vectors)
    for group in grouping.groups:
        assert all(row % 3 > 0 for row in (*group.rows, *group.contrast_rows))
        members = vectors[list(group.rows)]
        # The mean of the rows is the centroid but for the last round of k-means.
        similarities = members @ unit(members.mean(axis=0, keepdims=True))[0]
        assert np.all(np.diff(similarities) <= 1e-3)


def test_a_granularity_takes_no_row_twice_and_loses_none() -> None:
    vectors, _ = planted(12, 40)
    grouping = group_all(vectors)
    sizes = dict.fromkeys(grouping.chosen, 0)
    for group in grouping.groups:
        sizes[n_clusters_of(group)] += len(group.rows)
        assert len(group.rows) >= SETTINGS.minimum_group
        assert len(set(group.rows)) == len(group.rows)
    everything = group_all(vectors, SETTINGS.model_copy(update={"minimum_group": 1}))
    for n_clusters, covered in sizes.items():
        own = [g for g in everything.groups if n_clusters_of(g) == n_clusters]
        rows = [row for group in own for row in group.rows]
        assert sorted(rows) == [row for row in range(len(vectors)) if row % 3 > 0]
        assert covered == sum(len(g.rows) for g in own if len(g.rows) >= SETTINGS.minimum_group)


def test_too_small_clusters_are_counted() -> None:
    vectors, _ = planted(10, 40)
    grouping = group_all(vectors)
    assert len(grouping.groups) + grouping.too_small == sum(grouping.chosen)
    assert grouping.too_small > 0


def test_ids_are_unique_over_granularities() -> None:
    grouping = group_all(planted(16, 60)[0])
    assert len(grouping.chosen) > 1
    ids = [group.id for group in grouping.groups]
    assert len(set(ids)) == len(ids)
    for group in grouping.groups:
        assert group.id.startswith(f"clusters:{n_clusters_of(group)}/")


def test_contrast_comes_from_the_nearest_other_groups() -> None:
    vectors, _ = planted(16, 60)
    settings = SETTINGS.model_copy(update={"contrast_groups": 3, "contrast_per_group": 4})
    grouping = group_all(vectors, settings)
    for n_clusters in grouping.chosen:
        groups = [g for g in grouping.groups if n_clusters_of(g) == n_clusters]
        means = cluster_means(groups, vectors)
        for position, group in enumerate(groups):
            assert not set(group.contrast_rows) & set(group.rows)
            taken = [
                next(i for i, other in enumerate(groups) if row in other.rows)
                for row in group.contrast_rows
            ]
            assert len(taken) == 12
            expected = [row for i in taken[::4] for row in groups[i].rows[:4]]
            assert list(group.contrast_rows) == expected
            similarities = np.delete(means @ means[position], position)
            nearest = np.sort(similarities)[::-1][:3]
            np.testing.assert_allclose(means[taken[::4]] @ means[position], nearest, atol=2e-3)


def test_the_only_group_has_no_contrast() -> None:
    """A cluster of a sentence or two is no group, so it is no contrast either."""
    centres = unit(np.eye(4))
    labels = np.array([0] * 60 + [1, 2, 3] * 2)
    random = np.random.default_rng(0)
    vectors = unit(centres[labels] + 0.01 * random.normal(size=(66, 4)))
    settings = SETTINGS.model_copy(update={"minimum_group": 20, "mean_group": 30})
    grouping = form_groups(vectors, np.arange(66), np.arange(66), settings, 0)
    assert grouping.chosen == (2,)
    assert [group.contrast_rows for group in grouping.groups] == [()]
    assert grouping.too_small == 1


@pytest.mark.parametrize("n_sentences", [2, 12, 23])
def test_too_few_sentences(n_sentences: int) -> None:
    vectors = planted(2, 20)[0]
    with pytest.raises(InputError, match=f"found {n_sentences} sentences.*at least 24"):
        form_groups(vectors, np.arange(n_sentences), np.arange(24, 40), SETTINGS, 0)


@pytest.mark.parametrize("n_sentences", [24, 35, 40, 60, 71, 72, 95, 130])
def test_so_few_sentences_are_enough(n_sentences: int) -> None:
    vectors = planted(2, 80)[0]
    grouping = form_groups(vectors, np.arange(n_sentences), np.arange(130, 160), SETTINGS, 0)
    assert 2 <= grouping.chosen[-1] <= n_sentences // SETTINGS.mean_group
    assert grouping.groups


def test_no_cluster_large_enough_is_said() -> None:
    settings = SETTINGS.model_copy(update={"minimum_group": 50, "mean_group": 4})
    with pytest.raises(InputError, match=r"none of \d+ clusters of 80 sentences.*has 50 sentences"):
        group_all(planted(12, 10)[0], settings)


def test_validation_rows_are_needed() -> None:
    with pytest.raises(ValueError, match="found 0"):
        form_groups(planted(4, 20)[0], np.arange(80), np.arange(0), SETTINGS, 0)


@hypothesis_settings(deadline=None, max_examples=25)
@given(
    st.integers(24, 400), st.integers(2, 12), st.integers(2, 40), st.integers(2, 64), st.integers()
)
def test_the_ladder_stays_in_its_limits(
    n_discover: int, mean_group: int, maximum: int, minimum: int, seed: int
) -> None:
    sizes = GroupingSettings(
        minimum_group=2,
        mean_group=mean_group,
        maximum_groups=maximum,
        minimum_groups=minimum,
        restarts=1,
    )
    random = np.random.default_rng(abs(seed))
    vectors = unit(random.normal(size=(n_discover + 20, 6)))
    grouping = form_groups(
        vectors, np.arange(n_discover), np.arange(n_discover, n_discover + 20), sizes, abs(seed)
    )
    tried = [each.n_clusters for each in grouping.tried]
    limit = min(maximum, n_discover // mean_group)
    assert tried == sorted(set(tried))
    assert tried[0] == min(limit, 8)
    assert tried[-1] == limit
    assert max(grouping.chosen) <= limit


@pytest.mark.parametrize("minimum_groups", [2, 20, 48, 200])
def test_counts_double_until_there_are_enough_groups(minimum_groups: int) -> None:
    vectors, _ = planted(8, 300)
    settings = SETTINGS.model_copy(update={"minimum_groups": minimum_groups})
    chosen = group_all(vectors, settings).chosen
    limit = 1_600 // SETTINGS.mean_group
    assert all(finer == 2 * coarser for coarser, finer in pairwise(chosen))
    assert len(chosen) >= 2
    assert sum(chosen) >= minimum_groups or 2 * chosen[-1] > limit
    assert len(chosen) == 2 or sum(chosen[:-1]) < minimum_groups


def test_a_large_corpus_is_sampled() -> None:
    vectors, _ = planted(8, 100)
    settings = SETTINGS.model_copy(update={"maximum_sentences": 200})
    grouping = group_all(vectors, settings)
    rows = {row for g in grouping.groups if n_clusters_of(g) == 8 for row in g.rows}
    assert 100 < len(rows) <= 200
    assert all(row % 3 > 0 for row in rows)
    assert max(each.n_clusters for each in grouping.tried) == 200 // SETTINGS.mean_group
    other = group_all(vectors, settings, seed=1)
    assert rows != {row for g in other.groups if n_clusters_of(g) == 8 for row in g.rows}


def test_the_same_seed_gives_the_same_groups() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(600, 16)))
    assert group_all(vectors, seed=3) == group_all(vectors, seed=3)
    assert group_all(vectors, seed=3) != group_all(vectors, seed=9)


def test_test_rows_are_never_looked_at() -> None:
    vectors, _ = planted(10, 60)
    rows = np.arange(len(vectors))
    discover, validation, test = rows[rows % 3 == 0], rows[rows % 3 == 1], rows[rows % 3 == 2]
    clean = form_groups(vectors, discover, validation, SETTINGS, 0)
    vectors[test] = np.nan
    assert form_groups(vectors, discover, validation, SETTINGS, 0) == clean


def test_stored_float16_vectors_give_finite_silhouettes() -> None:
    vectors, _ = planted(10, 60)
    grouping = group_all(vectors.astype(np.float16))
    assert grouping.chosen[0] in (8, 11)


def test_sentences_said_over_and_over_do_not_ask_for_more_groups() -> None:
    distinct = unit(np.random.default_rng(0).normal(size=(10, 32)))
    vectors = np.tile(distinct, (60, 1)).astype(np.float16)
    grouping = group_all(vectors)
    assert grouping.chosen[0] in (8, 11)
    for group in grouping.groups:
        same = {row % 10 for row in group.rows}
        assert not same & {row % 10 for row in group.contrast_rows}
