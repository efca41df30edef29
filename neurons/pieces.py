"""Texts as the pieces that a model can read, and the pieces put together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from indexer.arrays import BoolArray, IntArray
from neurons.batching import TokenizedText, encoded, special_tokens, tokenize, tokenized_text
from neurons.records import Pooling
from neurons.store import ExtractionReport, HalfArray
from neurons.subject import SubjectModel

_CONTEXT_SHARE = 4


@dataclass(frozen=True)
class TokenizedPieces:
    """Pieces of texts, text by text, and the number of the text that each is of (`n_pieces`).

    A token is content in one piece only.
    """

    pieces: tuple[TokenizedText, ...]
    text_of: IntArray

    @cached_property
    def lengths(self) -> IntArray:
        """Tokens of each piece, special tokens included (`n_pieces`)."""
        return np.asarray([piece.n_tokens for piece in self.pieces], dtype=np.int64)

    @cached_property
    def content(self) -> IntArray:
        """Content tokens of each piece (`n_pieces`)."""
        return np.asarray([piece.content_mask.sum() for piece in self.pieces], dtype=np.int64)

    @cached_property
    def begins(self) -> BoolArray:
        """Whether a piece is the first of its text (`n_pieces`)."""
        return np.asarray(np.diff(self.text_of, prepend=-1) > 0)

    def report(self) -> ExtractionReport:
        """What there is to read, and what is left out."""
        truncated = [piece.truncated_tokens for piece in self.pieces]
        pieces_of = np.bincount(self.text_of)
        return ExtractionReport(
            sentences=len(pieces_of),
            tokens=int(self.lengths.sum()),
            truncated_sentences=sum(count > 0 for count in truncated),
            truncated_tokens=sum(truncated),
            windowed_sentences=int((pieces_of > 1).sum()),
            sentences_without_content_tokens=int(
                (np.bincount(self.text_of, weights=self.content) == 0).sum()
            ),
        )


def whole(subject: SubjectModel, texts: Sequence[str], maximum_tokens: int) -> TokenizedPieces:
    """Each text as one piece of at most `maximum_tokens`, special tokens included.

    Raises:
        InputError: a text is not valid Unicode.
    """
    pieces = tokenize(subject, texts, maximum_tokens)
    return TokenizedPieces(tuple(pieces), np.arange(len(pieces)))


def cut(subject: SubjectModel, texts: Sequence[str], maximum_tokens: int) -> TokenizedPieces:
    """Each text as pieces of at most `maximum_tokens`, special tokens included.

    A further piece begins with the last quarter of the one before, as context that is no content.

    Raises:
        InputError: a text is not valid Unicode.
    """
    specials = special_tokens(subject)
    room = maximum_tokens - subject.tokenizer.num_special_tokens_to_add()
    context = room // _CONTEXT_SHARE
    pieces, text_of = [], []
    for number, first in enumerate(encoded(subject, texts, maximum_tokens, context)):
        for place, encoding in enumerate((first, *first.overflowing)):
            piece = tokenized_text(encoding, specials)
            content = piece.content_mask.copy()
            if place:
                content[: encoding.special_tokens_mask.index(0) + context] = False
            pieces.append(replace(piece, content_mask=content, truncated_tokens=0))
            text_of.append(number)
    return TokenizedPieces(tuple(pieces), np.asarray(text_of, dtype=np.int64))


def merged(activations: HalfArray, texts: TokenizedPieces, pooling: Pooling) -> HalfArray:
    """Pooled activations of texts from those of their pieces (`n_texts, n_units`).

    MAX takes the largest, MEAN weighs pieces by their content tokens, CLS takes the first piece.
    """
    begins = np.flatnonzero(texts.begins)
    if len(begins) == len(activations):
        return activations
    found = activations[begins]
    if pooling is Pooling.CLS:
        return found
    for number, own in enumerate(np.split(np.arange(len(activations)), begins[1:])):
        counted = own[texts.content[own] > 0]
        if len(own) == 1 or not len(counted):
            continue
        values = activations[counted].astype(np.float32)
        if pooling is Pooling.MAX:
            found[number] = values.max(axis=0)
        else:
            found[number] = np.average(values, axis=0, weights=texts.content[counted])
    return found
