"""Whether neurons take part in forming groups: where they follow such groups more closely."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from descriptors.alternative_groupings import AlternativeGroupings
from descriptors.catalog import handicaps
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


def followed_more(alternatives: AlternativeGroupings, evidence: GroupingEvidence) -> Grouping:
    """The groups by all spaces if the neurons follow such groups more closely, or by the first.

    Compared is what both have at one granularity, as neurons follow groups of many sentences more
    closely, be they right or not. Groups stand for the descriptors that they will have: a sentence
    is in a group by its text, as it is a member of a descriptor. Default settings judge, whatever
    the run matches by, so that proposals stay as they are when only matching changes.
    """
    groupings = alternatives.by_all_as_fine, alternatives.by_first
    by_all, by_first = (
        ComparedGrouping(
            spaces=each.spaces, groups=len(each.groups), correlation=_correlation(each, evidence)
        )
        for each in groupings
    )
    better = by_all.correlation > by_first.correlation
    taken = alternatives.by_all if better else alternatives.by_first
    return replace(taken, compared=(by_all, by_first))


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
        handicaps(unnamed),
        MatchingSettings(),
    )
