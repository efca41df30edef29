"""How much a phrase tells of a group, and which few phrases together tell most: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import BoolArray, DoubleArray, FloatArray, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def class_tf_idf(counts: csr_matrix, contrast_counts: csr_matrix) -> csr_matrix:
    """Class-based TF-IDF of each phrase in each group (`n_groups, n_phrases`).

    W(t, c) = tf(t, c) / sum_t tf(t, c) * log(1 + A / f(t)), where f(t) counts t over all groups
    and A is the mean number of phrase occurrences per group (Grootendorst 2022, "BERTopic",
    arXiv:2203.05794, section 3.3). The contrast of a group counts as one more group, for this
    group only; a group without contrast has none.

    Args:
        counts: occurrences in each group (`n_groups, n_phrases`).
        contrast_counts: occurrences in each group's contrast (`n_groups, n_phrases`).
    """
    from scipy.sparse import csr_matrix

    own = counts.tocoo()
    rows, columns = own.row.astype(np.int64), own.col.astype(np.int64)
    sizes = _sums(counts, axis=1)
    contrast_sizes = _sums(contrast_counts, axis=1)
    averages = (sizes.sum() + contrast_sizes) / (counts.shape[0] + (contrast_sizes > 0))
    overall = np.add(_sums(counts, axis=0)[columns], values_at(contrast_counts, rows, columns))
    weights = own.data / sizes[rows] * np.log1p(averages[rows] / overall)
    return csr_matrix((weights, (rows, columns)), shape=counts.shape)


def contrast_precision(
    support: csr_matrix,
    contrast_support: csr_matrix,
    n_texts: IntArray,
    n_contrast_texts: IntArray,
) -> csr_matrix:
    """Chance that a sentence with the phrase is the group's, not its contrast's.

    p / (p + p') with p = (s + 1/2) / (n + 1), the Krichevsky-Trofimov estimate of the share of
    sentences with the phrase: Bayes' rule for an even prior, equally the logistic of the log ratio
    of shares. Unlike a z-score (Monroe, Colaresi and Quinn 2008, "Fightin' Words") it does not
    favour the commonest words. 1 where a group has no contrast.

    Args:
        support: sentences of each group with each phrase (`n_groups, n_phrases`).
        contrast_support: the same for the contrast sentences.
        n_texts: sentences of each group (`n_groups`).
        n_contrast_texts: contrast sentences of each group (`n_groups`).
    """
    from scipy.sparse import csr_matrix

    own = support.tocoo()
    rows, columns = own.row.astype(np.int64), own.col.astype(np.int64)
    inside = (own.data + 0.5) / (n_texts[rows] + 1.0)
    around = (values_at(contrast_support, rows, columns) + 0.5) / (n_contrast_texts[rows] + 1.0)
    precision = np.where(n_contrast_texts[rows] > 0, inside / (inside + around), 1.0)
    return csr_matrix((precision, (rows, columns)), shape=support.shape)


@dataclass(frozen=True)
class DiverseChoice:
    """Positions of the phrases that were picked, best first, and how many were turned down."""

    chosen: tuple[int, ...]
    near_duplicates: int
    irrelevant: int


def choose_diverse(
    relevance: DoubleArray,
    vectors: FloatArray,
    words: Sequence[frozenset[str]],
    *,
    n_phrases: int,
    relevance_weight: float,
    minimum_relevance: float,
    maximum_similarity: float,
) -> DiverseChoice:
    """Pick phrases one by one by maximal marginal relevance (Carbonell and Goldstein 1998).

    Each step takes the phrase with the greatest w * relevance - (1 - w) * (greatest cosine to a
    phrase already taken). A phrase leaves once its words contain, or are contained in, those of a
    taken one, or its cosine to it is too high. Ties go to the earlier phrase.

    Args:
        relevance: of each phrase (`n_phrases`).
        vectors: unit vectors (`n_phrases, dimension`).
        words: the content words of each phrase.
        n_phrases: how many to pick at most.
        relevance_weight: w, in [0, 1].
        minimum_relevance: phrases below this share of the greatest relevance are irrelevant.
        maximum_similarity: cosine above which two phrases say the same.
    """
    relevant = relevance >= minimum_relevance * relevance.max(initial=0.0)
    left = relevant.copy()
    similarity = np.zeros(len(relevance))
    chosen: list[int] = []
    while len(chosen) < n_phrases and left.any():
        marginal = relevance_weight * relevance - (1.0 - relevance_weight) * similarity
        best = int(np.argmax(np.where(left, marginal, -np.inf)))
        chosen.append(best)
        cosines = vectors @ vectors[best]
        left &= ~(_shares_words(words, best) | (cosines > maximum_similarity))
        left[best] = False
        similarity = np.maximum(similarity, cosines) if len(chosen) > 1 else cosines
    return DiverseChoice(
        tuple(chosen),
        near_duplicates=int(relevant.sum() - left.sum()) - len(chosen),
        irrelevant=int((~relevant).sum()),
    )


def values_at(matrix: csr_matrix, rows: IntArray, columns: IntArray) -> DoubleArray:
    """The entries of a sparse matrix at pairs of row and column (`n_pairs`)."""
    if not len(rows):
        return np.zeros(0)
    return np.asarray(matrix[rows, columns], dtype=np.float64).ravel()


def _sums(matrix: csr_matrix, axis: int) -> DoubleArray:
    return np.asarray(matrix.sum(axis=axis), dtype=np.float64).ravel()


def _shares_words(words: Sequence[frozenset[str]], taken: int) -> BoolArray:
    return np.array([own <= words[taken] or own >= words[taken] for own in words], dtype=np.bool_)
