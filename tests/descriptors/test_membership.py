from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.stats import false_discovery_control, norm

from descriptors.membership import (
    MembershipSettings,
    build_membership,
    describe_query,
    leave_one_out_similarities,
    null_threshold,
)
from descriptors.records import Descriptor
from indexer.arrays import DoubleArray, FloatArray, IntArray
from indexer.index import VectorIndex

pytestmark = pytest.mark.usefixtures("one_faiss_thread")

SETTINGS = MembershipSettings()
NO_SUPPORT = np.empty((0, 8), np.float32)


def unit(rows: FloatArray | DoubleArray) -> FloatArray:
    result: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return result


def random_units(n_rows: int, dimension: int, seed: int = 0) -> FloatArray:
    return unit(np.random.default_rng(seed).normal(size=(n_rows, dimension)))


def descriptor(support: tuple[int, ...], name: str = "d", handicap: float = 0.0) -> Descriptor:
    return Descriptor(
        id=name,
        text=name,
        proposer="test",
        group="g",
        support=support,
        kept=True,
        handicap=handicap,
    )


def members(
    vectors: FloatArray,
    supports: list[tuple[int, ...]],
    text_vectors: FloatArray | None = None,
    background: IntArray | None = None,
    settings: MembershipSettings = SETTINGS,
    handicaps: Sequence[float] | None = None,
) -> csr_matrix:
    n_rows, dimension = vectors.shape
    given = [0.0] * len(supports) if handicaps is None else handicaps
    if text_vectors is None:
        text_vectors = random_units(len(supports), dimension, seed=99)
    return build_membership(
        [
            descriptor(support, handicap=handicap)
            for support, handicap in zip(supports, given, strict=True)
        ],
        text_vectors,
        vectors,
        VectorIndex.build(vectors),
        np.arange(n_rows) if background is None else background,
        settings,
    )


def brute_leave_one_out(support: DoubleArray) -> DoubleArray:
    values = []
    for row in range(len(support)):
        mean = np.delete(support, row, axis=0).mean(axis=0)
        values.append(support[row] @ mean / np.linalg.norm(mean))
    return np.sort(values)


@settings(deadline=None)
@given(st.integers(2, 20), st.integers(2, 12), st.integers(0, 99))
def test_leave_one_out_equals_a_loop(n_support: int, dimension: int, seed: int) -> None:
    support = random_units(n_support, dimension, seed)
    found = leave_one_out_similarities(support)
    np.testing.assert_allclose(found, brute_leave_one_out(support.astype(np.float64)), atol=1e-4)


def test_leave_one_out_by_hand() -> None:
    support = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], np.float32)
    half = math.sqrt(0.5)
    np.testing.assert_allclose(leave_one_out_similarities(support), [0.0, half, half], atol=1e-6)


def test_equal_sentences_are_no_nearer_than_equal() -> None:
    for seed in range(20):
        support = np.repeat(random_units(1, 96, seed), 11, axis=0)
        similarities = leave_one_out_similarities(support)
        assert similarities.max() <= 1.0
        assert similarities.min() == pytest.approx(1.0, abs=1e-6)


def brute_null_threshold(similarities: DoubleArray, rate: float) -> float:
    median = np.median(similarities)
    below = [s - median for s in similarities if s < median - 1e-6]
    spread = math.sqrt(sum(b * b for b in below) / len(below))
    adjusted = false_discovery_control(norm.sf(similarities, median, spread), method="bh")
    beating = similarities[adjusted <= rate]
    if len(beating):
        return float(beating.min())
    return float(norm.isf(rate / len(similarities), median, spread))


@settings(deadline=None)
@given(
    st.integers(20, 400),
    st.integers(0, 60),
    st.sampled_from([0.001, 0.01, 0.1]),
    st.integers(0, 99),
)
def test_null_threshold_equals_scipys_procedure(
    n_null: int, n_far: int, rate: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    similarities = np.append(random.normal(0.0, 0.1, n_null), random.normal(0.5, 0.1, n_far))
    found = null_threshold(similarities, rate)
    assert found == pytest.approx(brute_null_threshold(similarities, rate), abs=1e-12)


def test_pure_noise_rarely_beats_the_null() -> None:
    """Under the null the rate bounds how often anything passes at all."""
    random = np.random.default_rng(0)
    trials = 1_000
    passed = 0
    for _ in range(trials):
        similarities = random.normal(0.02, 0.09, 1_000)
        passed += int(null_threshold(similarities, 0.01) <= similarities.max())
    # At 1 % some 10 of 1,000, and a few more because the spread is estimated.
    assert passed <= 25


@pytest.mark.parametrize("n_far", [1, 10, 100, 300])
def test_what_stands_out_is_found(n_far: int) -> None:
    random = np.random.default_rng(n_far)
    similarities = np.append(random.normal(0.0, 0.09, 2_000), random.normal(0.7, 0.03, n_far))
    threshold = null_threshold(similarities, 0.01)
    assert (similarities[2_000:] >= threshold).all()
    assert (similarities[:2_000] >= threshold).sum() <= max(2, 0.03 * n_far)


def test_when_nothing_beats_the_null_one_sentence_alone_would_need_more() -> None:
    similarities = np.random.default_rng(3).uniform(-0.1, 0.1, 500)
    threshold = null_threshold(similarities, 0.01)
    assert threshold > similarities.max()
    below = similarities[similarities < np.median(similarities) - 1e-6] - np.median(similarities)
    spread = math.sqrt(float(np.mean(below**2)))
    expected = NormalDist(float(np.median(similarities)), spread).inv_cdf(1 - 0.01 / 500)
    assert threshold == pytest.approx(expected)


@pytest.mark.parametrize(
    "similarities",
    [
        np.full(50, 0.3),
        np.full(50, 0.3) + np.random.default_rng(0).normal(0, 1e-8, 50),
        np.append(np.zeros(30), np.linspace(0.5, 1.0, 20)),
        np.array([0.2]),
    ],
    ids=["all equal", "equal but for rounding", "nothing below the median", "one"],
)
def test_without_a_spread_nothing_can_be_told_from_chance(similarities: DoubleArray) -> None:
    assert null_threshold(similarities, 0.01) == math.inf


def test_query_of_a_support_is_its_mean_direction() -> None:
    support = random_units(9, 8) + np.float32(0.5)
    support = unit(support)
    background = random_units(500, 8, seed=1)
    query = describe_query(support, random_units(1, 8, seed=2)[0], background, SETTINGS)
    np.testing.assert_allclose(
        query.vector, unit(support.mean(axis=0, keepdims=True))[0], atol=1e-6
    )
    np.testing.assert_array_equal(query.support_similarities, leave_one_out_similarities(support))
    low = float(np.quantile(query.support_similarities, 0.1))
    null = null_threshold((background @ query.vector).astype(np.float64), 0.01)
    assert query.threshold == pytest.approx(max(low, null), abs=1e-6)


def test_query_without_support_is_the_text() -> None:
    text, background = random_units(1, 8)[0], random_units(500, 8, seed=1)
    query = describe_query(NO_SUPPORT, text, background, SETTINGS)
    np.testing.assert_array_equal(query.vector, text)
    assert len(query.support_similarities) == 0
    similarities = np.clip((background @ text).astype(np.float64), -1, 1)
    assert query.threshold == null_threshold(similarities, 0.01)


def planted(n_noise: int, n_clusters: int, size: int, dimension: int = 32) -> FloatArray:
    """Clusters of `size` first, one after another, then noise."""
    random = np.random.default_rng(5)
    centres = random_units(n_clusters, dimension, seed=6)
    labels = np.repeat(np.arange(n_clusters), size)
    inside = centres[labels] + 0.12 * random.normal(size=(len(labels), dimension))
    return np.vstack([unit(inside), random_units(n_noise, dimension, seed=7)])


def brute_membership(
    vectors: FloatArray, supports: list[tuple[int, ...]], texts: FloatArray, background: IntArray
) -> DoubleArray:
    """Dense scores by loops in float64."""
    rows = vectors.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    dense = np.zeros((len(supports), len(rows)))
    for number, support in enumerate(supports):
        own = np.empty(0)
        if support:
            mean = rows[list(support)].mean(axis=0)
            own = brute_leave_one_out(rows[list(support)])
        else:
            mean = texts[number].astype(np.float64)
        similarities = rows @ mean / np.linalg.norm(mean)
        threshold = brute_null_threshold(similarities[background], SETTINGS.false_discovery_rate)
        if support:
            threshold = max(threshold, float(np.quantile(own, SETTINGS.support_quantile)))
        for row, similarity in enumerate(similarities):
            if similarity >= threshold - 1e-6 and support:
                dense[number, row] = max(1, sum(o <= similarity + 1e-6 for o in own)) / len(own)
            elif similarity >= threshold - 1e-6:
                dense[number, row] = similarity
    return dense


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_membership_equals_loops(dtype: type[np.floating]) -> None:
    vectors = planted(700, 4, 30).astype(dtype)
    supports = [tuple(range(start, start + 15)) for start in (0, 30, 60, 90)]
    texts = unit(np.vstack([random_units(4, 32), vectors[:2].astype(np.float32)]))
    background = np.flatnonzero(np.arange(len(vectors)) % 2 == 0)
    found = members(vectors, [*supports, (), ()], texts, background)
    expected = brute_membership(vectors, [*supports, (), ()], texts, background)
    np.testing.assert_array_equal(found.toarray() > 0, expected > 0)
    np.testing.assert_allclose(found.toarray(), expected, atol=1e-5)
    assert (found.getnnz(axis=1)[:4] >= 20).all()
    assert (found.getnnz(axis=1) <= 60).all()


def test_rows_of_the_matrix_are_canonical() -> None:
    vectors = planted(500, 3, 40)
    found = members(vectors, [tuple(range(20)), (), tuple(range(40, 60))])
    assert found.has_canonical_format
    for row in range(3):
        columns = found.indices[found.indptr[row] : found.indptr[row + 1]]
        assert np.all(np.diff(columns) > 0)
    assert found.shape == (3, 620)
    assert found.dtype == np.float32
    assert ((found.data > 0) & (found.data <= 1)).all()


def test_planted_sentences_outside_the_support_are_members() -> None:
    vectors = planted(1_000, 2, 60)
    found = members(vectors, [tuple(range(20)), tuple(range(60, 80))]).toarray() > 0
    for number, own in enumerate((slice(0, 60), slice(60, 120))):
        assert found[number, own].mean() > 0.7
        assert found[number].sum() - found[number, own].sum() <= 2


def test_what_no_sentence_beats_has_no_members() -> None:
    """A cosine the index cannot tell from the threshold is no excuse to take the nearest one."""
    angles = np.arccos(np.linspace(-0.1, 0.1, 400))
    vectors = unit(np.column_stack([np.cos(angles), np.sin(angles)]))
    text = np.array([[1.0, 0.0]], np.float32)
    assert members(vectors, [()], text).nnz == 0


def test_without_a_null_not_even_an_identical_sentence_is_a_member() -> None:
    vectors = np.repeat(random_units(1, 16), 40, axis=0)
    assert members(vectors, [(), (0, 1, 2)], vectors[:2]).nnz == 0


def test_a_threshold_above_every_cosine_gives_no_members() -> None:
    """In two dimensions nothing is far: even an identical sentence is within chance."""
    angles = np.linspace(0.0, 2.0 * np.pi, 200, endpoint=False)
    vectors = unit(np.column_stack([np.cos(angles), np.sin(angles)]))
    assert members(vectors, [()], vectors[:1]).nnz == 0


def test_a_sentence_said_over_and_over_holds_for_all_its_copies() -> None:
    for seed in range(5):
        vectors = random_units(600, 96, seed)
        vectors[:30] = vectors[0]
        found = members(vectors.astype(np.float16), [tuple(range(12))])
        assert found.indices.tolist() == list(range(30))
        assert found.data.tolist() == [1.0] * 30


def test_seeded_scores_are_cosines_and_never_zero() -> None:
    """Members below a cosine of 0 exist where everything else is even further away."""
    random = np.random.default_rng(0)
    cosines = np.append(random.normal(-0.8, 0.02, 400), [-0.1, -0.05, 0.5])
    vectors = unit(np.column_stack([cosines, np.sqrt(1 - cosines**2)]))
    found = members(vectors, [()], np.array([[1.0, 0.0]], np.float32))
    assert found.indices.tolist() == [400, 401, 402]
    assert found.nnz == np.count_nonzero(found.data) == 3
    assert found.data[2] == pytest.approx(0.5, abs=1e-6)
    assert 0 < found.data[0] < 1e-30


def test_a_support_of_one_has_no_spread_of_its_own() -> None:
    vectors = planted(800, 1, 30)
    found = members(vectors, [(0,)])
    similarities = vectors @ vectors[0]
    threshold = null_threshold(similarities.astype(np.float64), 0.01)
    assert found.indices.tolist() == np.flatnonzero(similarities >= threshold - 1e-6).tolist()
    np.testing.assert_allclose(found.data, similarities[found.indices], atol=1e-5)


def test_settings_move_the_threshold() -> None:
    vectors = planted(500, 1, 60)
    sizes = [
        members(vectors, [tuple(range(30))], settings=MembershipSettings(support_quantile=q)).nnz
        for q in (0.0, 0.2, 0.6)
    ]
    assert sizes[0] > sizes[1] > sizes[2] > 0


def neighbours() -> tuple[FloatArray, list[tuple[int, ...]]]:
    """Two groups a fourteenth of a turn apart, each of which would have some of the other."""
    random = np.random.default_rng(0)
    centres = np.eye(32)[:1].repeat(2, axis=0)
    centres[1, :2] = math.cos(math.pi / 7), math.sin(math.pi / 7)
    near = unit(np.repeat(centres, 60, axis=0) + 0.12 * random.normal(size=(120, 32)))
    vectors = np.vstack([near, random_units(700, 32)])
    return vectors, [tuple(range(30)), tuple(range(60, 90))]


def test_neighbours_share_out_the_sentences_between_them() -> None:
    vectors, supports = neighbours()
    alone = members(vectors, supports, settings=MembershipSettings(competing_share=0.0))
    found = members(vectors, supports)
    cosines = np.stack([vectors[list(each)].mean(axis=0) for each in supports]) @ vectors.T
    cosines /= np.stack([np.linalg.norm(vectors[list(s)].mean(axis=0)) for s in supports])[:, None]
    both = (alone.toarray() > 0).all(axis=0)
    assert both.sum() >= 5
    expected = (alone.toarray() > 0) & (~both | (cosines == cosines.max(axis=0)))
    np.testing.assert_array_equal(found.toarray() > 0, expected)
    kept = found.toarray() > 0
    # Whoever keeps a sentence keeps its score, too.
    np.testing.assert_array_equal(found.toarray()[kept], alone.toarray()[kept])


def test_what_comes_after_a_neighbour_takes_nothing_from_it() -> None:
    vectors, supports = neighbours()
    alone = members(vectors, supports, settings=MembershipSettings(competing_share=0.0))
    shared = members(vectors, supports)
    assert shared[0].nnz < alone[0].nnz
    assert shared[1].nnz < alone[1].nnz
    found = members(vectors, supports, handicaps=[0.0, 0.2])
    np.testing.assert_array_equal(found[0].toarray(), alone[0].toarray())
    np.testing.assert_array_equal(found[1].toarray(), shared[1].toarray())
    little = members(vectors, supports, handicaps=[0.0, 0.1])
    np.testing.assert_array_equal(little.toarray(), shared.toarray())


def test_a_group_and_its_part_hold_for_the_same_sentences() -> None:
    vectors = planted(700, 1, 60)
    supports = [tuple(range(40)), tuple(range(10))]
    alone = members(vectors, supports, settings=MembershipSettings(competing_share=0.0))
    np.testing.assert_array_equal(members(vectors, supports).toarray(), alone.toarray())
    assert (alone.getnnz(axis=0) == 2).any()


def test_rows_outside_the_background_do_not_move_the_threshold() -> None:
    vectors = planted(500, 1, 40)
    background = np.arange(400)
    few = members(vectors[:400], [tuple(range(20))], background=background)
    more = members(vectors, [tuple(range(20))], background=background)
    np.testing.assert_array_equal(more[:, :400].toarray(), few.toarray())


def test_no_descriptors_give_an_empty_matrix() -> None:
    found = members(random_units(20, 4), [])
    assert found.shape == (0, 20)
    assert found.nnz == 0


def test_text_vectors_must_fit() -> None:
    with pytest.raises(ValueError, match="1 descriptors but 2 text vectors"):
        members(random_units(20, 4), [(1, 2)], random_units(2, 4))
