"""Which of several groupings the neurons follow most closely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from descriptors.groups import ComparedGrouping, Grouping
from descriptors.membership import MembershipSettings, build_membership
from descriptors.records import Descriptor
from indexer.arrays import FloatArray, IntArray
from neurons.followed import SampledNeurons, mean_first_correlation
from neurons.matching import MatchingSettings

if TYPE_CHECKING:
    from indexer.index import VectorIndex


@dataclass(frozen=True, eq=False)
class GroupingEvidence:
    """What groupings are compared by.

    Attributes:
        neurons: on the sentences by which a neuron's group is chosen and judged.
        vectors: unit vectors of all sentences (`n_sentences, n_components`).
        index: the same vectors, indexed.
        background_rows: discover rows that stand for the corpus when chance is estimated.
    """

    neurons: SampledNeurons
    vectors: FloatArray
    index: VectorIndex
    background_rows: IntArray


def followed_most(groupings: Sequence[Grouping], evidence: GroupingEvidence) -> Grouping:
    """The grouping whose groups the neurons follow most closely, the first of equals.

    Groups stand for the descriptors that they will have: a sentence is in a group by its text, as
    it is a member of a descriptor. Default settings judge, whatever the run matches by, so that
    proposals stay as they are when only matching changes.

    Raises:
        ValueError: there is no grouping.
    """
    if not groupings:
        raise ValueError("found no grouping, expected 1 or more")
    compared = tuple(
        ComparedGrouping(
            spaces=grouping.spaces,
            groups=len(grouping.groups),
            correlation=_correlation(grouping, evidence),
        )
        for grouping in groupings
    )
    best = int(np.argmax([each.correlation for each in compared]))
    return replace(groupings[best], compared=compared)


def _correlation(grouping: Grouping, evidence: GroupingEvidence) -> float:
    unnamed = [
        Descriptor(
            id=group.id,
            text=group.id,
            proposer="",
            group=group.id,
            support=group.rows,
            kept=True,
            handicap=group.handicap,
        )
        for group in grouping.groups
    ]
    no_words = np.zeros((len(unnamed), evidence.vectors.shape[1]), dtype=np.float32)
    membership = build_membership(
        unnamed,
        no_words,
        evidence.vectors,
        evidence.index,
        evidence.background_rows,
        MembershipSettings(),
    )
    return mean_first_correlation(
        evidence.neurons,
        membership,
        np.array([group.handicap for group in grouping.groups], dtype=np.float64),
        MatchingSettings(),
    )
