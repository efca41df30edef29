"""Which descriptors of two catalogs mean the same, so that what two runs say can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import DoubleArray, FloatArray, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def overlap_counterparts(
    membership: csr_matrix, other: csr_matrix, minimum: float = 0.5
) -> IntArray:
    """The descriptor of another catalog of the same sentences that shares most (`n_descriptors`).

    By the Jaccard similarity of the sentences; -1 where none reaches `minimum`. Of equals the first
    counts.

    Args:
        membership: descriptors by sentences (`n_descriptors, n_sentences`); entries are members.
        other: those of the other catalog (`n_others, n_sentences`).
        minimum: the least similarity of counterparts.

    Raises:
        ValueError: different numbers of sentences, or a minimum outside 0 (excluded) to 1.
    """
    if membership.shape[1] != other.shape[1]:
        raise ValueError(
            f"catalogs cover {membership.shape[1]} and {other.shape[1]} sentences, expected as many"
        )
    one, two = membership.astype(np.bool_).astype(np.int64), other.astype(np.bool_).astype(np.int64)
    shared = np.asarray((one @ two.T).toarray(), dtype=np.float64)
    sizes = np.asarray(one.sum(axis=1)).reshape(-1, 1) + np.asarray(two.sum(axis=1)).reshape(1, -1)
    either = sizes - shared
    similarity = np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)
    return _best(similarity, minimum)


def cosine_counterparts(vectors: FloatArray, others: FloatArray, minimum: float = 0.75) -> IntArray:
    """The descriptor of another catalog whose text is nearest (`n_descriptors`).

    -1 where no cosine reaches `minimum`; of equals the first counts.

    Args:
        vectors: unit vectors of the descriptors' texts (`n_descriptors, dimension`).
        others: those of the other catalog (`n_others, dimension`).
        minimum: the least cosine of counterparts; by default that from which sentence-transformers
            calls sentences a community.

    Raises:
        ValueError: different dimensions, or a minimum outside 0 (excluded) to 1.
    """
    if vectors.shape[1] != others.shape[1]:
        raise ValueError(
            f"vectors have {vectors.shape[1]} and {others.shape[1]} dimensions, expected as many"
        )
    return _best(np.asarray(vectors @ others.T, dtype=np.float64), minimum)


def _best(similarity: DoubleArray, minimum: float) -> IntArray:
    if not 0.0 < minimum <= 1.0:
        raise ValueError(f"minimum is {minimum}, expected more than 0 and at most 1")
    if not similarity.shape[1]:
        return np.full(len(similarity), -1, dtype=np.int64)
    best = similarity.argmax(axis=1)
    enough = similarity[np.arange(len(similarity)), best] >= minimum
    return np.asarray(np.where(enough, best, -1), dtype=np.int64)
