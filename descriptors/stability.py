"""Which clusters of many clusterings deserve to be groups: those that others find again.

A cluster's stability is the mean, over all other clusterings of the same sentences, of its Jaccard
similarity to the cluster that is most like it (cluster-wise stability, Hennig 2007). Below a half a
cluster counts as dissolved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from indexer.arrays import DoubleArray, IntArray


@dataclass(frozen=True, eq=False)
class Candidate:
    """A cluster that may become a group.

    `clustering` and `cluster` say where it is from; `members` are positions (`n_members`).
    """

    clustering: int
    cluster: int
    members: IntArray
    stability: float


def jaccard_similarities(one: IntArray, other: IntArray) -> DoubleArray:
    """Jaccard similarity of every two clusters (`n_clusters of one, n_clusters of other`).

    Args:
        one: cluster of each sentence (`n_sentences`), numbered from 0; unused numbers are similar
            to nothing.
        other: the same of another clustering.

    Raises:
        ValueError: the two cover different numbers of sentences, or none.
    """
    if len(one) != len(other) or not len(one):
        raise ValueError(f"found clusterings of {len(one)} and {len(other)} sentences")
    shape = (int(one.max()) + 1, int(other.max()) + 1)
    common = np.bincount(one * shape[1] + other, minlength=shape[0] * shape[1]).reshape(shape)
    either = common.sum(axis=1)[:, np.newaxis] + common.sum(axis=0)[np.newaxis] - common
    return np.asarray(common / np.maximum(either, 1), dtype=np.float64)


def stability_among(members: IntArray, clusterings: Sequence[IntArray]) -> float:
    """Mean over clusterings of a set's Jaccard similarity to the cluster that is most like it.

    Args:
        members: positions in the set (`n_members`).
        clusterings: cluster of each sentence (`n_sentences`), one array per clustering.

    Raises:
        ValueError: no members or no clusterings.
    """
    if not len(members) or not len(clusterings):
        raise ValueError(f"found {len(members)} members and {len(clusterings)} clusterings")
    nearest = []
    for own in clusterings:
        sizes = np.bincount(own)
        shared = np.bincount(own[members], minlength=len(sizes))
        nearest.append(float((shared / (len(members) + sizes - shared)).max()))
    return float(np.mean(nearest))


def candidates_of(clusterings: Sequence[IntArray], minimum_members: int) -> list[Candidate]:
    """All clusters that are large enough, the most stable first.

    Args:
        clusterings: cluster of each sentence (`n_sentences`), one array per clustering.
        minimum_members: smaller clusters are left out.

    Raises:
        ValueError: fewer than two clusterings, which leaves nothing to find a cluster again.
    """
    if len(clusterings) < 2:
        raise ValueError(f"found {len(clusterings)} clusterings, expected 2 or more")
    found = []
    for number, own in enumerate(clusterings):
        others = [each for place, each in enumerate(clusterings) if place != number]
        nearest = [jaccard_similarities(own, other).max(axis=1) for other in others]
        stability = np.mean(nearest, axis=0)
        order = np.argsort(own, kind="stable")
        limits = np.cumsum(np.bincount(own))[:-1]
        for cluster, members in enumerate(np.split(order, limits)):
            if len(members) >= minimum_members:
                found.append(Candidate(number, cluster, members, float(stability[cluster])))
    return sorted(found, key=lambda each: -each.stability)


def stable_choice(
    candidates: Sequence[Candidate],
    n_sentences: int,
    *,
    minimum_stability: float,
    coverage: float,
    maximum_overlap: float,
    limit: int,
) -> list[Candidate]:
    """Candidates in their order, none taken that shares most of its sentences with one before.

    All that are stable enough, and after them the most stable others for as long as those taken
    hold less than `coverage` of the sentences: a corpus without clear groups still gets some.

    Args:
        candidates: the most stable first.
        n_sentences: how many sentences were clustered.
        minimum_stability: what is stable enough.
        coverage: share of the sentences.
        maximum_overlap: overlap coefficient |A and B| / min(|A|, |B|) from which on a candidate
            repeats one that is taken, as a part of it or around it.
        limit: how many to take at most.
    """
    taken: list[Candidate] = []
    held = _Held(n_sentences)
    covered = np.zeros(n_sentences, dtype=np.bool_)
    for candidate in candidates:
        enough = candidate.stability < minimum_stability and covered.mean() >= coverage
        if enough or len(taken) >= limit:
            break
        if held.greatest_overlap(candidate.members) < maximum_overlap:
            taken.append(candidate)
            held.add(candidate.members)
            covered[candidate.members] = True
    return taken


def parts_of(
    candidates: Sequence[Candidate],
    taken: Sequence[IntArray],
    n_sentences: int,
    *,
    maximum_similarity: float,
    limit: int,
) -> list[Candidate]:
    """Up to `limit` candidates that may be parts of what is taken, but are not the same again.

    Args:
        candidates: the most stable first.
        taken: members of each group that is taken.
        n_sentences: how many sentences were clustered.
        maximum_similarity: Jaccard similarity from which on two are the same.
        limit: how many to add at most.
    """
    held = _Held(n_sentences)
    for members in taken:
        held.add(members)
    added: list[Candidate] = []
    for candidate in candidates:
        if len(added) >= limit:
            break
        if held.greatest_jaccard(candidate.members) < maximum_similarity:
            added.append(candidate)
            held.add(candidate.members)
    return added


class _Held:
    """Sets of sentences, looked up by their sentences: most pairs of sets share none."""

    def __init__(self, n_sentences: int) -> None:
        self._sets_of: list[list[int]] = [[] for _ in range(n_sentences)]
        self._sizes: list[int] = []

    def add(self, members: IntArray) -> None:
        """Hold one more set."""
        for member in members.tolist():
            self._sets_of[member].append(len(self._sizes))
        self._sizes.append(len(members))

    def greatest_overlap(self, members: IntArray) -> float:
        """The greatest overlap coefficient with a set, 0 without sets."""
        shared = self._shared(members)
        overlaps = (shared[n] / min(len(members), self._sizes[n]) for n in shared)
        return max(overlaps, default=0.0)

    def greatest_jaccard(self, members: IntArray) -> float:
        """The greatest Jaccard similarity with a set, 0 without sets."""
        shared = self._shared(members)
        likeness = (shared[n] / (len(members) + self._sizes[n] - shared[n]) for n in shared)
        return max(likeness, default=0.0)

    def _shared(self, members: IntArray) -> Counter[int]:
        """How many of the members each set has that has any."""
        return Counter(number for member in members.tolist() for number in self._sets_of[member])
