"""The embedded proposer: a small generative LM of our own that names groups, with no network.

The generator writes several names for a group (beam search). Beside them stand the phrases that the
group says more often than others: a generator this small has no words for what is new to it. All
are ranked by how near their embedding is to the group and not to its contrast, and by how much the
group says them; the generator's own log probability told right names from wrong ones no better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from descriptors.group_reader import GroupReader, encode_distinct
from descriptors.proposer import (
    GroupTexts,
    PhraseEncoder,
    ProposalBatch,
    RejectionCount,
    normalise_phrase,
    phrase_problem,
)
from descriptors.records import Proposal
from descriptors.shortlist import Shortlist, shortlists_of
from indexer.arrays import FloatArray
from indexer.records import Record
from indexer.storage import fingerprint

if TYPE_CHECKING:
    from descriptors.embedded_generator import EmbeddedGenerator, GeneratedNames
    from descriptors.embedded_model import PrefixInput

VERSION = 3
_GROUPS_PER_WINDOW = 64


class EmbeddedRejection(StrEnum):
    """Why a generated name was not proposed."""

    NEAR_DUPLICATE = "near_duplicate"
    NOT_AMONG_BEST = "not_among_best"
    NO_TEXT = "no_text"


class EmbeddedSettings(Record):
    """How groups are read and names ranked; cosines are between sentence embeddings.

    `n_copied` phrases of a group are ranked beside what the generator writes; 0 leaves its own
    words alone. A name's score is its cosine to the group, less `contrast_weight` times that to the
    contrast, plus `lexical_weight` times its weight among the group's phrases, 1 for the greatest;
    chosen on groups that took part in no training.
    """

    n_phrases: int = Field(default=5, ge=1)
    n_beams: int = Field(default=8, ge=2)
    n_copied: int = Field(default=20, ge=0)
    n_sentences: int = Field(default=12, ge=1)
    n_contrast: int = Field(default=6, ge=1)
    contrast_weight: float = Field(default=0.2, ge=0.0)
    lexical_weight: float = Field(default=0.1, ge=0.0)
    maximum_similarity: float = Field(default=0.9, gt=0.0, le=1.0)


class EmbeddedProposer:
    """Proposes names that the embedded generator writes, and phrases of the group beside them."""

    name = "embedded"

    def __init__(
        self,
        encoder: PhraseEncoder,
        generator: EmbeddedGenerator,
        settings: EmbeddedSettings | None = None,
    ) -> None:
        self._encoder = encoder
        self._generator = generator
        self._settings = settings or EmbeddedSettings()

    @property
    def fingerprint(self) -> str:
        """Weights, encoder, version and settings."""
        return fingerprint(
            [
                self.name,
                VERSION,
                self._settings.model_dump(mode="json"),
                self._generator.fingerprint,
                self._encoder.fingerprint,
            ]
        )

    def propose(
        self, groups: Sequence[GroupTexts], *, progress: bool = False
    ) -> Iterator[ProposalBatch]:
        """Yield one batch per group, in the order of `groups`."""
        from indexer.progress_bar import ProgressBar

        settings = self._settings
        reader = GroupReader(groups, settings.n_sentences, settings.n_contrast)
        lists = shortlists_of(groups, settings.n_copied)
        shortlists = {group.group.id: own for group, own in zip(groups, lists, strict=True)}
        with ProgressBar(
            total=len(groups), desc="name groups", unit="group", disable=not progress
        ) as bar:
            for start in range(0, len(groups), _GROUPS_PER_WINDOW):
                window = groups[start : start + _GROUPS_PER_WINDOW]
                yield from self._window(window, reader, shortlists)
                bar.update(len(window))

    def _window(
        self,
        groups: Sequence[GroupTexts],
        reader: GroupReader,
        shortlists: Mapping[str, Shortlist],
    ) -> Iterator[ProposalBatch]:
        readable = [group for group in groups if group.texts]
        vectors = encode_distinct(self._encoder, [t for g in readable for t in reader.texts(g)])
        read = [reader.read(group, vectors, self._generator.pieces) for group in readable]
        candidates = self._candidates(read, [shortlists[group.group.id] for group in readable])
        phrases = encode_distinct(
            self._encoder, [phrase for each in candidates for phrase in each.weights]
        )
        batches = {
            group.group.id: self._batch(group.group.id, own, named, phrases)
            for group, own, named in zip(readable, read, candidates, strict=True)
        }
        nothing = (RejectionCount(EmbeddedRejection.NO_TEXT, 1),)
        for group in groups:
            yield batches.get(group.group.id) or ProposalBatch(group.group.id, (), nothing)

    def _candidates(
        self, read: Sequence[PrefixInput], shortlists: Sequence[Shortlist]
    ) -> list[_Candidates]:
        """What the generator writes for each group, and the phrases that the group says."""
        from descriptors.embedded_generator import BeamSettings

        written = self._generator.generate(read, BeamSettings(n_beams=self._settings.n_beams))
        return [
            _Candidates.of(names, said) for names, said in zip(written, shortlists, strict=True)
        ]

    def _batch(
        self,
        group: str,
        read: PrefixInput,
        candidates: _Candidates,
        phrases: Mapping[str, FloatArray],
    ) -> ProposalBatch:
        rejected = candidates.rejected.copy()
        chosen: list[str] = []
        for text in self._ranked(candidates, phrases, read):
            similar = max((float(phrases[text] @ phrases[c]) for c in chosen), default=-1.0)
            if similar >= self._settings.maximum_similarity:
                rejected[EmbeddedRejection.NEAR_DUPLICATE] += 1
            elif len(chosen) == self._settings.n_phrases:
                rejected[EmbeddedRejection.NOT_AMONG_BEST] += 1
            else:
                chosen.append(text)
        proposals = tuple(Proposal(text=text, proposer=self.name, group=group) for text in chosen)
        counts = (RejectionCount(str(reason), rejected[reason]) for reason in sorted(rejected))
        return ProposalBatch(group, proposals, tuple(counts))

    def _ranked(
        self, candidates: _Candidates, phrases: Mapping[str, FloatArray], read: PrefixInput
    ) -> list[str]:
        """The candidates, best first."""
        texts = list(candidates.weights)
        if not texts:
            return []
        settings = self._settings
        vectors = np.stack([phrases[text] for text in texts])
        scores = vectors @ _unit(read.mean)
        scores += settings.lexical_weight * np.array(list(candidates.weights.values()), np.float32)
        if len(read.contrast):
            scores -= settings.contrast_weight * (vectors @ _unit(read.contrast.mean(axis=0)))
        return [texts[place] for place in np.argsort(-scores, kind="stable")]


@dataclass(frozen=True)
class _Candidates:
    """Names of one group.

    Attributes:
        weights: for each what it weighs among the phrases that the group says, 1 for the greatest
            and 0 for what is only written; written ones first, the most probable before others.
        rejected: how many of what was written or said is no descriptor, by reason.
    """

    weights: dict[str, float]
    rejected: Counter[str]

    @classmethod
    def of(cls, written: GeneratedNames, said: Shortlist) -> _Candidates:
        weights: dict[str, float] = {}
        rejected: Counter[str] = Counter()
        for phrase in map(normalise_phrase, written.names):
            problem = phrase_problem(phrase)
            if problem is not None:
                rejected[problem] += 1
            elif phrase in weights:
                rejected[EmbeddedRejection.NEAR_DUPLICATE] += 1
            else:
                weights[phrase] = 0.0
        for phrase, weight in zip(said.texts, said.weights.tolist(), strict=True):
            if (problem := phrase_problem(phrase)) is None:
                weights[phrase] = weight / float(said.weights.max())
            else:
                rejected[problem] += 1
        return cls(weights, rejected)


def _unit(vector: FloatArray) -> FloatArray:
    unit: FloatArray = vector / max(float(np.linalg.norm(vector)), float(np.finfo(np.float32).tiny))
    return unit
