"""What the embedded generator reads of a group: embeddings, and the words that stand out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from descriptors.proposer import GroupTexts, PhraseEncoder
from descriptors.salience import content_words, inverse_document_frequency, salient_words
from indexer.arrays import FloatArray

if TYPE_CHECKING:
    from descriptors.embedded_model import PrefixInput

_PIECES_PER_WORD = 3
_WORDS = 12

Pieces = Callable[[str], Sequence[int]]
"""From a word to its token ids."""


class GroupReader:
    """Picks what the generator reads of each group; words are weighed over all groups."""

    def __init__(self, groups: Sequence[GroupTexts], n_sentences: int, n_contrast: int) -> None:
        self._n_sentences = n_sentences
        self._n_contrast = n_contrast
        distinct = dict.fromkeys(t for g in groups for t in (*g.texts, *g.contrast_texts))
        self._words = {text: content_words(text) for text in distinct}

    @cached_property
    def _rarity(self) -> dict[str, float]:
        return inverse_document_frequency(self._words.values())

    def texts(self, group: GroupTexts) -> list[str]:
        """The sentences and contrast sentences to embed."""
        return [*self._sentences(group), *self._contrast(group)]

    def _sentences(self, group: GroupTexts) -> list[str]:
        return _spread(group.texts, self._n_sentences)

    def _contrast(self, group: GroupTexts) -> list[str]:
        return _spread(group.contrast_texts, self._n_contrast)

    def read(
        self, group: GroupTexts, vectors: Mapping[str, FloatArray], pieces: Pieces
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


def encode_distinct(encoder: PhraseEncoder, texts: Sequence[str]) -> dict[str, FloatArray]:
    """The vector of each text, each encoded once."""
    distinct = list(dict.fromkeys(texts))
    if not distinct:
        return {}
    return dict(zip(distinct, encoder.encode(distinct), strict=True))
