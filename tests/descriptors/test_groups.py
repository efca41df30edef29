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
from sklearn.metrics import homogeneity_score

from descriptors.groups import (
    Grouping,
    GroupingSettings,
    WeightedView,
    form_groups,
    joined,
    subsample,
)
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


def embedding(vectors: Vectors) -> list[WeightedView]:
    """The only view: the vectors themselves."""
    return [WeightedView("embedding", lambda rows: vectors[rows])]


def group_all(
    vectors: FloatArray, settings: GroupingSettings = SETTINGS, seed: int = 0
) -> Grouping:
    """Two of three rows to discover, the others to validation."""
    rows = np.arange(len(vectors))
    return form_groups(embedding(vectors), rows[rows % 3 > 0], rows[rows % 3 == 0], settings, seed)


def best_count(grouping: Grouping) -> int:
    return max(grouping.tried, key=lambda each: each.silhouette).n_clusters


def n_clusters_of(group: Group) -> int:
    return int(group.source.removeprefix("embedding_clusters:"))


def cluster_means(groups: list[Group], vectors: FloatArray) -> FloatArray:
    return unit(np.array([vectors[list(group.rows)].mean(axis=0) for group in groups]))


@pytest.mark.parametrize("n_planted", [8, 16, 23, 45])
def test_the_planted_number_of_clusters_is_found(n_planted: int) -> None:
    vectors, labels = planted(n_planted, 60)
    grouping = group_all(vectors)
    assert n_planted / math.sqrt(2) - 1 <= best_count(grouping) <= n_planted * math.sqrt(2) + 1
    groups = [g for g in grouping.groups if n_clusters_of(g) == grouping.chosen[0]]
    rows = [row for group in groups for row in group.rows]
    found = [position for position, group in enumerate(groups) for _ in group.rows]
    assert homogeneity_score(labels[rows], found) > 0.9


def test_a_step_finer_than_the_best_silhouette_is_chosen_and_every_try_reported() -> None:
    grouping = group_all(planted(16, 60)[0])
    assert grouping.chosen[0] == min(53, round(best_count(grouping) * math.sqrt(2)))
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
    grouping = form_groups(embedding(vectors), np.arange(66), np.arange(66), settings, 0)
    assert grouping.chosen == (2,)
    assert [group.contrast_rows for group in grouping.groups] == [()]
    assert grouping.too_small == 1


@pytest.mark.parametrize("n_sentences", [2, 12, 23])
def test_too_few_sentences(n_sentences: int) -> None:
    vectors = planted(2, 20)[0]
    with pytest.raises(InputError, match=f"found {n_sentences} sentences.*at least 24"):
        form_groups(embedding(vectors), np.arange(n_sentences), np.arange(24, 40), SETTINGS, 0)


@pytest.mark.parametrize("n_sentences", [24, 35, 40, 60, 71, 72, 95, 130])
def test_so_few_sentences_are_enough(n_sentences: int) -> None:
    vectors = planted(2, 80)[0]
    grouping = form_groups(
        embedding(vectors), np.arange(n_sentences), np.arange(130, 160), SETTINGS, 0
    )
    assert 2 <= grouping.chosen[-1] <= n_sentences // SETTINGS.mean_group
    assert grouping.groups


def test_no_cluster_large_enough_is_said() -> None:
    settings = SETTINGS.model_copy(update={"minimum_group": 50, "mean_group": 4})
    with pytest.raises(InputError, match=r"none of \d+ clusters of 80 sentences.*has 50 sentences"):
        group_all(planted(12, 10)[0], settings)


def test_validation_rows_are_needed() -> None:
    with pytest.raises(ValueError, match="found 0"):
        form_groups(embedding(planted(4, 20)[0]), np.arange(80), np.arange(0), SETTINGS, 0)


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
    validation = np.arange(n_discover, n_discover + 20)
    grouping = form_groups(embedding(vectors), np.arange(n_discover), validation, sizes, abs(seed))
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
    assert sum(chosen) >= minimum_groups or 2 * chosen[-1] > limit
    assert len(chosen) == 1 or sum(chosen[:-1]) < minimum_groups


def test_a_large_corpus_is_sampled() -> None:
    vectors, _ = planted(8, 100)
    settings = SETTINGS.model_copy(update={"maximum_sentences": 200})
    grouping = group_all(vectors, settings)
    coarse = grouping.chosen[0]
    rows = {row for g in grouping.groups if n_clusters_of(g) == coarse for row in g.rows}
    assert 100 < len(rows) <= 200
    assert all(row % 3 > 0 for row in rows)
    assert max(each.n_clusters for each in grouping.tried) == 200 // SETTINGS.mean_group
    other = group_all(vectors, settings, seed=1)
    coarse = other.chosen[0]
    assert rows != {row for g in other.groups if n_clusters_of(g) == coarse for row in g.rows}


def test_the_same_seed_gives_the_same_groups() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(600, 16)))
    assert group_all(vectors, seed=3) == group_all(vectors, seed=3)
    assert group_all(vectors, seed=3) != group_all(vectors, seed=9)


def test_test_rows_are_never_looked_at() -> None:
    vectors, _ = planted(10, 60)
    rows = np.arange(len(vectors))
    discover, validation, test = rows[rows % 3 == 0], rows[rows % 3 == 1], rows[rows % 3 == 2]
    clean = form_groups(embedding(vectors), discover, validation, SETTINGS, 0)
    vectors[test] = np.nan
    assert form_groups(embedding(vectors), discover, validation, SETTINGS, 0) == clean


def test_stored_float16_vectors_give_finite_silhouettes() -> None:
    vectors, _ = planted(10, 60)
    grouping = group_all(vectors.astype(np.float16))
    assert best_count(grouping) in (8, 11)


def test_sentences_said_over_and_over_do_not_ask_for_more_groups() -> None:
    distinct = unit(np.random.default_rng(0).normal(size=(10, 32)))
    vectors = np.tile(distinct, (60, 1)).astype(np.float16)
    grouping = group_all(vectors)
    assert best_count(grouping) in (8, 11)
    for group in grouping.groups:
        same = {row % 10 for row in group.rows}
        assert not same & {row % 10 for row in group.contrast_rows}


def view_of(vectors: FloatArray, name: str = "embedding", weight: float = 1.0) -> WeightedView:
    return WeightedView(name, lambda rows: vectors[rows], weight)


def test_joined_vectors_by_hand() -> None:
    first = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    second = np.array([[0.0, 0.0, 1.0], [0.6, 0.8, 0.0]], np.float32)
    view = joined([view_of(first, weight=3.0), view_of(second, weight=4.0)])
    np.testing.assert_allclose(
        view(np.array([1, 0])),
        [[0.0, 0.6, 0.8 * 0.6, 0.8 * 0.8, 0.0], [0.6, 0.0, 0.0, 0.0, 0.8]],
        atol=1e-7,
    )


@hypothesis_settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0.05, 20.0), min_size=1, max_size=4), st.integers(0, 99))
def test_a_joint_cosine_is_the_mean_weighted_by_squared_weights(
    weights: list[float], seed: int
) -> None:
    random = np.random.default_rng(seed)
    parts = [unit(random.normal(size=(9, int(random.integers(2, 7))))) for _ in weights]
    rows = random.permutation(9)[:5]
    found = joined([view_of(part, weight=w) for part, w in zip(parts, weights, strict=True)])(rows)
    squares = np.square(weights)
    cosines = np.array([part[rows] @ part[rows].T for part in parts])
    expected = np.tensordot(squares / squares.sum(), cosines, axes=1)
    np.testing.assert_allclose(found @ found.T, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    assert found.dtype == np.float32


@pytest.mark.parametrize("weight", [0.01, 1.0, 30.0])
def test_the_weight_of_a_lone_view_changes_nothing(weight: float) -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(600, 16)))
    rows = np.arange(600)
    found = form_groups(
        [view_of(vectors, weight=weight)], rows[rows % 3 > 0], rows[rows % 3 == 0], SETTINGS, 0
    )
    assert found == group_all(vectors)


def crossed() -> tuple[FloatArray, FloatArray, IntArray, IntArray]:
    """A view of 8 clusters, one of 9 others that cut across them, and the cluster in each."""
    random = np.random.default_rng(3)
    topic, facet = random.integers(0, 8, 1_000), random.integers(0, 9, 1_000)
    views = []
    for labels, n_clusters in ((topic, 8), (facet, 9)):
        centres = unit(random.normal(size=(n_clusters, 24)))
        views.append(unit(centres[labels] + 0.1 * random.normal(size=(len(labels), 24))))
    return views[0], views[1], topic, facet


@pytest.mark.parametrize(("weights", "wins"), [((10.0, 0.1), 0), ((0.1, 10.0), 1)])
def test_groups_follow_the_view_of_greater_weight(weights: tuple[float, float], wins: int) -> None:
    topical, across, topic, facet = crossed()
    rows = np.arange(len(topic))
    grouping = form_groups(
        [view_of(topical, "embedding", weights[0]), view_of(across, "focus", weights[1])],
        rows[rows % 3 > 0],
        rows[rows % 3 == 0],
        SETTINGS,
        0,
    )
    first = [g for g in grouping.groups if g.id.startswith(f"clusters:{grouping.chosen[0]}/")]
    members = [row for group in first for row in group.rows]
    found = [position for position, group in enumerate(first) for _ in group.rows]
    purity = [homogeneity_score(labels[members], found) for labels in (topic, facet)]
    assert purity[wins] > 0.9
    assert purity[1 - wins] < 0.2


def test_the_views_are_named_in_the_source() -> None:
    vectors = planted(8, 30)[0]
    views = [view_of(vectors, "embedding"), view_of(vectors, "neuron"), view_of(vectors, "focus")]
    grouping = form_groups(views, np.arange(160), np.arange(160, 240), SETTINGS, 0)
    for group in grouping.groups:
        count = group.id.removeprefix("clusters:").split("/")[0]
        assert group.source == f"embedding_and_neuron_and_focus_clusters:{count}"


def test_views_are_asked_for_discover_and_validation_rows_only() -> None:
    vectors = planted(8, 30)[0]
    asked: set[int] = set()

    def view(rows: IntArray) -> FloatArray:
        asked.update(rows.tolist())
        return vectors[rows]

    form_groups([WeightedView("seen", view)], np.arange(100), np.arange(150, 200), SETTINGS, 0)
    assert asked == {*range(100), *range(150, 200)}


@given(st.lists(st.integers(0, 10_000), unique=True), st.integers(1, 60), st.integers(0, 9))
def test_a_subsample_keeps_the_order_and_the_limit(rows: list[int], limit: int, seed: int) -> None:
    given_rows = np.array(sorted(rows), np.int64)
    found = subsample(given_rows, limit, seed)
    assert len(found) == min(limit, len(rows)) == len(set(found.tolist()))
    assert set(found.tolist()) <= set(rows)
    assert np.all(np.diff(found) > 0)
    np.testing.assert_array_equal(found, subsample(given_rows, limit, seed))
