"""Sentences with token activations, as the activation files of NeuroX hold them.

NeuroX reads words: it splits a sentence on single spaces, gives every word the activations of its
last sub-word (or the average of all) and leaves special tokens out. Its layer 0 is the embedding
output unless the file was made with --ignore_embeddings, so layer 1 is block 0 of the model.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from indexer.arrays import FloatArray
from indexer.errors import InputError

INDEX_DIGITS = 18


@dataclass(frozen=True, eq=False)
class NeuroxSentence:
    """One sentence and the activations of its tokens (`n_layers, n_tokens, n_units`, float32).

    `index` is the sentence's number in the corpus the file was made from. `text` is the tokens
    joined by single spaces, or None where the file has lost it. `tokens` is None where the text
    does not tell them.

    Raises:
        InputError: the parts do not fit each other, or an activation is NaN or infinite.
    """

    index: int
    text: str | None
    tokens: tuple[str, ...] | None
    activations: FloatArray

    def __post_init__(self) -> None:
        if not 0 <= self.index < 10**INDEX_DIGITS:
            raise InputError(
                f"a sentence index is below 0 or has over {INDEX_DIGITS} digits, expected 0, 1, 2 "
                "and so on"
            )
        self._check_activations()
        self._check_text()

    @classmethod
    def from_tokens(
        cls, index: int, tokens: Sequence[str], activations: FloatArray
    ) -> NeuroxSentence:
        """A sentence whose tokens are known; its text is the tokens joined by single spaces.

        Raises:
            InputError: the parts do not fit each other, or an activation is NaN or infinite.
        """
        return cls(index, " ".join(tokens), tuple(tokens), activations)

    @classmethod
    def from_text(cls, index: int, text: str | None, activations: FloatArray) -> NeuroxSentence:
        """A sentence whose text is known; it tells the tokens if no token holds a space.

        Raises:
            InputError: the activations have no layers, tokens or units, or are NaN or infinite.
        """
        tokens = None if text is None else tuple(text.split(" "))
        if tokens is not None and activations.ndim == 3 and len(tokens) != activations.shape[1]:
            tokens = None
        return cls(index, text, tokens, activations)

    @property
    def n_tokens(self) -> int:
        """The number of tokens that have activations."""
        return int(self.activations.shape[1])

    def _check_activations(self) -> None:
        array = self.activations
        if array.ndim != 3 or array.size == 0 or array.dtype != np.float32:
            raise InputError(
                f"sentence {self.index} has activations of {array.dtype} {array.shape}, expected "
                "float32 (n_layers, n_tokens, n_units) with at least one of each"
            )
        if not np.isfinite(array).all():
            raise InputError(
                f"sentence {self.index} has activations that are NaN or infinite, expected numbers"
            )

    def _check_text(self) -> None:
        if self.text is not None:
            try:
                self.text.encode()
            except UnicodeEncodeError as error:
                raise InputError(
                    f"the text of sentence {self.index} is not valid Unicode ({error.reason} at "
                    f"character {error.start})"
                ) from error
        if self.tokens is None:
            return
        if len(self.tokens) != self.n_tokens:
            raise InputError(
                f"sentence {self.index} has {len(self.tokens)} tokens, its activations cover "
                f"{self.n_tokens}"
            )
        if self.text != " ".join(self.tokens):
            raise InputError(
                f"the text of sentence {self.index} is {self.text!r}, expected its tokens joined "
                f"by single spaces, {' '.join(self.tokens)!r}"
            )


class NeuroxSource(Protocol):
    """A file of sentences that can be read one after the other, as often as needed."""

    def __len__(self) -> int:
        """The number of sentences."""
        ...

    def sentences(self, first: int = 0) -> Generator[NeuroxSentence, None, None]:
        """Read the sentences from the `first`-th on, one in memory at a time."""
        ...


def alike(sentences: Iterable[NeuroxSentence]) -> Iterator[NeuroxSentence]:
    """Hand on sentences, making sure that they can stand in one file.

    Raises:
        InputError: there are none, one has other layers or units than the first, or an index comes
            twice.
    """
    expected: tuple[int, int] | None = None
    seen: set[int] = set()
    for sentence in sentences:
        n_layers, _, n_units = sentence.activations.shape
        expected = expected or (n_layers, n_units)
        if (n_layers, n_units) != expected:
            raise InputError(
                f"sentence {sentence.index} has {n_layers} layers of {n_units} units, those before "
                f"it {expected[0]} layers of {expected[1]} units"
            )
        if sentence.index in seen:
            raise InputError(f"sentence index {sentence.index} comes twice, expected it once")
        seen.add(sentence.index)
        yield sentence
    if expected is None:
        raise InputError("there are no sentences, expected at least one")
