"""Groups that need no label: the sentences that hold a phrase, and those nearest to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from descriptors.proposer import is_stop_word, words_of
from indexer.arrays import FloatArray, IntArray

_MOST_WORDS = 3
_FEWEST_SENTENCES = 4
_MOST_SENTENCES = 400
_ODD = words_of("thing things lot lots way ways bit kind sort something anything nothing someone")


def phrases_of(text: str) -> set[str]:
    """The runs of one to three words of a text that begin and end with a content word."""
    words = [word.strip(".,!?;:()[]\"'`").lower() for word in text.split()]
    found = set()
    for length in range(1, _MOST_WORDS + 1):
        for start in range(len(words) - length + 1):
            run = words[start : start + length]
            if all(run) and _content(run[0]) and _content(run[-1]):
                found.add(" ".join(run))
    return found


def _content(word: str) -> bool:
    return word.isalpha() and len(word) > 2 and not is_stop_word(word) and word not in _ODD


def sentences_by_phrase(
    texts: Sequence[str], nouns: frozenset[str], most: int = _MOST_SENTENCES
) -> dict[str, list[int]]:
    """Positions of the texts that hold each phrase that begins and ends with one of `nouns`."""
    positions: dict[str, list[int]] = defaultdict(list)
    for place, text in enumerate(texts):
        for phrase in phrases_of(text):
            if phrase.partition(" ")[0] in nouns and phrase.rpartition(" ")[2] in nouns:
                positions[phrase].append(place)
    return {
        phrase: held
        for phrase, held in sorted(positions.items())
        if _FEWEST_SENTENCES <= len(held) <= most
    }


def nearest_texts(
    queries: FloatArray, vectors: FloatArray, n_nearest: int
) -> tuple[FloatArray, IntArray]:
    """Cosines and positions of the texts nearest to each query (`n_queries, n_nearest`)."""
    import torch

    texts = torch.from_numpy(np.asarray(vectors)).to(torch.bfloat16)
    cosines, positions = [], []
    for start in range(0, len(queries), 512):
        window = torch.from_numpy(np.asarray(queries[start : start + 512])).to(torch.bfloat16)
        best = (window @ texts.T).float().topk(n_nearest, dim=1)
        cosines.append(best.values.numpy())
        positions.append(best.indices.numpy())
    return np.concatenate(cosines), np.concatenate(positions).astype(np.int64)
