"""The words that a group of sentences says more often than its contrast and than its corpus."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from descriptors.proposer import is_stop_word

_FEWEST_SHARE = 8
_WORD = re.compile(r"[^\W\d_][\w'’-]*[^\W_]|[^\W\d_]{2,}")


def content_words(text: str) -> frozenset[str]:
    """The distinct lower-case words of a text that are no stop words, of two letters or more."""
    words = {found.group().lower() for found in _WORD.finditer(text)}
    return frozenset(word for word in words if not is_stop_word(word))


def inverse_document_frequency(texts: Iterable[frozenset[str]]) -> dict[str, float]:
    """log((1 + n_texts) / (1 + texts that hold the word)) of each word (Spärck Jones 1972)."""
    counts: Counter[str] = Counter()
    n_texts = 0
    for words in texts:
        counts.update(words)
        n_texts += 1
    return {word: math.log((1 + n_texts) / (1 + count)) for word, count in counts.items()}


def salient_words(
    group: Sequence[frozenset[str]],
    contrast: Sequence[frozenset[str]],
    rarity: Mapping[str, float],
    n_words: int,
) -> list[str]:
    """Words whose share of the group exceeds their share of the contrast, times their rarity.

    Best first, ties in alphabetical order. In a group of three texts or more a word must be in two,
    and in an eighth of them: in a wide group a few texts share words that say nothing of it.

    Args:
        group: words of each text of the group.
        contrast: words of each contrast text.
        rarity: inverse document frequency; unknown words count as the rarest.
        n_words: how many at most.
    """
    inside = Counter(word for words in group for word in words)
    outside = Counter(word for words in contrast for word in words)
    needed = max(2, math.ceil(len(group) / _FEWEST_SHARE)) if len(group) > 2 else 1
    rarest = max(rarity.values(), default=1.0)
    scores = {}
    for word, count in inside.items():
        excess = count / len(group) - outside[word] / max(1, len(contrast))
        if count >= needed and excess > 0.0:
            scores[word] = excess * rarity.get(word, rarest)
    return sorted(scores, key=lambda word: (-scores[word], word))[:n_words]
