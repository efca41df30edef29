from __future__ import annotations

import numpy as np
import pytest

from indexer.arrays import FloatArray
from indexer.index import VectorIndex
from indexer.index_manifest import IndexKind

KINDS = [IndexKind.EXACT, IndexKind.INVERTED_LISTS]


def some_vectors(n_vectors: int, dimension: int = 24) -> FloatArray:
    rows = np.random.default_rng(0).normal(size=(n_vectors, dimension))
    unit: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _with(row: int, value: float) -> FloatArray:
    vectors = some_vectors(60)
    vectors[row] *= np.float32(value)
    return vectors


WRONG_VECTORS = {
    "one of length 2": (_with(41, 2.0), r"1 of 60 .* row 41 has length 2,.* expected 1"),
    "zero": (_with(41, 0.0), "row 41 has length 0"),
    "NaN": (_with(41, float("nan")), "row 41 has length nan"),
    "infinite": (_with(41, float("inf")), "row 41 has length"),
    "no vectors": (np.empty((0, 4), np.float32), r"\(0, 4\)"),
    "no numbers": (np.empty((4, 0), np.float32), r"\(4, 0\)"),
    "one vector as a row": (np.ones(4, np.float32), r"\(4,\)"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("vectors", "message"), WRONG_VECTORS.values(), ids=WRONG_VECTORS)
@pytest.mark.filterwarnings("ignore:invalid value encountered in multiply:RuntimeWarning")
def test_wrong_vectors_are_refused(vectors: FloatArray, message: str, kind: IndexKind) -> None:
    with pytest.raises(ValueError, match=message):
        VectorIndex.build(vectors, kind)


def test_row_number_in_messages_counts_from_the_first_chunk() -> None:
    vectors = some_vectors(17_000, dimension=2)
    vectors[16_500] = 0
    with pytest.raises(ValueError, match="row 16500"):
        VectorIndex.build(vectors)


def test_wrong_queries_are_refused() -> None:
    index = VectorIndex.build(some_vectors(50))
    with pytest.raises(ValueError, match=r"\(1, 3\), expected \(n_vectors, 24\)"):
        index.search(np.array([[1, 0, 0]], dtype=np.float32), 3)
    with pytest.raises(ValueError, match="length 2"):
        index.similar(2 * some_vectors(1), 0.5)
    with pytest.raises(ValueError, match="k is 0"):
        index.search(some_vectors(1), 0)
    with pytest.raises(ValueError, match=r"minimum similarity is 1\.5, expected -1 to 1"):
        index.similar(some_vectors(1), 1.5)
    with pytest.raises(ValueError, match="minimum similarity is nan"):
        index.similar(some_vectors(1), float("nan"))


def test_building_leaves_the_vectors_as_they_are() -> None:
    vectors = some_vectors(100) * np.float32(1.001)
    before = vectors.copy()
    VectorIndex.build(vectors).search(vectors, 3)
    np.testing.assert_array_equal(vectors, before)
