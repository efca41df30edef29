"""Which label a descriptor means, judged by the sentences both hold for on `validation`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import BoolArray, DoubleArray, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True, eq=False)
class Meanings:
    """The labels that descriptors mean, with the scores that decided it.

    Attributes:
        means: which labels each descriptor means (`n_descriptors, n_labels`).
        scores: F1, or the share of the descriptor's sentences that carry the label
            (`n_descriptors, n_labels`); 0 for a descriptor without sentences.
        n_sentences: validation sentences of each descriptor (`n_descriptors`).
    """

    means: BoolArray
    scores: DoubleArray
    n_sentences: IntArray


def f1_meaning(membership: csr_matrix, labels: csr_matrix, minimum: float = 0.5) -> Meanings:
    """A descriptor means the one label of its best F1 if that reaches `minimum`, else nothing.

    F1 = 2 |both| / (|descriptor| + |label|), 0 where either holds for no sentence. Of labels with
    equal best F1 the first in order is meant.

    Args:
        membership: descriptors by validation sentences (`n_descriptors, n_sentences`); entries
            other than 0 are members.
        labels: labels by the same sentences (`n_labels, n_sentences`).
        minimum: the F1 from which on a descriptor means its best label.

    Raises:
        ValueError: different numbers of sentences, or a minimum outside 0 (excluded) to 1.
    """
    _check(membership, labels, minimum)
    sizes = _sizes(membership)
    shared = _shared(membership, labels)
    totals = sizes[:, None] + _sizes(labels)[None, :]
    scores = np.divide(2.0 * shared, totals, out=np.zeros_like(shared), where=totals > 0)
    means = np.zeros(scores.shape, dtype=np.bool_)
    if scores.size:
        best = scores.argmax(axis=1)
        descriptors = np.flatnonzero(scores.max(axis=1) >= minimum)
        means[descriptors, best[descriptors]] = True
    return Meanings(means, scores, sizes)


def contained_meaning(
    membership: csr_matrix, labels: csr_matrix, minimum_share: float = 0.5
) -> Meanings:
    """A descriptor means every label that at least `minimum_share` of its sentences carry.

    Forgives descriptors narrower than the label. At half or more, single-label sentences give one
    label, or two that tie at exactly half; a descriptor without sentences means nothing.

    Args:
        membership: descriptors by validation sentences (`n_descriptors, n_sentences`); entries
            other than 0 are members.
        labels: labels by the same sentences (`n_labels, n_sentences`).
        minimum_share: the share of its sentences from which on a descriptor means a label.

    Raises:
        ValueError: different numbers of sentences, or a share outside 0 (excluded) to 1.
    """
    _check(membership, labels, minimum_share)
    sizes = _sizes(membership)
    shared = _shared(membership, labels)
    totals = np.broadcast_to(sizes[:, None], shared.shape)
    scores = np.divide(shared, totals, out=np.zeros_like(shared), where=totals > 0)
    return Meanings(np.asarray(scores >= minimum_share), scores, sizes)


def _check(membership: csr_matrix, labels: csr_matrix, minimum: float) -> None:
    if membership.shape[1] != labels.shape[1]:
        raise ValueError(
            f"membership covers {membership.shape[1]} sentences, labels {labels.shape[1]}"
        )
    if not 0.0 < minimum <= 1.0:
        raise ValueError(f"minimum is {minimum}, expected more than 0 and at most 1")


def _sizes(sets: csr_matrix) -> IntArray:
    return np.asarray(_indicator(sets).sum(axis=1), dtype=np.int64).ravel()


def _shared(membership: csr_matrix, labels: csr_matrix) -> DoubleArray:
    """How many sentences a descriptor and a label share (`n_descriptors, n_labels`)."""
    shared = _indicator(membership) @ _indicator(labels).T
    return np.asarray(shared.toarray(), dtype=np.float64)


def _indicator(sets: csr_matrix) -> csr_matrix:
    """1 for each entry other than 0; an entry stored twice counts once."""
    present = sets.astype(np.bool_)
    present.sum_duplicates()
    return present.astype(np.int64)
