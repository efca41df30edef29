"""The keyphrase proposer: what a group says more than its neighbours, in its own words, no LM.

Phrases of a group are scored by class-based TF-IDF over all groups, damped where the contrast
sentences say them as well, re-ranked by their embedding's closeness to the group, and picked by
maximal marginal relevance, so that the few that are proposed differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np

from descriptors.phrase_scores import choose_diverse
from descriptors.proposer import GroupTexts, PhraseEncoder, ProposalBatch, RejectionCount
from descriptors.records import Proposal
from descriptors.shortlist import FRAGMENT_SHARE, Shortlist, shortlists_of
from indexer.arrays import DoubleArray, FloatArray
from indexer.storage import fingerprint

VERSION = 1
GROUPS_PER_WINDOW = 1_024
"""Groups whose phrases are embedded in one call; bounds the memory of their vectors."""


class KeyphraseRejection(StrEnum):
    """Why a group got no phrase, or why a candidate was turned down."""

    NO_TEXT = "no_text"
    NO_CANDIDATE = "no_candidate"
    NEAR_DUPLICATE = "near_duplicate"
    UNLIKE_GROUP = "unlike_group"


@dataclass(frozen=True)
class KeyphraseSettings:
    """What shapes the choice of phrases; the defaults are tuned on clinc150 and banking77.

    `n_candidates` are embedded per group. `semantic_weight` is the share of the embedding in the
    relevance (the rest is c-TF-IDF), `length_bonus` what a second content word adds to it.
    `relevance_weight` is MMR's lambda. `minimum_relevance` is relative to a group's best phrase,
    `maximum_similarity` a cosine between phrases. `n_centre_texts` sentences give a group's
    mean embedding.
    """

    n_phrases: int = 5
    n_candidates: int = 20
    semantic_weight: float = 0.7
    length_bonus: float = 0.05
    relevance_weight: float = 0.7
    minimum_relevance: float = 0.4
    maximum_similarity: float = 0.85
    fragment_share: float = FRAGMENT_SHARE
    n_centre_texts: int = 12


class KeyphraseProposer:
    """Proposes the phrases that tell a group from the others; needs an encoder but no LM."""

    name = "keyphrase"

    def __init__(self, encoder: PhraseEncoder, settings: KeyphraseSettings | None = None) -> None:
        self._encoder = encoder
        self._settings = settings or KeyphraseSettings()

    @property
    def fingerprint(self) -> str:
        """Name, version, settings and encoder: all that the answer depends on."""
        return fingerprint([self.name, VERSION, asdict(self._settings), self._encoder.fingerprint])

    def propose(
        self, groups: Sequence[GroupTexts], *, progress: bool = False
    ) -> Iterator[ProposalBatch]:
        """Yield one batch per group, in the order of `groups`; all groups are counted first."""
        every = shortlists_of(groups, self._settings.n_candidates, self._settings.fragment_share)
        for start in range(0, len(groups), GROUPS_PER_WINDOW):
            window = range(start, min(start + GROUPS_PER_WINDOW, len(groups)))
            shortlists = [every[row] for row in window]
            vectors = self._embed([groups[row] for row in window], shortlists, progress)
            for row, candidates in zip(window, shortlists, strict=True):
                yield self._batch(groups[row], candidates, vectors)

    def _centre_texts(self, group: GroupTexts) -> list[str]:
        """Evenly spaced sentences, enough for a stable mean."""
        n_texts = min(len(group.texts), self._settings.n_centre_texts)
        rows = np.linspace(0, len(group.texts) - 1, n_texts).round().astype(np.int64)
        return [group.texts[row] for row in rows]

    def _embed(
        self, groups: Sequence[GroupTexts], shortlists: Sequence[Shortlist], progress: bool
    ) -> _Vectors:
        centres = [
            self._centre_texts(group) if candidates.texts else []
            for group, candidates in zip(groups, shortlists, strict=True)
        ]
        phrases = [candidates.texts for candidates in shortlists]
        distinct = list(dict.fromkeys(text for texts in (*phrases, *centres) for text in texts))
        rows = {text: row for row, text in enumerate(distinct)}
        vectors = self._encoder.encode(distinct, progress=progress) if distinct else _NO_VECTORS
        return _Vectors(vectors, rows)

    def _batch(self, group: GroupTexts, candidates: Shortlist, vectors: _Vectors) -> ProposalBatch:
        if not candidates.texts:
            return _empty_batch(group, candidates.rejected)
        embedded = vectors.of(candidates.texts)
        centre = vectors.of(self._centre_texts(group)).mean(axis=0)
        settings = self._settings
        choice = choose_diverse(
            _relevance(candidates, embedded, centre, settings),
            embedded,
            candidates.words,
            n_phrases=settings.n_phrases,
            relevance_weight=settings.relevance_weight,
            minimum_relevance=settings.minimum_relevance,
            maximum_similarity=settings.maximum_similarity,
        )
        rejected = candidates.rejected + Counter(
            {
                KeyphraseRejection.NEAR_DUPLICATE: choice.near_duplicates,
                KeyphraseRejection.UNLIKE_GROUP: choice.irrelevant,
            }
        )
        return ProposalBatch(
            group.group.id,
            tuple(
                Proposal(text=candidates.texts[i], proposer=self.name, group=group.group.id)
                for i in choice.chosen
            ),
            _records(rejected),
        )


@dataclass(frozen=True)
class _Vectors:
    """Unit vectors of texts, each text once."""

    matrix: FloatArray
    rows: dict[str, int]

    def of(self, texts: Sequence[str]) -> FloatArray:
        """The vectors of `texts` (`n_texts, dimension`)."""
        return self.matrix[[self.rows[text] for text in texts]]


_NO_VECTORS: FloatArray = np.zeros((0, 0), dtype=np.float32)


def _empty_batch(group: GroupTexts, rejected: Counter[str]) -> ProposalBatch:
    reason = KeyphraseRejection.NO_CANDIDATE if group.texts else KeyphraseRejection.NO_TEXT
    return ProposalBatch(group.group.id, (), _records(+rejected or Counter([reason])))


def _records(rejected: Counter[str]) -> tuple[RejectionCount, ...]:
    return tuple(RejectionCount(str(reason), rejected[reason]) for reason in sorted(rejected))


def _relevance(
    candidates: Shortlist, vectors: FloatArray, centre: FloatArray, settings: KeyphraseSettings
) -> DoubleArray:
    """Weighted mean of c-TF-IDF and of the cosine to the group, each scaled to end at 1."""
    cosines = (vectors @ centre).astype(np.float64)
    spread = float(np.ptp(cosines))
    semantic = (cosines - cosines.min()) / spread if spread > 0.0 else np.ones(len(cosines))
    lexical = candidates.weights / candidates.weights.max()
    several = np.array([len(words) > 1 for words in candidates.words], dtype=np.float64)
    share = settings.semantic_weight
    scores: DoubleArray = (1.0 - share) * lexical + share * semantic
    return np.add(scores, settings.length_bonus * several)
