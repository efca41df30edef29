from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sklearn.metrics import homogeneity_score

from descriptors.grouping_settings import GroupingSettings
from descriptors.groups import Grouping, form_groups, subsample
from descriptors.views import Space, WeightedView
from indexer.arrays import FloatArray, IntArray
from indexer.errors import InputError
from indexer.neighbours import Vectors

pytestmark = pytest.mark.usefixtures("one_faiss_thread")

SETTINGS = GroupingSettings()


def unit(rows: Vectors) -> FloatArray:
    result: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return result


def planted(n_clusters: int, size: int, seed: int = 0) -> tuple[FloatArray, IntArray]:
    """Shuffled vectors of equally large clusters, and the cluster of each."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(n_clusters), size))
    centres = unit(random.normal(size=(n_clusters, 64)))
    return unit(centres[labels] + 0.07 * random.normal(size=(len(labels), 64))), labels


def nested(n_clusters: int, n_parts: int, size: int) -> tuple[FloatArray, IntArray]:
    """As `planted`, each cluster made of parts that lie near each other."""
    random = np.random.default_rng(2)
    labels = random.permutation(np.repeat(np.arange(n_clusters * n_parts), size))
    centres = np.repeat(random.normal(size=(n_clusters, 64)), n_parts, axis=0)
    centres = unit(centres + 0.5 * random.normal(size=centres.shape))
    vectors = unit(centres[labels] + 0.04 * random.normal(size=(len(labels), 64)))
    return vectors, labels // n_parts


def embedding(vectors: Vectors) -> list[Space]:
    """The only space: the vectors themselves."""
    return [Space((WeightedView("embedding", lambda rows: vectors[rows]),))]


def group_all(
    vectors: FloatArray, settings: GroupingSettings = SETTINGS, seed: int = 0
) -> Grouping:
    """Two of three rows to discover, the others to validation."""
    rows = np.arange(len(vectors))
    return form_groups(embedding(vectors), rows[rows % 3 > 0], rows[rows % 3 == 0], settings, seed)


def best_count(grouping: Grouping) -> int:
    """The fewest clusters that voted: those of the multiple 1."""
    return min(each.n_clusters for each in grouping.chosen)


def changed(**settings: float) -> GroupingSettings:
    return SETTINGS.model_copy(update=settings)


@pytest.mark.parametrize("n_planted", [8, 16, 23, 45])
def test_planted_clusters_are_the_groups(n_planted: int) -> None:
    vectors, labels = planted(n_planted, 60)
    grouping = group_all(vectors, changed(minimum_groups=2, maximum_parts=0))
    assert n_planted / math.sqrt(2) - 1 <= best_count(grouping) <= n_planted * math.sqrt(2) + 1
    rows = [row for group in grouping.groups for row in group.rows]
    found = [position for position, group in enumerate(grouping.groups) for _ in group.rows]
    assert homogeneity_score(labels[rows], found) > 0.9
    assert grouping.ungrouped < 0.2 * grouping.clustered
    planted_sets = {frozenset(np.flatnonzero(labels == n)) for n in range(n_planted)}
    discover = frozenset(range(0, len(vectors))) - frozenset(range(0, len(vectors), 3))
    whole = {each & discover for each in planted_sets}
    assert len({frozenset(group.rows) for group in grouping.groups} & whole) > 0.9 * n_planted
    stabilities = [group.stability for group in grouping.groups]
    assert stabilities == sorted(stabilities, key=lambda each: -(each or 0.0))


def test_granularities_around_the_best_vote_and_every_try_is_reported() -> None:
    grouping = group_all(planted(16, 60)[0], changed(minimum_groups=2, maximum_parts=0, repeats=2))
    assert [each.n_clusters for each in grouping.tried] == [8, 11, 16, 23, 32, 45, 53]
    assert all(0.0 <= each.silhouette <= 1.0 for each in grouping.tried)
    best = best_count(grouping)
    voted = [(each.n_clusters, each.repeat) for each in grouping.chosen]
    counts = [min(53, round(best * multiple)) for multiple in (1.0, math.sqrt(2.0), 2.0)]
    assert voted == [(count, repeat) for count in counts for repeat in (0, 1)]


def test_rows_are_discover_rows_most_central_first() -> None:
    vectors, _ = planted(12, 40)
    grouping = group_all(vectors)
    for group in grouping.groups:
        assert all(row % 3 > 0 for row in (*group.rows, *group.contrast_rows))
        members = vectors[list(group.rows)]
        # The mean of the rows is the centroid but for the last round of k-means.
        similarities = members @ unit(members.mean(axis=0, keepdims=True))[0]
        assert np.all(np.diff(similarities) <= 2e-3)


def test_groups_are_large_enough_and_share_less_than_half_of_their_sentences() -> None:
    vectors, _ = planted(12, 40)
    grouping = group_all(vectors, changed(minimum_groups=2, maximum_parts=0))
    sets = [set(group.rows) for group in grouping.groups]
    for place, one in enumerate(sets):
        assert len(one) == len(grouping.groups[place].rows) >= SETTINGS.minimum_group
        for other in sets[:place]:
            assert len(one & other) < SETTINGS.maximum_overlap * min(len(one), len(other))


def test_sentences_in_no_group_are_counted() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(600, 48)))
    grouping = group_all(vectors, changed(minimum_groups=2, maximum_parts=0))
    grouped = {row for group in grouping.groups for row in group.rows}
    assert grouping.clustered == 400
    assert 0 < grouping.ungrouped == 400 - len(grouped)


def test_ids_are_unique_and_tell_where_a_group_is_from() -> None:
    grouping = group_all(planted(16, 60)[0])
    ids = [group.id for group in grouping.groups]
    assert len(set(ids)) == len(ids)
    for group in grouping.groups:
        found = re.fullmatch(r"embedding:(\d+)\.\d/\d+", group.id)
        assert found
        assert group.source == f"embedding_clusters:{found[1]}"


def test_contrast_comes_from_the_nearest_groups_that_are_not_its_own() -> None:
    vectors, _ = planted(16, 60)
    settings = changed(contrast_groups=3, contrast_per_group=4, minimum_groups=2, maximum_parts=0)
    groups = group_all(vectors, settings).groups
    means = unit(np.array([vectors[list(group.rows)].mean(axis=0) for group in groups]))
    for position, group in enumerate(groups):
        own = set(group.rows)
        assert not own & set(group.contrast_rows)
        nearest = [n for n in np.argsort(-(means @ means[position])) if n != position][:3]
        expected = [row for n in nearest for row in groups[n].rows[:4] if row not in own]
        assert list(group.contrast_rows) == list(dict.fromkeys(expected))


def test_a_whole_is_no_contrast_to_its_part_but_a_sibling_is() -> None:
    groups = group_all(nested(8, 4, 60)[0], changed(contrast_groups=1, contrast_per_group=2)).groups
    sets = [set(group.rows) for group in groups]
    parts = [own for own in sets if any(own < other for other in sets)]
    assert parts
    for group, own in zip(groups, sets, strict=True):
        # Its two most central sentences, without one that both groups hold.
        contrast = set(group.contrast_rows)
        assert contrast
        assert not contrast & own
        assert any(
            contrast <= set(other.rows[:2])
            and len(own & set(other.rows))
            < SETTINGS.maximum_overlap * min(len(own), len(other.rows))
            for other in groups
        )


def test_the_only_group_has_no_contrast() -> None:
    """A cluster of a sentence or two is no group, so it is no contrast either."""
    centres = unit(np.eye(4))
    labels = np.array([0] * 60 + [1, 2, 3] * 2)
    random = np.random.default_rng(0)
    vectors = unit(centres[labels] + 0.01 * random.normal(size=(66, 4)))
    settings = changed(minimum_group=20, mean_group=30, minimum_groups=2, maximum_parts=0)
    grouping = form_groups(embedding(vectors), np.arange(66), np.arange(66), settings, 0)
    assert {each.n_clusters for each in grouping.chosen} == {2}
    assert [group.contrast_rows for group in grouping.groups] == [()]
    assert grouping.ungrouped == 6


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
    most = max(each.n_clusters for each in grouping.chosen)
    assert 2 <= most <= n_sentences // SETTINGS.mean_group
    assert grouping.groups


def test_no_cluster_large_enough_is_said() -> None:
    settings = changed(minimum_group=50, mean_group=4)
    with pytest.raises(InputError, match=r"no cluster of 80 sentences.*has 50 sentences"):
        group_all(planted(12, 10)[0], settings)


def test_a_space_is_needed() -> None:
    with pytest.raises(ValueError, match="found no space"):
        form_groups([], np.arange(80), np.arange(8), SETTINGS, 0)


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
        repeats=2,
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
    assert max(each.n_clusters for each in grouping.chosen) <= limit


def test_parts_are_added_while_there_are_few_groups() -> None:
    vectors, labels = nested(8, 4, 60)
    few = group_all(vectors, changed(minimum_groups=2, maximum_parts=0))
    more = group_all(vectors, changed(minimum_groups=48, maximum_parts=0))
    assert [group.rows for group in more.groups[: len(few.groups)]] == [
        group.rows for group in few.groups
    ]
    added = more.groups[len(few.groups) :]
    assert 0 < len(added) <= 48 - len(few.groups)
    stabilities = [group.stability or 0.0 for group in added]
    assert stabilities == sorted(stabilities, reverse=True)
    assert all(len(set(labels[list(group.rows)])) == 1 for group in added[:8])
    sets = [set(group.rows) for group in more.groups]
    for place, one in enumerate(sets):
        for other in sets[:place]:
            assert len(one & other) < SETTINGS.maximum_overlap * len(one | other)


def test_stable_parts_come_after_the_groups_with_a_handicap() -> None:
    vectors, labels = nested(8, 4, 60)
    groups = group_all(vectors, changed(minimum_groups=2, maximum_parts=0)).groups
    found = group_all(vectors, changed(minimum_groups=2)).groups
    rows = [(group.rows, group.handicap) for group in found]
    assert rows[: len(groups)] == [(group.rows, group.handicap) for group in groups]
    parts = found[len(groups) :]
    assert parts
    for group in groups:
        assert group.stability is not None
        assert group.handicap == pytest.approx(0.1 * (1.0 - group.stability))
    for part in parts:
        assert part.handicap == SETTINGS.part_handicap
        assert (part.stability or 0.0) >= SETTINGS.minimum_stability
    assert all(len(set(labels[list(part.rows)])) == 1 for part in parts[:8])
    fewer = group_all(vectors, changed(minimum_groups=2, maximum_parts=3)).groups
    assert [group.rows for group in fewer] == [own for own, _ in rows[: len(groups) + 3]]


def test_parts_that_stand_for_groups_have_the_handicap_of_groups() -> None:
    vectors, _ = nested(8, 4, 60)
    n_groups = len(group_all(vectors, changed(minimum_groups=2, maximum_parts=0)).groups)
    found = group_all(vectors, changed(minimum_groups=n_groups + 2, maximum_parts=2)).groups
    first, second, *others = (group.handicap for group in found[n_groups:])
    # The coarse clusterings find a part again only within a cluster several times as large.
    assert 0.0 < first < SETTINGS.instability_handicap
    assert 0.0 < second < SETTINGS.instability_handicap
    assert others == [SETTINGS.part_handicap] * 2


def test_noise_gets_no_parts() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(900, 48)))
    grouping = group_all(vectors, changed(minimum_groups=2))
    assert {group.handicap for group in grouping.groups}.isdisjoint({SETTINGS.part_handicap})


def test_noise_is_covered_though_nothing_in_it_is_stable() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(900, 48)))
    grouping = group_all(vectors, changed(minimum_groups=2, maximum_parts=0))
    assert all((group.stability or 0.0) < 0.5 for group in grouping.groups)
    assert grouping.ungrouped <= (1.0 - SETTINGS.coverage) * grouping.clustered
    fewer = group_all(vectors, changed(minimum_groups=2, maximum_parts=0, coverage=0.2))
    assert fewer.ungrouped > grouping.ungrouped


def test_a_large_corpus_is_sampled() -> None:
    vectors, _ = planted(8, 100)
    settings = changed(maximum_sentences=200)
    grouping = group_all(vectors, settings)
    rows = {row for group in grouping.groups for row in group.rows}
    assert 100 < len(rows) <= 200
    assert all(row % 3 > 0 for row in rows)
    assert max(each.n_clusters for each in grouping.tried) == 200 // SETTINGS.mean_group
    other = group_all(vectors, settings, seed=1)
    assert rows != {row for group in other.groups for row in group.rows}


def test_the_same_seed_gives_the_same_groups() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(600, 16)))
    assert group_all(vectors, seed=3) == group_all(vectors, seed=3)
    assert group_all(vectors, seed=3) != group_all(vectors, seed=9)


def test_another_seed_of_the_grouping_shares_no_start_and_clusters_the_same_rows() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(600, 16)))
    settings = changed(maximum_sentences=300)
    by_seed = [group_all(vectors, settings.model_copy(update={"seed": seed})) for seed in range(4)]
    found = [{group.rows for group in each.groups} for each in by_seed]
    assert all(not found[0] & other for other in found[1:])
    assert by_seed[0] == group_all(vectors, settings)
    assert [each.clustered for each in by_seed] == [300] * 4


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


def space_of(*views: FloatArray, weights: tuple[float, ...] = (1.0,)) -> Space:
    """Views named after letters."""
    return Space(
        tuple(
            WeightedView(name, lambda rows, own=own: own[rows], weight)
            for name, own, weight in zip("abc", views, weights, strict=False)
        )
    )


@pytest.mark.parametrize("weight", [0.01, 1.0, 30.0])
def test_the_weight_of_a_lone_view_changes_nothing(weight: float) -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(600, 16)))
    rows = np.arange(600)
    one, other = (
        form_groups(
            [space_of(vectors, weights=(own,))],
            rows[rows % 3 > 0],
            rows[rows % 3 == 0],
            SETTINGS,
            0,
        )
        for own in (weight, 1.0)
    )
    assert one == other


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
        [space_of(topical, across, weights=weights)],
        rows[rows % 3 > 0],
        rows[rows % 3 == 0],
        changed(minimum_groups=2, maximum_parts=0),
        0,
    )
    members = [row for group in grouping.groups for row in group.rows]
    found = [position for position, group in enumerate(grouping.groups) for _ in group.rows]
    purity = [homogeneity_score(labels[members], found) for labels in (topic, facet)]
    assert purity[wins] > 0.9
    assert purity[1 - wins] < 0.2


@pytest.mark.parametrize("order", [("clear", "noise"), ("noise", "clear")])
def test_groups_come_from_the_space_in_which_there_are_any(order: tuple[str, str]) -> None:
    clear, labels = planted(8, 90)
    vectors = {
        "clear": clear,
        "noise": unit(np.random.default_rng(5).normal(size=clear.shape)),
    }
    rows = np.arange(len(clear))
    grouping = form_groups(
        [Space((WeightedView(name, vectors[name].__getitem__),)) for name in order],
        rows[rows % 3 > 0],
        rows[rows % 3 == 0],
        changed(minimum_groups=2, maximum_parts=0),
        0,
    )
    for group in grouping.groups[:8]:
        assert group.source.startswith("clear_clusters")
        assert len(set(labels[list(group.rows)])) == 1


def test_views_are_asked_for_discover_and_validation_rows_only() -> None:
    vectors = planted(8, 30)[0]
    asked: set[int] = set()

    def view(rows: IntArray) -> FloatArray:
        asked.update(rows.tolist())
        return vectors[rows]

    spaces = [Space((WeightedView("seen", view),))]
    form_groups(spaces, np.arange(100), np.arange(150, 200), SETTINGS, 0)
    assert asked == {*range(100), *range(150, 200)}


@given(st.lists(st.integers(0, 10_000), unique=True), st.integers(1, 60), st.integers(0, 9))
def test_a_subsample_keeps_the_order_and_the_limit(rows: list[int], limit: int, seed: int) -> None:
    given_rows = np.array(sorted(rows), np.int64)
    found = subsample(given_rows, limit, seed)
    assert len(found) == min(limit, len(rows)) == len(set(found.tolist()))
    assert set(found.tolist()) <= set(rows)
    assert np.all(np.diff(found) > 0)
    np.testing.assert_array_equal(found, subsample(given_rows, limit, seed))
