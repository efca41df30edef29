"""Which sentences a descriptor holds for: through the index, above a threshold of its own.

A descriptor is looked up by the mean of its support, or by its own words when the user seeded it.
A sentence is a member when it is at least as near as the support itself is when each of its
sentences is compared with the mean of the others, and nearer than chance allows (the null). Of
descriptors that compete for it only the nearest keeps it; parts of groups take nothing from those.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from pydantic import Field
from scipy.sparse import csr_matrix
from scipy.special import ndtr, ndtri

from descriptors.competition import competing, nearest_competitors
from descriptors.records import Descriptor
from indexer.arrays import DoubleArray, FloatArray, IntArray
from indexer.index import VectorIndex
from indexer.neighbours import SIMILARITY_TOLERANCE, SimilarVectors, unit_rows
from indexer.records import Record


class MembershipSettings(Record):
    """How near a sentence must be to belong to a descriptor.

    `support_quantile` of the support's own leave-one-out similarities is the lowest similarity of
    a member; `false_discovery_rate` bounds the members expected under the null. Descriptors compete
    for sentences if neither would have `competing_share` of the other's support; at 0 none do. One
    with a handicap above `competing_handicap` takes none from those whose handicap is smaller.
    """

    support_quantile: float = Field(default=0.1, ge=0.0, lt=1.0)
    false_discovery_rate: float = Field(default=0.01, gt=0.0, lt=1.0)
    competing_share: float = Field(default=0.5, ge=0.0, le=1.0)
    competing_handicap: float = Field(default=0.1, ge=0.0, le=0.5)


@dataclass(frozen=True)
class DescriptorQuery:
    """A descriptor's unit vector and the similarities that calibrate its threshold.

    Attributes:
        vector: unit vector (`n_components`).
        support_similarities: leave-one-out similarities of the support, ascending (`n_support`).
        threshold: lowest similarity of a member; above 1 nothing is one.
    """

    vector: FloatArray
    support_similarities: FloatArray
    threshold: float


def leave_one_out_similarities(support: FloatArray) -> FloatArray:
    """Cosine of each support vector with the mean of the others (`n_support`), ascending.

    Comparing a sentence with a mean it is part of would call it nearer than it is.
    """
    others = support.sum(axis=0) - support
    lengths = np.maximum(np.linalg.norm(others, axis=1), np.finfo(np.float32).tiny)
    similarities: FloatArray = np.einsum("ij,ij->i", support, others) / lengths
    return np.sort(np.minimum(similarities, np.float32(1.0)))


def null_threshold(similarities: DoubleArray, false_discovery_rate: float) -> float:
    """The lowest similarity that beats the null at this false discovery rate.

    The null is a normal distribution with the median of `similarities` (`n_sentences`) and the
    spread of the half below it, which no member disturbs; Benjamini-Hochberg over all sentences.
    When no sentence beats it the answer is what one alone would need, above every similarity. When
    nothing lies below the median there is no spread to judge by and the answer is infinite.
    """
    median = float(np.median(similarities))
    below = similarities[similarities < median - SIMILARITY_TOLERANCE] - median
    if not len(below):
        return math.inf
    spread = float(np.sqrt(np.mean(below**2)))
    ordered = np.sort(similarities)[::-1]
    tail = ndtr(-(ordered - median) / spread)
    allowed = false_discovery_rate * np.arange(1, len(ordered) + 1) / len(ordered)
    beating = np.flatnonzero(tail <= allowed)
    if not len(beating):
        return median - spread * float(ndtri(allowed[0]))
    return float(ordered[beating[-1]])


def describe_query(
    support: FloatArray,
    text_vector: FloatArray,
    background: FloatArray,
    settings: MembershipSettings,
) -> DescriptorQuery:
    """Where a descriptor lies and how near its members must be.

    Args:
        support: unit vectors of the support (`n_support, n_components`), empty for a seeded one.
        text_vector: unit vector of the descriptor's own words, used when there is no support.
        background: unit vectors of discover sentences (`n_background, n_components`).
        settings: quantile and rate.
    """
    if len(support):
        total = support.sum(axis=0)
        vector = (total / np.linalg.norm(total)).astype(np.float32)
    else:
        vector = text_vector
    similarities = np.clip((background @ vector).astype(np.float64), -1.0, 1.0)
    threshold = null_threshold(similarities, settings.false_discovery_rate)
    own = leave_one_out_similarities(support) if len(support) > 1 else np.empty(0, np.float32)
    if len(own):
        threshold = max(threshold, float(np.quantile(own, settings.support_quantile)))
    return DescriptorQuery(vector, own, threshold)


def _members(query: DescriptorQuery, index: VectorIndex) -> SimilarVectors:
    if query.threshold > 1.0:
        return SimilarVectors(np.empty(0, np.int64), np.empty(0, np.float32))
    return index.similar(query.vector[np.newaxis], query.threshold)[0]


def _scores(query: DescriptorQuery, similarities: FloatArray) -> DoubleArray:
    """Scores in (0, 1]: the share of the support that is no nearer; without support the cosine."""
    if len(query.support_similarities):
        reached = similarities + SIMILARITY_TOLERANCE
        below = np.searchsorted(query.support_similarities, reached, side="right")
        return np.maximum(below, 1) / len(query.support_similarities)
    # A zero would be no member; the smallest float32 is the smallest score that can be written.
    return np.clip(similarities.astype(np.float64), np.finfo(np.float32).tiny, 1.0)


def build_membership(
    descriptors: Sequence[Descriptor],
    text_vectors: FloatArray,
    vectors: FloatArray,
    index: VectorIndex,
    background_rows: IntArray,
    settings: MembershipSettings,
) -> csr_matrix:
    """Members of each kept descriptor (`n_kept, n_sentences`), scores in (0, 1].

    Args:
        descriptors: kept descriptors, in file order.
        text_vectors: unit vectors of their words (`n_kept, n_components`).
        vectors: unit vectors of all sentences (`n_sentences, n_components`).
        index: the same vectors, indexed.
        background_rows: discover rows the null is estimated on.
        settings: see `MembershipSettings`.

    Raises:
        ValueError: descriptors and text vectors differ in number.
    """
    if len(descriptors) != len(text_vectors):
        raise ValueError(f"{len(descriptors)} descriptors but {len(text_vectors)} text vectors")
    dimension = vectors.shape[1]
    background = unit_rows(vectors[background_rows], dimension)
    queries = []
    for descriptor, text_vector in zip(descriptors, text_vectors, strict=True):
        support = unit_rows(vectors[list(descriptor.support)], dimension)
        queries.append(describe_query(support, text_vector, background, settings))
    similarities = _similarities([_members(query, index) for query in queries], len(vectors))
    supports = [descriptor.support for descriptor in descriptors]
    rivals = competing(supports, similarities, settings.competing_share)
    handicaps = np.array([descriptor.handicap for descriptor in descriptors])
    # A part would take from the groups around it what they are to be judged by.
    behind = handicaps > settings.competing_handicap
    rivals &= ~(behind[:, np.newaxis] & (handicaps[:, np.newaxis] > handicaps))
    return _scored(nearest_competitors(similarities, rivals), queries)


def _similarities(found: Sequence[SimilarVectors], n_sentences: int) -> csr_matrix:
    """Cosine of each member (`n_descriptors, n_sentences`); a cosine of 0 is stored, too."""
    orders = [np.argsort(each.ids, kind="stable") for each in found]
    ids = [each.ids[order] for each, order in zip(found, orders, strict=True)]
    cosines = [each.similarities[order] for each, order in zip(found, orders, strict=True)]
    limits = np.cumsum([0, *(len(each) for each in ids)])
    data = np.concatenate([np.empty(0, np.float32), *cosines])
    columns = np.concatenate([np.empty(0, np.int64), *ids])
    return csr_matrix((data, columns, limits), shape=(len(found), n_sentences))


def _scored(similarities: csr_matrix, queries: Sequence[DescriptorQuery]) -> csr_matrix:
    limits = similarities.indptr.tolist()
    rows = [similarities.data[start:end] for start, end in pairwise(limits)]
    scores = [_scores(query, row) for query, row in zip(queries, rows, strict=True)]
    data = np.concatenate([np.empty(0), *scores]).astype(np.float32)
    return csr_matrix((data, similarities.indices, similarities.indptr), shape=similarities.shape)
