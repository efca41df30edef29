"""A judge without an LM: how near a description and a text are in sentence-embedding space."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from eval.judges import EMBEDDING
from eval.lm_free_judge import LMFreeJudge
from indexer.arrays import DoubleArray, FloatArray

_DECIMALS = 6


class TextEncoder(Protocol):
    """What gives unit vectors; see `indexer.encoder.Encoder`."""

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """One vector of length 1 per text (`n_texts, dimension`)."""
        ...


class EmbeddingJudge(LMFreeJudge):
    """Nearness is the cosine, mapped from -1..1 to 0..1; a word is embedded by itself."""

    name = EMBEDDING

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder

    def nearness(self, pieces: Iterable[str], descriptions: Iterable[str]) -> Cosines:
        """Embeds every different text once.

        Raises:
            BackendError: the encoder gives vectors that have no direction.
        """
        return Cosines(self._embedded(pieces), self._embedded(descriptions))

    def _embedded(self, texts: Iterable[str]) -> Embedded:
        distinct = list(dict.fromkeys(texts))
        vectors = self._encoder.encode(distinct)
        return Embedded(vectors, {text: place for place, text in enumerate(distinct)})


@dataclass(frozen=True, eq=False)
class Embedded:
    """Unit vectors of texts (`n_texts, dimension`), and where each text's is."""

    vectors: FloatArray
    places: dict[str, int]


@dataclass(frozen=True, eq=False)
class Cosines:
    """Compares embedded pieces with embedded descriptions."""

    pieces: Embedded
    descriptions: Embedded

    def scores(self, pieces: Sequence[str], description: str) -> DoubleArray:
        """(1 + cosine) / 2 of each piece (`n_pieces`)."""
        towards = self.descriptions.vectors[self.descriptions.places[description]]
        own = self.pieces.vectors[[self.pieces.places[piece] for piece in pieces]]
        scores = (1.0 + (own @ towards).astype(np.float64)) / 2.0
        # Equal texts must tie, which the last bits of a product of float32 need not.
        return np.asarray(np.round(np.clip(scores, 0.0, 1.0), _DECIMALS))
