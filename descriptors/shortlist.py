"""The phrases of each group that are worth a closer look: its own words, by class-based TF-IDF."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from descriptors.candidates import CandidateTable, candidate_table
from descriptors.phrase_scores import class_tf_idf, contrast_precision
from descriptors.proposer import GroupTexts, normalise_phrase
from indexer.arrays import DoubleArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FRAGMENT_SHARE = 0.7
"""A phrase whose neighbour is one and the same word in this share of its uses breaks off there."""


class ShortlistRejection(StrEnum):
    """Why a phrase that a group says is not on its shortlist."""

    SAID_ONCE = "said_once"
    FRAGMENT = "fragment"


@dataclass(frozen=True, eq=False)
class Shortlist:
    """Phrases of one group by falling weight: class-based TF-IDF, damped where contrast says them.

    Attributes:
        texts: phrases as the group most often writes them, normalised.
        words: their content words.
        weights: positive (`n_phrases`).
        rejected: how many phrases were turned down before the list was full, by reason.
    """

    texts: tuple[str, ...]
    words: tuple[frozenset[str], ...]
    weights: DoubleArray
    rejected: Counter[str]


def shortlists_of(
    groups: Sequence[GroupTexts], n_phrases: int, fragment_share: float = FRAGMENT_SHARE
) -> list[Shortlist]:
    """The shortlist of each group, in the order of `groups`; all groups are counted first.

    Args:
        groups: their texts and contrast texts.
        n_phrases: at most on each list.
        fragment_share: see `GroupSurfaces.is_fragment`.
    """
    table = candidate_table(groups)
    if table is None:
        return [Shortlist((), (), np.zeros(0), Counter()) for _ in groups]
    weights = _lexical_weights(table, groups)
    return [
        _shortlist(table, weights, row, n_phrases, fragment_share) for row in range(len(groups))
    ]


def _lexical_weights(table: CandidateTable, groups: Sequence[GroupTexts]) -> csr_matrix:
    precision = contrast_precision(
        table.support,
        table.contrast_support,
        np.array([len(group.texts) for group in groups], dtype=np.int64),
        np.array([len(group.contrast_texts) for group in groups], dtype=np.int64),
    )
    weights: csr_matrix = class_tf_idf(table.counts, table.contrast_counts).multiply(precision)
    return weights.tocsr()


def _shortlist(
    table: CandidateTable, weights: csr_matrix, row: int, n_phrases: int, fragment_share: float
) -> Shortlist:
    own = slice(weights.indptr[row], weights.indptr[row + 1])
    columns, values = weights.indices[own], weights.data[own]
    said = table.support[row, columns].toarray().ravel()
    # One sentence may say anything; but a group in which nothing is repeated still gets a name.
    repeated = said >= min(2, said.max(initial=0))
    surfaces = table.group_surfaces(row)
    texts: list[str] = []
    words: list[frozenset[str]] = []
    kept: list[float] = []
    rejected: Counter[str] = Counter({ShortlistRejection.SAID_ONCE: int((~repeated).sum())})
    for index in np.lexsort((columns, -values)):
        if len(texts) == n_phrases:
            break
        if not repeated[index]:
            continue
        surface = surfaces.commonest(int(columns[index]))
        if surfaces.is_fragment(surface, fragment_share):
            rejected[ShortlistRejection.FRAGMENT] += 1
            continue
        texts.append(normalise_phrase(surface))
        words.append(frozenset(table.phrases[columns[index]].split()))
        kept.append(float(values[index]))
    return Shortlist(tuple(texts), tuple(words), np.array(kept), rejected)
