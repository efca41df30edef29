"""Which tokens make up a word, told by where they stand in the text."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from neurons.tokens import Token

# Thai, Lao, Burmese, Khmer, Japanese and Chinese put no spaces between words.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"


@dataclass(frozen=True)
class Spans:
    """Pieces of one text, each made up of consecutive tokens.

    `places` are the characters `start` to `end` (`n_spans, 2`), `tokens` the tokens that belong to
    a span (`n_used`), and `first` where in `tokens` each span begins (`n_spans`).
    """

    places: IntArray
    tokens: IntArray
    first: IntArray

    def strongest(self, activations: FloatArray) -> FloatArray:
        """The largest of the activations of each span's tokens (`n_spans, n_neurons`).

        Args:
            activations: of all tokens of the text (`n_tokens, n_neurons`).
        """
        if not len(self.first):
            return activations[:0]
        used = activations[self.tokens]
        return np.asarray(np.maximum.reduceat(used, self.first, axis=0), dtype=np.float32)


def token_spans(tokens: Sequence[Token]) -> Spans:
    """Every token by itself."""
    places = [(token.start, token.end) for token in tokens]
    every = np.arange(len(tokens))
    return Spans(_places(places), every, every)


def word_spans(text: str, tokens: Sequence[Token]) -> Spans:
    """Whole words, each with the tokens that touch it; tokens of blanks only belong to none.

    A word is a run of letters, digits and combining marks, apostrophes inside included, or one
    other character. Where words are written without spaces a character is taken for a word. Words
    that share a token are one span.
    """
    words = [found.span() for found in _word_pattern().finditer(text)]
    starts = [start for start, _ in words]
    places: list[tuple[int, int]] = []
    used: list[int] = []
    first: list[int] = []
    for number, token in enumerate(tokens):
        shown = text[token.start : token.end]
        if not shown.strip():
            continue
        last_character = token.start + len(shown.rstrip()) - 1
        start, _ = words[bisect_right(starts, token.end - len(shown.lstrip())) - 1]
        _, end = words[bisect_right(starts, last_character) - 1]
        if places and start < places[-1][1]:
            places[-1] = places[-1][0], max(end, places[-1][1])
        else:
            places.append((start, end))
            first.append(len(used))
        used.append(number)
    return Spans(_places(places), np.asarray(used, np.int64), np.asarray(first, np.int64))


def _places(places: Sequence[tuple[int, int]]) -> IntArray:
    return np.asarray(places, dtype=np.int64).reshape(-1, 2)


@cache
def _word_pattern() -> re.Pattern[str]:
    """Finds words so that every character that is not blank is in one."""
    marks = "".join(
        chr(code) for code in range(0x300, 0x1E000) if unicodedata.category(chr(code))[0] == "M"
    )
    letters = rf"(?:(?![{_UNSPACED}])[\w{marks}])+"
    return re.compile(rf"{letters}(?:['’]{letters})*|[{_UNSPACED}][{marks}]*|\S")
