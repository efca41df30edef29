"""Word activations of sentences, read from the model in the form that files of NeuroX hold.

Words are what white space separates, and a word has the activation of its last content sub-word, or
the average of all. Unlike NeuroX, which tokenizes every word again to count its pieces, a token
belongs to the word that its last character lies in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import FloatArray, IntArray
from indexer.errors import InputError
from indexer.records import Record
from neurons.neurox import NeuroxSentence
from neurons.records import LayerSite, NeuronId

if TYPE_CHECKING:
    from neurons.extraction import TextSource
    from neurons.subject import SubjectModel
    from neurons.tokens import TokenActivations

_WORD = re.compile(r"\S+")
_VALUES_AT_A_TIME = 1 << 25
_FEWEST_TOKENS = 64
_CHARACTERS_PER_TOKEN = 3


class Aggregation(StrEnum):
    """How sub-words become a word."""

    LAST = "last"
    AVERAGE = "average"


class WordReport(Record):
    """What was read; words left out have no content token, or lie beyond what the model reads.

    A sentence of which no word is left is left out too.
    """

    sentences: int = 0
    words: int = 0
    words_left_out: int = 0
    truncated_sentences: int = 0
    sentences_left_out: int = 0


class WordReader:
    """Reads sentences as NeuroX files hold them; `report` counts those handed out so far.

    Args:
        subject: the model.
        texts: the sentences; their rows become the indices in the file.
        layer_sites: what becomes layer 0, 1 and so on of the file.
        aggregation: how sub-words become a word.

    Raises:
        InputError: there is no layer, the model lacks one, or they have different units.
    """

    def __init__(
        self,
        subject: SubjectModel,
        texts: TextSource,
        layer_sites: Sequence[LayerSite],
        aggregation: Aggregation = Aggregation.LAST,
    ) -> None:
        if len({place.site for place in layer_sites}) != 1:
            found = ", ".join(map(str, layer_sites)) or "none"
            raise InputError(f"found the layers {found}, expected one or more of one site")
        self.report = WordReport()
        self.units = subject.architecture.units(layer_sites[0].site)
        self._subject = subject
        self._texts = texts
        self._n_layers = len(layer_sites)
        self._neurons = [
            NeuronId(place.layer, place.site, unit)
            for place in layer_sites
            for unit in range(self.units)
        ]
        self._aggregation = aggregation

    def windows(self) -> Iterator[list[NeuroxSentence]]:
        """All sentences in the order of their rows, a bounded number in memory at a time.

        A window may be shorter than the rows it covers; `report` says what was left out.

        Raises:
            InputError: a text is not valid Unicode.
        """
        from neurons.tokens import token_activations

        budget = max(_FEWEST_TOKENS, _VALUES_AT_A_TIME // len(self._neurons))
        for rows, texts in _windows(self._texts, budget):
            read = token_activations(
                self._subject, texts, self._neurons, token_budget=min(4096, budget)
            )
            found = [self._sentence(row, each) for row, each in zip(rows, read, strict=True)]
            yield [sentence for sentence in found if sentence is not None]

    def _sentence(self, row: int, read: TokenActivations) -> NeuroxSentence | None:
        words = [found.span() for found in _WORD.finditer(read.text)]
        owners = _owners(words, [(token.start, token.text) for token in read.tokens])
        known = sorted(set(owners[owners >= 0].tolist()))
        self._count(len(known), len(words) - len(known), read.truncated_tokens > 0)
        if not known:
            return None
        rows = [self._word(read.activations[owners == word]) for word in known]
        layered = np.stack(rows).reshape(len(known), self._n_layers, self.units)
        return NeuroxSentence.from_tokens(
            row,
            [read.text[slice(*words[word])] for word in known],
            np.ascontiguousarray(layered.swapaxes(0, 1), dtype=np.float32),
        )

    def _word(self, pieces: FloatArray) -> FloatArray:
        is_last = self._aggregation is Aggregation.LAST
        return np.asarray(pieces[-1] if is_last else pieces.mean(axis=0), dtype=np.float32)

    def _count(self, words: int, left_out: int, truncated: bool) -> None:
        before = self.report
        self.report = WordReport(
            sentences=before.sentences + (words > 0),
            words=before.words + words,
            words_left_out=before.words_left_out + left_out,
            truncated_sentences=before.truncated_sentences + truncated,
            sentences_left_out=before.sentences_left_out + (words == 0),
        )


def _owners(words: Sequence[tuple[int, int]], tokens: Sequence[tuple[int, str]]) -> IntArray:
    """The word that each token's last character lies in, -1 for none (`n_tokens`).

    Tokens of some models begin with the space before their word, so the last character decides.
    """
    starts = np.asarray([start for start, _ in words], dtype=np.int64)
    owners = np.full(len(tokens), -1, dtype=np.int64)
    for number, (start, text) in enumerate(tokens):
        if text.strip():
            last = start + len(text.rstrip()) - 1
            owners[number] = np.searchsorted(starts, last, side="right") - 1
    return owners


def _windows(texts: TextSource, budget: int) -> Iterator[tuple[list[int], list[str]]]:
    """Consecutive rows and their texts, of about `budget` tokens together or a single text."""
    rows: list[int] = []
    window: list[str] = []
    size = 0
    for row in range(len(texts)):
        text = texts.texts_at(np.asarray([row], dtype=np.int64))[0]
        tokens = len(text) // _CHARACTERS_PER_TOKEN + 2
        if window and size + tokens > budget:
            yield rows, window
            rows, window, size = [], [], 0
        rows.append(row)
        window.append(text)
        size += tokens
    if window:
        yield rows, window
