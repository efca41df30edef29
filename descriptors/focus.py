"""What the user wants descriptors to be about, as directions of the embedding space.

The corpus' own words that are nearest to the user's text ("whether the customer is satisfied":
disappointed, happy, poor) span the directions in which sentences differ in that respect. Sentences
are compared by their part in these directions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from pydantic import Field

from descriptors.proposer import PhraseEncoder
from descriptors.salience import content_words
from descriptors.views import SentenceView
from indexer.arrays import FloatArray, IntArray
from indexer.errors import InputError
from indexer.records import Record


class FocusSettings(Record):
    """How many words stand for a focus and how many directions they span.

    A word counts if `minimum_texts` sentences say it.
    """

    n_words: int = Field(default=100, ge=2)
    n_directions: int = Field(default=16, ge=1)
    minimum_texts: int = Field(default=3, ge=1)


def corpus_words(texts: Iterable[str], minimum_texts: int) -> list[str]:
    """The content words that so many texts say, in alphabetical order."""
    counts = Counter(word for text in texts for word in content_words(text))
    return sorted(word for word, count in counts.items() if count >= minimum_texts)


def focus_directions(focus: FloatArray, words: FloatArray, settings: FocusSettings) -> FloatArray:
    """Orthonormal directions in which the words nearest to the focus differ (`n, dimension`).

    Args:
        focus: unit vector of the user's text (`dimension`).
        words: unit vectors of the corpus' words (`n_words, dimension`).
        settings: numbers of words and directions.

    Raises:
        ValueError: fewer than two words.
    """
    if len(words) < 2:
        raise ValueError(f"found {len(words)} words, expected 2 or more")
    nearest = np.argsort(-(words @ focus), kind="stable")[: settings.n_words]
    chosen = words[nearest].astype(np.float64)
    _, spreads, directions = np.linalg.svd(chosen - chosen.mean(axis=0), full_matrices=False)
    varying = int(np.count_nonzero(spreads > spreads[0] * 1e-6))
    return directions[: max(1, min(settings.n_directions, varying))].astype(np.float32)


def focus_view(
    focus: str,
    texts: Sequence[str],
    encoder: PhraseEncoder,
    embeddings: FloatArray,
    mean: FloatArray,
    settings: FocusSettings | None = None,
) -> SentenceView:
    """Sentences by what they say in the directions of the focus.

    Args:
        focus: the user's text.
        texts: sentences whose words may stand for the focus.
        encoder: of the sentences.
        embeddings: of all sentences (`n_sentences, dimension`).
        mean: of the embeddings (`dimension`).
        settings: see `FocusSettings`.

    Raises:
        InputError: the texts repeat fewer than two words.
    """
    chosen = settings or FocusSettings()
    words = corpus_words(texts, chosen.minimum_texts)
    if len(words) < 2:
        raise InputError(
            f"--focus {focus!r} needs words that sentences repeat; found {len(words)} words in "
            f"{chosen.minimum_texts} or more of {len(texts)} sentences, expected 2. Give more "
            "text, or leave the focus out."
        )
    directions = focus_directions(encoder.encode([focus])[0], encoder.encode(words), chosen)

    def view(rows: IntArray) -> FloatArray:
        projected = (np.asarray(embeddings[rows], dtype=np.float32) - mean) @ directions.T
        lengths = np.linalg.norm(projected, axis=1, keepdims=True)
        unit: FloatArray = projected / np.maximum(lengths, np.finfo(np.float32).tiny)
        return unit

    return view
