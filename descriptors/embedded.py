"""The embedded proposer: a small generative LM of our own that names groups, with no network.

The generator writes several names for a group (beam search); names are then ranked by their log
probability and by how much nearer their own embedding is to the group than to its contrast.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from descriptors.proposer import (
    GroupTexts,
    PhraseEncoder,
    ProposalBatch,
    RejectionCount,
    normalise_phrase,
    phrase_problem,
)
from descriptors.records import Proposal
from descriptors.salience import content_words, inverse_document_frequency, salient_words
from indexer.arrays import DoubleArray, FloatArray
from indexer.records import Record
from indexer.storage import fingerprint

if TYPE_CHECKING:
    from descriptors.embedded_generator import EmbeddedGenerator, GeneratedNames
    from descriptors.embedded_model import PrefixInput

VERSION = 1
_GROUPS_PER_WINDOW = 64
_PIECES_PER_WORD = 3
_WORDS = 12

_Pieces = Callable[[str], Sequence[int]]


class EmbeddedRejection(StrEnum):
    """Why a generated name was not proposed."""

    NEAR_DUPLICATE = "near_duplicate"
    NOT_AMONG_BEST = "not_among_best"
    NO_TEXT = "no_text"


class EmbeddedSettings(Record):
    """How groups are read and names ranked; cosines are between sentence embeddings.

    `group_weight` and `contrast_weight` are what a cosine of 1 adds to, and takes from, a name's
    mean log probability; chosen on groups that took part in no training.
    """

    n_phrases: int = Field(default=5, ge=1)
    n_beams: int = Field(default=8, ge=2)
    n_sentences: int = Field(default=12, ge=1)
    n_contrast: int = Field(default=6, ge=1)
    group_weight: float = Field(default=6.0, ge=0.0)
    contrast_weight: float = Field(default=3.0, ge=0.0)
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

        reader = _Reader(groups, self._settings)
        with tqdm(total=len(groups), desc="name groups", unit="group", disable=not progress) as bar:
            for start in range(0, len(groups), _GROUPS_PER_WINDOW):
                window = groups[start : start + _GROUPS_PER_WINDOW]
                yield from self._window(window, reader)
                bar.update(len(window))

    def _window(self, groups: Sequence[GroupTexts], reader: _Reader) -> Iterator[ProposalBatch]:
        from descriptors.embedded_generator import BeamSettings

        readable = [group for group in groups if group.texts]
        vectors = _encode(self._encoder, [t for g in readable for t in reader.texts(g)])
        read = {g.group.id: reader.read(g, vectors, self._generator.pieces) for g in readable}
        beam = BeamSettings(n_beams=self._settings.n_beams)
        generated = self._generator.generate([read[g.group.id] for g in readable], beam)
        named = {g.group.id: names for g, names in zip(readable, generated, strict=True)}
        phrases = _encode(
            self._encoder, [normalise_phrase(n) for names in named.values() for n in names.names]
        )
        for group in groups:
            if group.group.id not in named:
                nothing = Counter([str(EmbeddedRejection.NO_TEXT)])
                yield ProposalBatch(group.group.id, (), _counts(nothing))
                continue
            yield self._batch(group, read[group.group.id], named[group.group.id], phrases)

    def _batch(
        self,
        group: GroupTexts,
        read: PrefixInput,
        generated: GeneratedNames,
        phrases: Mapping[str, FloatArray],
    ) -> ProposalBatch:
        rejected: Counter[str] = Counter()
        scored: dict[str, float] = {}
        for name, score in zip(generated.names, generated.scores, strict=True):
            phrase = normalise_phrase(name)
            problem = phrase_problem(phrase)
            if problem is not None:
                rejected[problem] += 1
            elif phrase in scored:
                rejected[EmbeddedRejection.NEAR_DUPLICATE] += 1
            else:
                scored[phrase] = float(score)
        texts = list(scored)
        vectors = (
            np.stack([phrases[text] for text in texts]) if texts else np.zeros((0, 1), np.float32)
        )
        order = self._order(np.array(list(scored.values())), vectors, read)
        chosen: list[int] = []
        for place in order:
            similar = max((float(vectors[place] @ vectors[c]) for c in chosen), default=-1.0)
            if similar >= self._settings.maximum_similarity:
                rejected[EmbeddedRejection.NEAR_DUPLICATE] += 1
            elif len(chosen) == self._settings.n_phrases:
                rejected[EmbeddedRejection.NOT_AMONG_BEST] += 1
            else:
                chosen.append(place)
        proposals = tuple(
            Proposal(text=texts[place], proposer=self.name, group=group.group.id)
            for place in chosen
        )
        return ProposalBatch(group.group.id, proposals, _counts(rejected))

    def _order(
        self, log_probabilities: DoubleArray, vectors: FloatArray, read: PrefixInput
    ) -> list[int]:
        """Places of the names, best first."""
        if not len(log_probabilities):
            return []
        scores = log_probabilities + self._settings.group_weight * (vectors @ _unit(read.mean))
        if len(read.contrast):
            contrast = _unit(read.contrast.mean(axis=0))
            scores = scores - self._settings.contrast_weight * (vectors @ contrast)
        return [int(place) for place in np.argsort(-scores, kind="stable")]


class _Reader:
    """Picks what the generator reads of each group; words are weighed over all groups."""

    def __init__(self, groups: Sequence[GroupTexts], settings: EmbeddedSettings) -> None:
        self._settings = settings
        distinct = dict.fromkeys(t for g in groups for t in (*g.texts, *g.contrast_texts))
        self._words = {text: content_words(text) for text in distinct}

    @cached_property
    def _rarity(self) -> dict[str, float]:
        return inverse_document_frequency(self._words.values())

    def texts(self, group: GroupTexts) -> list[str]:
        """The sentences and contrast sentences to embed."""
        return [*self._sentences(group), *self._contrast(group)]

    def _sentences(self, group: GroupTexts) -> list[str]:
        return _spread(group.texts, self._settings.n_sentences)

    def _contrast(self, group: GroupTexts) -> list[str]:
        return _spread(group.contrast_texts, self._settings.n_contrast)

    def read(
        self, group: GroupTexts, vectors: Mapping[str, FloatArray], pieces: _Pieces
    ) -> PrefixInput:
        """The generator's input for a group whose texts are among `vectors`."""
        from descriptors.embedded_model import PrefixInput

        words = salient_words(
            [self._words[text] for text in group.texts],
            [self._words[text] for text in group.contrast_texts],
            self._rarity,
            n_words=_WORDS,
        )
        central_first = self._sentences(group)
        # The decoder reads the first few one by one: every other one covers the group.
        ordered = [*central_first[::2], *central_first[1::2]]
        sentences = np.stack([vectors[text] for text in ordered])
        contrast = [vectors[text] for text in self._contrast(group)]
        return PrefixInput(
            sentences=sentences,
            mean=sentences.mean(axis=0),
            contrast=np.stack(contrast) if contrast else sentences[:0],
            word_pieces=tuple(p for word in words for p in pieces(word)[:_PIECES_PER_WORD]),
        )


def _spread(texts: Sequence[str], most: int) -> list[str]:
    """At most so many texts, evenly spaced."""
    rows = np.linspace(0, len(texts) - 1, min(len(texts), most)).round().astype(np.int64)
    return [texts[row] for row in rows]


def _encode(encoder: PhraseEncoder, texts: Sequence[str]) -> dict[str, FloatArray]:
    distinct = list(dict.fromkeys(texts))
    if not distinct:
        return {}
    return dict(zip(distinct, encoder.encode(distinct), strict=True))


def _unit(vector: FloatArray) -> FloatArray:
    unit: FloatArray = vector / max(float(np.linalg.norm(vector)), float(np.finfo(np.float32).tiny))
    return unit


def _counts(rejected: Counter[str]) -> tuple[RejectionCount, ...]:
    return tuple(RejectionCount(str(reason), rejected[reason]) for reason in sorted(rejected))
