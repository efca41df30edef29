"""Unit vectors, the answers of a vector search, and brute-force search to measure others by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import FloatArray, IntArray

Vectors = NDArray[np.floating[Any]]
"""Rows of float16 or float32, in memory or memory-mapped (`n_vectors, dimension`)."""

SIMILARITY_TOLERANCE = 1e-6
"""What float32 sums leave open: similarities closer than this count as equal."""

# float16 keeps 11 bits, so a stored unit vector may be this far from length 1.
_LENGTH_TOLERANCE = 2e-3
_ROWS_AT_A_TIME = 16_384


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The k most similar vectors of each query, best first, equal ones in order of id.

    Where equal vectors compete for the last place, which of them is listed is left open.

    Attributes:
        ids: rows of the indexed vectors (`n_queries, k`).
        similarities: cosine similarities (`n_queries, k`).
    """

    ids: IntArray
    similarities: FloatArray


@dataclass(frozen=True, slots=True)
class SimilarVectors:
    """All vectors similar enough to one query, best first, equal ones in order of id.

    Attributes:
        ids: rows of the indexed vectors (`n_found`).
        similarities: cosine similarities (`n_found`).
    """

    ids: IntArray
    similarities: FloatArray


def unit_rows(vectors: Vectors, dimension: int, *, first_row: int = 0) -> FloatArray:
    """A float32 copy of `vectors` with the rounding of their storage type scaled away.

    Args:
        vectors: rows of length 1 (`n_vectors, dimension`).
        dimension: how many numbers a row must have.
        first_row: what the first row is called in messages, for chunks of something larger.

    Raises:
        ValueError: not rows of `dimension` numbers, not finite, or not of length 1.
    """
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise ValueError(f"vectors have shape {vectors.shape}, expected (n_vectors, {dimension})")
    rows: FloatArray = np.array(vectors, dtype=np.float32, order="C")
    lengths = np.linalg.norm(rows, axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1.0) <= _LENGTH_TOLERANCE))
    if wrong.size:
        raise ValueError(
            f"{wrong.size} of {len(rows)} vectors do not have length 1: "
            f"row {first_row + wrong[0]} has length {lengths[wrong[0]]:.6g}, "
            f"expected 1 within {_LENGTH_TOLERANCE}"
        )
    rows /= lengths[:, np.newaxis]
    return rows


def unit_chunks(vectors: Vectors) -> Iterator[FloatArray]:
    """`vectors` as consecutive chunks of float32 unit rows, so that a memory map stays on disk.

    Raises:
        ValueError: as `unit_rows`.
    """
    for start in range(0, len(vectors), _ROWS_AT_A_TIME):
        chunk = vectors[start : start + _ROWS_AT_A_TIME]
        yield unit_rows(chunk, vectors.shape[1], first_row=start)


def best_first(ids: IntArray, similarities: FloatArray) -> Neighbours:
    """Order both arrays (`n_queries, k`) by falling similarity, then rising id.

    Similarities are cut to 1: a float32 sum over two equal unit vectors can end just above it.
    """
    cosines = np.minimum(similarities, np.float32(1.0))
    order = np.lexsort((ids, -cosines), axis=1)
    return Neighbours(np.take_along_axis(ids, order, 1), np.take_along_axis(cosines, order, 1))


def brute_force_neighbours(vectors: Vectors, queries: FloatArray, k: int) -> Neighbours:
    """The exact k nearest of `queries` (unit rows) by one matrix product per chunk.

    Raises:
        ValueError: `k` is not between 1 and the number of vectors.
    """
    if not 1 <= k <= len(vectors):
        raise ValueError(f"k is {k}, expected 1 to {len(vectors)} (the number of vectors)")
    ids = np.empty((len(queries), 0), dtype=np.int64)
    similarities = np.empty((len(queries), 0), dtype=np.float32)
    start = 0
    for chunk in unit_chunks(vectors):
        candidates = np.arange(start, start + len(chunk), dtype=np.int64)
        ids = np.hstack([ids, np.broadcast_to(candidates, (len(queries), len(chunk)))])
        similarities = np.hstack([similarities, queries @ chunk.T])
        kept = np.argpartition(-similarities, min(k, ids.shape[1]) - 1, axis=1)[:, :k]
        ids = np.take_along_axis(ids, kept, axis=1)
        similarities = np.take_along_axis(similarities, kept, axis=1)
        start += len(chunk)
    return best_first(ids, similarities)


def recall(found: Neighbours, exact: Neighbours) -> float:
    """The share of the exact neighbours that were found, from 0 to 1.

    A found vector counts when it is as similar as the last exact one, so that a tie at the end
    of the list is no miss.

    Raises:
        ValueError: the two do not answer equally many queries with equally many neighbours.
    """
    if found.ids.shape != exact.ids.shape:
        raise ValueError(f"found has shape {found.ids.shape}, exact has {exact.ids.shape}")
    reached = exact.similarities[:, -1:] - SIMILARITY_TOLERANCE
    return float(np.mean(found.similarities >= reached))
