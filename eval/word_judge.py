"""A judge without an LM: which words a text shares with a description, and with what is like it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from descriptors.salience import content_words
from eval.judges import WORDS, Unanswered
from eval.lm_free_judge import LMFreeJudge
from indexer.arrays import DoubleArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

NO_WORDS = "no_words"
"""Why nothing can be judged where the reference texts hold no content word."""

_STEM_LETTERS = 5
_DECIMALS = 9


def stems(text: str) -> list[str]:
    """The content words of a text cut to their first five letters, each once, in order.

    Cutting words off serves as a stemmer that needs no list of one language's endings (McNamee and
    Mayfield 2004, "Character n-gram tokenization for European language text retrieval").
    """
    return sorted({word[:_STEM_LETTERS] for word in content_words(text)})


class WordJudge(LMFreeJudge):
    """Nearness is the cosine of TF-IDF vectors, of descriptions expanded by what is like them.

    The few words of a description are seldom in a text. To them are added, with the same weight,
    the words of the reference texts that share most with it (pseudo-relevance feedback, Rocchio
    1971).

    Args:
        reference: texts that words are weighted on, of no split that is judged.
        n_expanding: how many of them expand a description at most.

    Raises:
        ValueError: `n_expanding` is below 0.
    """

    name = WORDS

    def __init__(self, reference: Sequence[str], n_expanding: int = 30) -> None:
        if n_expanding < 0:
            raise ValueError(f"n_expanding is {n_expanding}, expected 0 or more")
        self._reference = reference
        self._n_expanding = n_expanding

    def nearness(self, pieces: Iterable[str], descriptions: Iterable[str]) -> Overlaps | Unanswered:
        """Weights every different text once."""
        weighted = self._weighted
        if weighted is None:
            return Unanswered(NO_WORDS)
        # scikit-learn refuses to weigh no text at all.
        distinct = list(dict.fromkeys(pieces)) or [""]
        places = {piece: place for place, piece in enumerate(distinct)}
        queries = {text: self._expanded(text, weighted) for text in dict.fromkeys(descriptions)}
        return Overlaps(weighted.vectorizer.transform(distinct), places, queries)

    @cached_property
    def _weighted(self) -> _Weighted | None:
        """The reference texts, None if no content word is in them."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        if not any(stems(text) for text in self._reference):
            return None
        vectorizer = TfidfVectorizer(analyzer=stems)
        return _Weighted(vectorizer, vectorizer.fit_transform(self._reference))

    def _expanded(self, description: str, weighted: _Weighted) -> DoubleArray:
        """The description as a unit vector of words (`n_stems`), 0 if it has none that is known."""
        own = weighted.vectorizer.transform([description])
        shared = np.asarray((weighted.texts @ own.T).todense(), dtype=np.float64).ravel()
        # Rounded so that equal overlaps tie; ties go to the earlier text.
        best = np.argsort(-np.round(shared, _DECIMALS), kind="stable")[: self._n_expanding]
        best = np.sort(best[shared[best] > 0.0])
        alone = np.asarray(own.todense(), dtype=np.float64).ravel()
        like_it = np.asarray(weighted.texts[best].sum(axis=0), dtype=np.float64).ravel()
        return _unit(alone + _unit(like_it))


@dataclass(frozen=True, eq=False)
class _Weighted:
    """The reference texts as unit vectors of words (`n_texts, n_stems`), and what makes such."""

    vectorizer: TfidfVectorizer
    texts: csr_matrix


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Compares pieces (`n_pieces, n_stems`) with expanded descriptions (`n_stems` each)."""

    vectors: csr_matrix
    places: dict[str, int]
    queries: dict[str, DoubleArray]

    def scores(self, pieces: Sequence[str], description: str) -> DoubleArray:
        """The cosine of each piece (`n_pieces`)."""
        own = self.vectors[[self.places[piece] for piece in pieces]]
        scores = np.clip(own @ self.queries[description], 0.0, 1.0)
        return np.asarray(np.round(scores, _DECIMALS), dtype=np.float64)


def _unit(vector: DoubleArray) -> DoubleArray:
    length = float(np.linalg.norm(vector))
    return vector if length == 0.0 else np.asarray(vector / length)
