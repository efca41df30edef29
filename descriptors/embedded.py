"""The embedded proposer: a small generative LM of our own that names groups, with no network.

The generator writes several names for a group (beam search) and says how probable the phrases are
that the group says more often than others; a generator this small writes words well that it has
learned, but not words that are new to it. All are ranked by log probability, by how much the group
says them, and by how much nearer their own embedding is to the group than to its contrast.
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

VERSION = 2
_GROUPS_PER_WINDOW = 64


class EmbeddedRejection(StrEnum):
    """Why a generated name was not proposed."""

    NEAR_DUPLICATE = "near_duplicate"
    NOT_AMONG_BEST = "not_among_best"
    NO_TEXT = "no_text"


class EmbeddedSettings(Record):
    """How groups are read and names ranked; cosines are between sentence embeddings.

    `n_copied` phrases of a group are scored beside what the generator writes; 0 leaves its own
    words alone. `group_weight` and `contrast_weight` are what a cosine of 1 adds to, and takes
    from, a name's mean log probability, `lexical_weight` what the group's most telling phrase gets;
    chosen on groups that took part in no training.
    """

    n_phrases: int = Field(default=5, ge=1)
    n_beams: int = Field(default=8, ge=2)
    n_copied: int = Field(default=12, ge=0)
    n_sentences: int = Field(default=12, ge=1)
    n_contrast: int = Field(default=6, ge=1)
    group_weight: float = Field(default=6.0, ge=0.0)
    contrast_weight: float = Field(default=3.0, ge=0.0)
    lexical_weight: float = Field(default=1.0, ge=0.0)
    maximum_similarity: float = Field(default=0.9, gt=0.0, le=1.0)


class EmbeddedProposer:
    """Proposes names that the embedded generator writes."""

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
        from tqdm import tqdm

        settings = self._settings
        reader = GroupReader(groups, settings.n_sentences, settings.n_contrast)
        lists = shortlists_of(groups, settings.n_copied)
        shortlists = {group.group.id: own for group, own in zip(groups, lists, strict=True)}
        with tqdm(total=len(groups), desc="name groups", unit="group", disable=not progress) as bar:
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
            self._encoder, [phrase for each in candidates for phrase in each.scores]
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
        """What the generator writes for each group, and what it makes of the group's phrases."""
        from descriptors.embedded_generator import BeamSettings

        written = self._generator.generate(read, BeamSettings(n_beams=self._settings.n_beams))
        found = [_usable(names) for names in written]
        said = [
            [text for text in own.texts if text not in each.scores and not phrase_problem(text)]
            for own, each in zip(shortlists, found, strict=True)
        ]
        for each, own, texts, scores in zip(
            found, shortlists, said, self._generator.score(read, said), strict=True
        ):
            each.scores.update(zip(texts, scores.tolist(), strict=True))
            weights = own.weights / own.weights.max(initial=0.0) if len(own.texts) else own.weights
            each.lexical.update(zip(own.texts, weights.tolist(), strict=True))
        return found

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
        texts = list(candidates.scores)
        if not texts:
            return []
        settings = self._settings
        vectors = np.stack([phrases[text] for text in texts])
        lexical = np.array([candidates.lexical.get(text, 0.0) for text in texts])
        scores = np.array(list(candidates.scores.values()))
        scores += settings.lexical_weight * lexical
        scores += settings.group_weight * (vectors @ _unit(read.mean))
        if len(read.contrast):
            scores -= settings.contrast_weight * (vectors @ _unit(read.contrast.mean(axis=0)))
        return [texts[place] for place in np.argsort(-scores, kind="stable")]


@dataclass(frozen=True)
class _Candidates:
    """Names of one group.

    Attributes:
        scores: mean log probability of each.
        lexical: for phrases that the group says, their weight as a share of the greatest.
        rejected: how many of what was written is no descriptor, by reason.
    """

    scores: dict[str, float]
    lexical: dict[str, float]
    rejected: Counter[str]


def _usable(written: GeneratedNames) -> _Candidates:
    """The written names that may be descriptors."""
    found = _Candidates({}, {}, Counter())
    for name, score in zip(written.names, written.scores.tolist(), strict=True):
        phrase = normalise_phrase(name)
        problem = phrase_problem(phrase)
        if problem is not None:
            found.rejected[problem] += 1
        elif phrase in found.scores:
            found.rejected[EmbeddedRejection.NEAR_DUPLICATE] += 1
        else:
            found.scores[phrase] = score
    return found


def _unit(vector: FloatArray) -> FloatArray:
    unit: FloatArray = vector / max(float(np.linalg.norm(vector)), float(np.finfo(np.float32).tiny))
    return unit
