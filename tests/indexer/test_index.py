from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from indexer import index as index_module
from indexer.arrays import DoubleArray, FloatArray, IntArray
from indexer.faiss_backend import nearest
from indexer.index import VectorIndex
from indexer.index_manifest import IndexKind, vectors_fingerprint
from indexer.inverted_lists import build_inverted_lists
from indexer.neighbours import Neighbours, brute_force_neighbours, recall

KINDS = [IndexKind.EXACT, IndexKind.INVERTED_LISTS]


def unit(rows: FloatArray) -> FloatArray:
    scaled: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def clustered_vectors(
    n_vectors: int, dimension: int = 24, seed: int = 0, noise: float = 0.4
) -> FloatArray:
    """Unit vectors around 20 centres, as topics in sentence embeddings."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(20, dimension))
    rows = centres[generator.integers(20, size=n_vectors)]
    rows += generator.normal(scale=noise, size=rows.shape)
    return unit(rows.astype(np.float32))


def cosines(queries: FloatArray, vectors: FloatArray) -> DoubleArray:
    """The oracle: cosine similarities in float64 (`n_queries, n_vectors`)."""
    left, right = queries.astype(np.float64), vectors.astype(np.float64)
    lengths = np.outer(np.linalg.norm(left, axis=1), np.linalg.norm(right, axis=1))
    similarities: DoubleArray = left @ right.T / lengths
    return similarities


def nearest_by_sorting(
    queries: FloatArray, vectors: FloatArray, k: int
) -> tuple[IntArray, DoubleArray]:
    similarities = cosines(queries, vectors)
    ids = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    return ids, np.take_along_axis(similarities, ids, axis=1)


def assert_equals_oracle(found: Neighbours, queries: FloatArray, vectors: FloatArray) -> None:
    """Every id carries its own cosine, and no better vector was left out."""
    similarities = cosines(queries, vectors)
    ids, best = nearest_by_sorting(queries, vectors, found.ids.shape[1])
    assert found.ids.shape == ids.shape
    assert all(len(set(row)) == len(row) for row in found.ids.tolist())
    np.testing.assert_allclose(found.similarities, best, atol=2e-6)
    np.testing.assert_allclose(
        np.take_along_axis(similarities, found.ids, axis=1), found.similarities, atol=2e-6
    )


@pytest.mark.parametrize("n_queries", [1, 5, 300], ids=["one", "few", "several chunks"])
def test_exact_search_equals_brute_force(n_queries: int) -> None:
    vectors = clustered_vectors(700)
    queries = clustered_vectors(n_queries, seed=1)
    found = VectorIndex.build(vectors).search(queries, 10)
    ids, _ = nearest_by_sorting(queries, vectors, 10)
    assert_equals_oracle(found, queries, vectors)
    np.testing.assert_array_equal(found.ids, ids)
    assert found.similarities.dtype == np.float32
    assert found.ids.dtype == np.int64


def test_approximate_search_reaches_the_recall_it_reports() -> None:
    everything = clustered_vectors(6_300)
    vectors, queries = everything[:6_000], everything[6_000:]
    index = VectorIndex.build(vectors, exact_below=1_000)
    assert index.facts.kind is IndexKind.INVERTED_LISTS
    assert 1 < index.facts.n_probes < index.facts.n_lists
    found = index.search(queries, 10)
    ids, _ = nearest_by_sorting(queries, vectors, 10)
    hits = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.ids, ids, strict=True)])
    assert index.facts.recall_at_10 >= 0.95
    assert hits >= 0.95
    expected = np.take_along_axis(cosines(queries, vectors), found.ids, axis=1)
    np.testing.assert_allclose(found.similarities, expected, atol=2e-6)


def test_reported_recall_is_that_of_stored_vectors_without_themselves() -> None:
    vectors = clustered_vectors(3_000)
    index = VectorIndex.build(vectors, IndexKind.INVERTED_LISTS)
    generator = np.random.default_rng(0)
    training = min(3_000, 64 * index.facts.n_lists)
    generator.choice(3_000, training, replace=False)
    sample = np.sort(generator.choice(3_000, 200, replace=False))
    others = cosines(vectors[sample], vectors)
    others[np.arange(200), sample] = -np.inf
    expected = np.argsort(-others, axis=1)[:, :10]
    found = index.search(vectors[sample], 11).ids
    hits = [len(set(a) & set(b)) / 10 for a, b in zip(found[:, 1:], expected, strict=True)]
    assert index.facts.recall_at_10 == pytest.approx(np.mean(hits))


def test_effort_is_doubled_until_recall_is_reached() -> None:
    everything = clustered_vectors(6_200, noise=1.5)
    vectors, queries = everything[:6_000], everything[6_000:]
    lists = build_inverted_lists(vectors, seed=0)
    exact = brute_force_neighbours(vectors, queries, 10)
    assert lists.n_probes > 8
    assert lists.recall_at_10 >= 0.95
    assert recall(nearest(lists.index, queries, 10, lists.n_probes), exact) >= 0.95
    assert recall(nearest(lists.index, queries, 10, 8), exact) < 0.95


def test_vectors_without_neighbourhoods_fall_back_to_exact_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    generator = np.random.default_rng(0)
    vectors = unit(generator.normal(size=(3_000, 256)).astype(np.float32))
    with caplog.at_level(logging.WARNING):
        index = VectorIndex.build(vectors, IndexKind.INVERTED_LISTS)
    assert index.facts.kind is IndexKind.EXACT
    assert index.facts.recall_at_10 == 1.0
    assert "exact instead" in caplog.text
    assert_equals_oracle(index.search(vectors[:20], 10), vectors[:20], vectors)


def test_kind_follows_the_number_of_vectors() -> None:
    vectors = clustered_vectors(2_000)
    assert VectorIndex.build(vectors, exact_below=2_001).facts.kind is IndexKind.EXACT
    assert VectorIndex.build(vectors, exact_below=2_000).facts.kind is IndexKind.INVERTED_LISTS
    assert index_module.EXACT_BELOW == 200_000


@pytest.mark.parametrize("kind", KINDS)
def test_k_above_the_number_of_vectors_lists_all_of_them_without_padding(kind: IndexKind) -> None:
    vectors = clustered_vectors(500)
    found = VectorIndex.build(vectors, kind).search(vectors[:7], 10_000)
    assert found.ids.shape == (7, 500)
    assert_equals_oracle(found, vectors[:7], vectors)


def test_query_whose_probed_lists_hold_too_few_is_not_padded() -> None:
    vectors = clustered_vectors(3_000)
    lists = build_inverted_lists(vectors, seed=0)
    _, padded = lists.index.search(vectors[:9], 1_500)
    assert (padded == -1).any()
    assert_equals_oracle(nearest(lists.index, vectors[:9], 1_500, 1), vectors[:9], vectors)


def test_opposite_vectors_have_similarity_minus_one() -> None:
    # Inner product, not distance: the opposite is the last, however the metric is named.
    vectors = np.array([[1, 0], [0, 1], [-1, 0], [0.6, 0.8]], dtype=np.float32)
    found = VectorIndex.build(vectors).search(vectors[:1], 4)
    assert found.ids.tolist() == [[0, 3, 1, 2]]
    np.testing.assert_allclose(found.similarities, [[1.0, 0.6, 0.0, -1.0]], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_duplicates_are_all_found_in_order_of_id(kind: IndexKind) -> None:
    vectors = clustered_vectors(400)
    copies = [3, 77, 200, 399]
    vectors[copies] = vectors[3]
    index = VectorIndex.build(vectors, kind)
    found = index.search(vectors[3:4], 4)
    assert found.ids.tolist() == [copies]
    assert found.similarities.max() <= 1.0
    assert index.similar(vectors[3:4], 1.0)[0].ids.tolist() == copies


def test_ties_are_in_order_of_id() -> None:
    vectors = np.array([[0, 1], [1, 0], [0, -1], [1, 0], [0, 1]], dtype=np.float32)
    found = VectorIndex.build(vectors).search(np.array([[1, 0]], dtype=np.float32), 5)
    assert found.ids.tolist() == [[1, 3, 0, 2, 4]]


def test_both_ways_sentences_of_a_descriptor_and_descriptors_of_a_sentence() -> None:
    sentences, descriptors = clustered_vectors(300), clustered_vectors(12, seed=2)
    to_sentences = VectorIndex.build(sentences).search(descriptors, 5)
    to_descriptors = VectorIndex.build(descriptors).search(sentences, 12)
    assert_equals_oracle(to_sentences, descriptors, sentences)
    assert_equals_oracle(to_descriptors, sentences, descriptors)
    for descriptor in range(12):
        sentence = to_sentences.ids[descriptor, 0]
        place = to_descriptors.ids[sentence].tolist().index(descriptor)
        assert to_descriptors.similarities[sentence, place] == pytest.approx(
            to_sentences.similarities[descriptor, 0], abs=1e-6
        )


def test_float16_memory_map_is_searched_as_what_it_stores(tmp_path: Path) -> None:
    vectors = clustered_vectors(20_000)
    np.save(tmp_path / "embeddings.npy", vectors.astype(np.float16))
    stored = np.load(tmp_path / "embeddings.npy", mmap_mode="r", allow_pickle=False)
    for kind in KINDS:
        index = VectorIndex.build(stored, kind)
        found = index.search(stored[:50], 10)
        ids, _ = nearest_by_sorting(stored[:50], stored, 10)
        hits = [len(set(a) & set(b)) / 10 for a, b in zip(found.ids, ids, strict=True)]
        assert np.mean(hits) >= (1.0 if kind is IndexKind.EXACT else 0.95)
        assert found.similarities.max() <= 1.0
    assert index.facts.vectors_sha256 == vectors_fingerprint(stored)


@settings(max_examples=40, deadline=None)
@given(
    rows=arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 60), st.integers(1, 8)),
        elements=st.integers(-3, 3).map(float),
    ),
    kind=st.sampled_from(KINDS),
)
def test_stored_vector_finds_itself_or_its_equal_first(rows: FloatArray, kind: IndexKind) -> None:
    rows = rows[np.any(rows != 0, axis=1)]
    if not len(rows):
        rows = np.ones((1, 2), dtype=np.float32)
    vectors = unit(rows)
    found = VectorIndex.build(vectors, kind).search(vectors, 1)
    np.testing.assert_allclose(vectors[found.ids[:, 0]], vectors, atol=1e-6)
    np.testing.assert_allclose(found.similarities, 1.0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("minimum", [-1.0, 0.0, 0.55, 0.999])
def test_similar_equals_brute_force(kind: IndexKind, minimum: float) -> None:
    vectors, queries = clustered_vectors(3_000), clustered_vectors(40, seed=1)
    answers = VectorIndex.build(vectors, kind).similar(queries, minimum)
    expected = cosines(queries, vectors)
    assert len(answers) == 40
    for answer, row in zip(answers, expected, strict=True):
        assert set(np.flatnonzero(row >= minimum + 2e-6)) <= set(answer.ids.tolist())
        assert set(answer.ids.tolist()) <= set(np.flatnonzero(row >= minimum - 3e-6))
        np.testing.assert_allclose(answer.similarities, row[answer.ids], atol=2e-6)
        assert (np.diff(answer.similarities) <= 0).all()
        assert len(set(answer.ids.tolist())) == len(answer.ids)


@pytest.mark.parametrize("kind", KINDS)
def test_similar_includes_the_vector_exactly_at_the_threshold(kind: IndexKind) -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1]], dtype=np.float32)
    query = np.array([[1, 0]], dtype=np.float32)
    index = VectorIndex.build(vectors, kind)
    assert index.similar(query, 0.6)[0].ids.tolist() == [0, 1, 2]
    assert index.similar(query, 0.60001)[0].ids.tolist() == [0, 1]
    assert index.similar(query, 1.0)[0].ids.tolist() == [0]


def test_similar_keeps_a_threshold_that_was_a_computed_similarity() -> None:
    vectors = clustered_vectors(500)
    index = VectorIndex.build(vectors)
    for k in (1, 17, 250):
        threshold = float((vectors @ vectors[9])[np.argsort(-(vectors @ vectors[9]))[k - 1]])
        assert len(index.similar(vectors[9:10], min(threshold, 1.0))[0].ids) == k


def test_nothing_similar_enough_gives_empty_answers() -> None:
    vectors = np.array([[1, 0], [0, 1]], dtype=np.float32)
    answers = VectorIndex.build(vectors).similar(np.array([[-1, 0], [0, 1]], np.float32), 0.5)
    assert [answer.ids.tolist() for answer in answers] == [[], [1]]


def test_no_queries_give_no_answers() -> None:
    index = VectorIndex.build(clustered_vectors(50))
    none = np.empty((0, 24), dtype=np.float32)
    assert index.search(none, 3).ids.shape == (0, 3)
    assert index.similar(none, 0.5) == []
