"""Which descriptor a sentence goes to when several ask for it.

Groups are formed to be distinct, but thresholds of their own let each take sentences of its
neighbours. Descriptors whose supports have little in common compete, and a sentence that several
would have stays with the nearest. A group and a part of it, or the same group found in two
spaces, do not compete: they may well hold for the same sentence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

from indexer.arrays import BoolArray
from indexer.neighbours import SIMILARITY_TOLERANCE


def competing(
    supports: Sequence[Sequence[int]], n_sentences: int, maximum_overlap: float
) -> BoolArray:
    """Which descriptors compete (`n_descriptors, n_descriptors`), symmetric.

    Two do if the overlap coefficient |A and B| / min(|A|, |B|) of their supports is below
    `maximum_overlap`. Without support, as when the user seeded it by its words, a descriptor has
    no place among the groups and competes with none.

    Args:
        supports: rows of the sentences that each descriptor was proposed for.
        n_sentences: of the corpus.
        maximum_overlap: from which on two do not compete.
    """
    sizes = np.array([len(each) for each in supports], dtype=np.int64)
    columns = np.concatenate([np.empty(0, np.int64), *(np.asarray(each) for each in supports)])
    limits = np.concatenate([[0], np.cumsum(sizes)])
    held = csr_matrix((np.ones(len(columns)), columns, limits), shape=(len(supports), n_sentences))
    common = (held @ held.T).toarray()
    smaller = np.minimum(sizes[:, np.newaxis], sizes[np.newaxis])
    return np.asarray((smaller > 0) & (common < maximum_overlap * smaller), dtype=np.bool_)


def nearest_competitors(similarities: csr_matrix, rivals: BoolArray) -> csr_matrix:
    """The members that are left when each sentence goes to the nearest of its competitors.

    A descriptor loses a sentence to any competitor that has it, too, and is nearer, equally near
    ones keep it both. So no sentence that has a descriptor is left without one.

    Args:
        similarities: cosine of each member (`n_descriptors, n_sentences`).
        rivals: which descriptors compete (`n_descriptors, n_descriptors`).
    """
    entries = similarities.tocoo()
    # By sentence, the nearest descriptor first: what an entry can lose to stands before it.
    order = np.lexsort((-entries.data, entries.col))
    sentence, owner, cosine = entries.col[order], entries.row[order], entries.data[order]
    kept = np.ones(len(order), dtype=np.bool_)
    most = int(np.bincount(sentence).max()) if len(sentence) else 0
    for distance in range(1, most):
        nearer = cosine[:-distance] > cosine[distance:] + SIMILARITY_TOLERANCE
        same = sentence[:-distance] == sentence[distance:]
        kept[distance:] &= ~(same & nearer & rivals[owner[:-distance], owner[distance:]])
    left = order[kept]
    return csr_matrix(
        (entries.data[left], (entries.row[left], entries.col[left])), shape=similarities.shape
    )
