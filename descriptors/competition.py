"""Which descriptor a sentence goes to when several ask for it.

Thresholds of their own let descriptors take sentences of their neighbours. Those that compete share
them out: a sentence that several would have stays with the nearest. Two of which one would have
much of what the other was proposed for do not compete: they are a group and its part, or two parts
of what labels would call one thing, and may well hold for the same sentence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

from indexer.arrays import BoolArray
from indexer.neighbours import SIMILARITY_TOLERANCE


def competing(
    supports: Sequence[Sequence[int]], members: csr_matrix, maximum_share: float
) -> BoolArray:
    """Which descriptors compete (`n_descriptors, n_descriptors`), symmetric.

    Two do if neither would have `maximum_share` of the other's support. Without support, as when
    the user seeded it by its words, a descriptor has no place among the groups and competes with
    none.

    Args:
        supports: rows of the sentences that each descriptor was proposed for.
        members: what each would have (`n_descriptors, n_sentences`), whatever is stored.
        maximum_share: from which on two do not compete.
    """
    sizes = np.array([len(each) for each in supports], dtype=np.int64)
    rows = np.concatenate([np.empty(0, np.int64), *(np.asarray(each) for each in supports)])
    limits = np.concatenate([[0], np.cumsum(sizes)])
    held = csr_matrix((np.ones(len(rows)), rows, limits), shape=members.shape)
    taken = csr_matrix((np.ones(members.nnz), members.indices, members.indptr), members.shape)
    share = (held @ taken.T).toarray() / np.maximum(sizes, 1)[:, np.newaxis]
    grouped = sizes > 0
    rivals: BoolArray = (np.maximum(share, share.T) < maximum_share) & np.outer(grouped, grouped)
    np.fill_diagonal(rivals, False)
    return rivals


def nearest_competitors(similarities: csr_matrix, rivals: BoolArray) -> csr_matrix:
    """The members that are left when each sentence goes to the nearest of its competitors.

    A descriptor loses a sentence to any competitor that has it, too, and is nearer, equally near
    ones keep it both. So no sentence that has a descriptor is left without one.

    Args:
        similarities: cosine of each member (`n_descriptors, n_sentences`).
        rivals: whether the one of a row may take sentences from the one of a column
            (`n_descriptors, n_descriptors`).
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
