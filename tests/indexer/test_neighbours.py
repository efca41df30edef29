from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.arrays import FloatArray
from indexer.neighbours import Neighbours, brute_force_neighbours, recall, unit_rows


def random_vectors(n_vectors: int, dimension: int, seed: int = 0) -> FloatArray:
    rows = np.random.default_rng(seed).normal(size=(n_vectors, dimension))
    unit: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def assert_equals_sorting(found: Neighbours, queries: FloatArray, vectors: FloatArray) -> None:
    similarities = queries.astype(np.float64) @ vectors.astype(np.float64).T
    ids = np.argsort(-similarities, axis=1, kind="stable")[:, : found.ids.shape[1]]
    np.testing.assert_array_equal(found.ids, ids)
    expected = np.take_along_axis(similarities, ids, axis=1)
    np.testing.assert_allclose(found.similarities, expected, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5))
def test_brute_force_equals_sorting(n_vectors: int, k: int, seed: int) -> None:
    vectors, queries = random_vectors(n_vectors, 5, seed), random_vectors(4, 5, seed + 1)
    k = min(k, n_vectors)
    assert_equals_sorting(brute_force_neighbours(vectors, queries, k), queries, vectors)


def test_brute_force_joins_chunks() -> None:
    vectors = random_vectors(33_000, dimension=6)
    queries = vectors[[0, 16_383, 16_384, 32_999]]
    found = brute_force_neighbours(vectors, queries, 5)
    assert found.ids[:, 0].tolist() == [0, 16_383, 16_384, 32_999]
    assert_equals_sorting(found, queries, vectors)


@pytest.mark.parametrize("k", [0, 4])
def test_brute_force_refuses_a_k_it_cannot_fill(k: int) -> None:
    vectors = random_vectors(3, 4)
    with pytest.raises(ValueError, match=f"k is {k}, expected 1 to 3"):
        brute_force_neighbours(vectors, vectors, k)


def test_recall_counts_the_found_share_and_forgives_ties() -> None:
    exact = Neighbours(np.array([[1, 2], [3, 4]]), np.array([[0.9, 0.5], [0.8, 0.7]], np.float32))
    half = Neighbours(np.array([[1, 9], [3, 8]]), np.array([[0.9, 0.4], [0.8, 0.6]], np.float32))
    tied = Neighbours(np.array([[1, 9], [3, 4]]), np.array([[0.9, 0.5], [0.8, 0.7]], np.float32))
    assert recall(half, exact) == 0.5
    assert recall(tied, exact) == 1.0
    with pytest.raises(ValueError, match=r"\(2, 1\).*\(2, 2\)"):
        recall(Neighbours(half.ids[:, :1], half.similarities[:, :1]), exact)


def test_unit_rows_scale_away_float16_rounding() -> None:
    stored = random_vectors(200, dimension=384).astype(np.float16)
    lengths = np.linalg.norm(unit_rows(stored, 384).astype(np.float64), axis=1)
    np.testing.assert_allclose(lengths, 1.0, atol=2e-7)
