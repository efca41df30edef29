"""From proposals to descriptors: one phrase per group that finds its group, no two alike.

Every proposal that is not kept stays in the catalog with its reason.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from pydantic import Field

from descriptors.proposer import normalise_phrase, phrase_problem
from descriptors.records import Descriptor, Group, Proposal
from indexer.arrays import FloatArray, IntArray
from indexer.records import Record
from indexer.storage import fingerprint


class Rejection(StrEnum):
    """Why a well-formed phrase did not become the descriptor of its group."""

    MISSES_GROUP = "does_not_retrieve_its_group"
    FITS_CONTRAST = "fits_the_contrast_as_well"
    SAME_SENTENCES = "same_sentences_as_another_descriptor"
    SAME_PHRASE = "phrase_taken_by_another_descriptor"
    ALTERNATIVE = "another_phrase_of_the_group_was_kept"
    NO_MEMBERS = "no_sentence_is_near_enough"


JOINT = " + "
"""Stands between the proposers that suggested one phrase for one group."""


class CurationSettings(Record):
    """What a phrase must do to be kept; AUROC of its similarity, and cosines for merging.

    A phrase that finds its group by `retrieval_margin` worse than another of the same group comes
    after it, whatever its proposer thought.
    """

    minimum_group_auroc: float = Field(default=0.75, ge=0.5, le=1.0)
    minimum_contrast_auroc: float = Field(default=0.5, ge=0.0, le=1.0)
    retrieval_margin: float = Field(default=0.1, ge=0.0, le=1.0)
    same_sentences: float = Field(default=0.9, gt=0.0, le=1.0)
    same_phrase: float = Field(default=0.95, gt=0.0, le=1.0)


@dataclass(frozen=True)
class CurationInputs:
    """Everything curation looks at; phrase vectors are looked up by phrase.

    Attributes:
        groups: in order of preference.
        proposals: of all proposers, best first within a proposer and group.
        phrase_rows: phrase to row of `phrase_vectors`.
        phrase_vectors: unit vectors of phrases (`n_phrases, n_components`).
        vectors: unit vectors of all sentences (`n_sentences, n_components`).
        background_rows: rows of `discover` that stand for the corpus (`n_background`); a group is
            compared with those of them that are not its own.
    """

    groups: Sequence[Group]
    proposals: Sequence[Proposal]
    phrase_rows: dict[str, int]
    phrase_vectors: FloatArray
    vectors: FloatArray
    background_rows: IntArray


def distinct_phrases(proposals: Iterable[Proposal]) -> list[str]:
    """The normalised phrases that need a vector: those that may be descriptors, sorted."""
    phrases = {normalise_phrase(proposal.text) for proposal in proposals}
    return sorted(phrase for phrase in phrases if phrase_problem(phrase) is None)


def separation(inside: FloatArray, outside: FloatArray) -> float:
    """AUROC by which similarities `inside` exceed those `outside`, ties counting half.

    Raises:
        ValueError: one of the two is empty.
    """
    if not len(inside) or not len(outside):
        raise ValueError(f"found {len(inside)} inside and {len(outside)} outside, expected both")
    ordered = np.sort(outside)
    below = np.searchsorted(ordered, inside, side="left")
    not_above = np.searchsorted(ordered, inside, side="right")
    return float(np.mean(below + not_above) / (2 * len(ordered)))


def descriptor_id(proposal: Proposal, repetition: int = 0) -> str:
    """An identifier that depends on the phrase and its origin only.

    `repetition` counts earlier proposals of the same phrase by the same proposer for the group.
    """
    origin: list[str | int] = [_shown(proposal), proposal.proposer, proposal.group]
    return "d" + fingerprint([*origin, repetition] if repetition else origin)[:10]


def _shown(proposal: Proposal) -> str:
    return normalise_phrase(proposal.text) or proposal.text


@dataclass(frozen=True)
class _Judged:
    """A proposal, how well it finds its group and not the contrast, and what is wrong with it."""

    proposal: Proposal
    retrieval: float
    problem: str


class _Curator:
    """Keeps descriptors group by group and remembers what is taken."""

    def __init__(self, inputs: CurationInputs, settings: CurationSettings) -> None:
        self._inputs = inputs
        self._settings = settings
        self._kept_centroids: list[FloatArray] = []
        self._kept_phrases: list[int] = []
        self._background = self._vectors(inputs.background_rows.tolist())

    def curate(self, group: Group, proposals: Sequence[Proposal]) -> list[Descriptor]:
        members = self._vectors(group.rows)
        total = members.sum(axis=0)
        centroid = total / np.linalg.norm(total)
        nearest = max((float(centroid @ other) for other in self._kept_centroids), default=-1.0)
        repeated = nearest >= self._settings.same_sentences
        contrast = self._vectors(group.contrast_rows) if group.contrast_rows else None
        others = self._background[~np.isin(self._inputs.background_rows, group.rows)]
        judged = [self._judge(proposal, members, others, contrast) for proposal in proposals]
        best = max((each.retrieval for each in judged), default=0.0)
        # The sort is stable: among phrases that find the group about as well the proposer decides.
        judged.sort(key=lambda each: each.retrieval < best - self._settings.retrieval_margin)
        decided: list[Descriptor] = []
        repetitions: Counter[str] = Counter()
        chosen = False
        for each in judged:
            if each.problem:
                reason = each.problem
            elif repeated:
                reason = Rejection.SAME_SENTENCES
            elif chosen:
                reason = Rejection.ALTERNATIVE
            else:
                reason = self._taken(each.proposal)
            if not reason:
                chosen = True
                self._kept_centroids.append(centroid)
                self._kept_phrases.append(self._row(each.proposal))
            first_id = descriptor_id(each.proposal)
            decided.append(_descriptor(each.proposal, group, reason, repetitions[first_id]))
            repetitions[first_id] += 1
        return _with_provenance(decided)

    def _judge(
        self,
        proposal: Proposal,
        members: FloatArray,
        others: FloatArray,
        contrast: FloatArray | None,
    ) -> _Judged:
        malformed = phrase_problem(normalise_phrase(proposal.text))
        if malformed is not None:
            return _Judged(proposal, 0.0, malformed)
        vector = self._inputs.phrase_vectors[self._row(proposal)]
        inside = members @ vector
        # A group that is the whole background cannot be told from it.
        finds = separation(inside, others @ vector) if len(others) else 0.5
        differs = separation(inside, contrast @ vector) if contrast is not None else finds
        problem = ""
        if finds < self._settings.minimum_group_auroc:
            problem = Rejection.MISSES_GROUP
        elif differs < self._settings.minimum_contrast_auroc:
            problem = Rejection.FITS_CONTRAST
        return _Judged(proposal, (finds + differs) / 2.0, problem)

    def _taken(self, proposal: Proposal) -> str:
        if not self._kept_phrases:
            return ""
        phrases = self._inputs.phrase_vectors
        cosines = phrases[self._kept_phrases] @ phrases[self._row(proposal)]
        return Rejection.SAME_PHRASE if cosines.max() >= self._settings.same_phrase else ""

    def _row(self, proposal: Proposal) -> int:
        return self._inputs.phrase_rows[normalise_phrase(proposal.text)]

    def _vectors(self, rows: Sequence[int]) -> FloatArray:
        return np.asarray(self._inputs.vectors[list(rows)], dtype=np.float32)


def proposers_of(descriptor: Descriptor) -> list[str]:
    """All proposers that suggested the descriptor's phrase for its group."""
    return descriptor.proposer.split(JOINT)


def _with_provenance(decided: list[Descriptor]) -> list[Descriptor]:
    """The kept descriptor of a group credited to everyone who proposed its phrase."""
    shared = []
    for descriptor in decided:
        if descriptor.kept:
            same = [each.proposer for each in decided if each.text == descriptor.text]
            joint = JOINT.join(dict.fromkeys([descriptor.proposer, *same]))
            descriptor = descriptor.model_copy(update={"proposer": joint})
        shared.append(descriptor)
    return shared


def _descriptor(proposal: Proposal, group: Group, reason: str, repetition: int) -> Descriptor:
    return Descriptor(
        id=descriptor_id(proposal, repetition),
        text=_shown(proposal),
        proposer=proposal.proposer,
        group=group.id,
        support=group.rows if not reason else (),
        kept=not reason,
        reason=reason,
        handicap=group.handicap if not reason else 0.0,
    )


def curate(inputs: CurationInputs, settings: CurationSettings) -> list[Descriptor]:
    """Decide on every proposal, groups in order of preference, kept descriptors first.

    Raises:
        ValueError: a proposal names a group that is not there.
    """
    by_group: dict[str, list[Proposal]] = defaultdict(list)
    for proposal in inputs.proposals:
        by_group[proposal.group].append(proposal)
    unknown = set(by_group) - {group.id for group in inputs.groups}
    if unknown:
        raise ValueError(f"proposals for groups that are not there: {sorted(unknown)[:5]}")
    curator = _Curator(inputs, settings)
    decided = [d for group in inputs.groups for d in curator.curate(group, by_group[group.id])]
    return [d for d in decided if d.kept] + [d for d in decided if not d.kept]


def without_empty(descriptors: Sequence[Descriptor], n_members: IntArray) -> list[Descriptor]:
    """Turn down the kept descriptors that hold for no sentence; kept ones come first again.

    Args:
        descriptors: as `curate` gives them.
        n_members: sentences of each kept one, in their order (`n_kept`).
    """
    catalog = [descriptor for descriptor in descriptors if descriptor.kept]
    others = [descriptor for descriptor in descriptors if not descriptor.kept]
    held = [d for d, size in zip(catalog, n_members, strict=True) if size]
    empty = [
        d.model_copy(update={"kept": False, "support": (), "reason": Rejection.NO_MEMBERS.value})
        for d, size in zip(catalog, n_members, strict=True)
        if not size
    ]
    return held + empty + others
