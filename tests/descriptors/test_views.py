from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from descriptors.views import Space, WeightedView, joined
from indexer.arrays import FloatArray
from indexer.neighbours import Vectors


def unit(rows: Vectors) -> FloatArray:
    result: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return result


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


def test_a_space_is_named_after_its_views_and_joins_them() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(5, 3)))
    views = (view_of(vectors, "embedding"), view_of(vectors, "neuron", 0.5))
    space = Space(views)
    assert space.name == "embedding_and_neuron"
    rows = np.array([3, 1])
    assert np.array_equal(space.view(rows), joined(views)(rows))
