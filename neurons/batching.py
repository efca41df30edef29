"""From texts to padded batches of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.arrays import BoolArray, IntArray
from indexer.errors import InputError
from neurons.subject import SubjectModel

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class TokenizedText:
    """One text as the model reads it.

    `content_mask` is false for special tokens, those typed in the text included; the unknown token
    is content. `offsets` are character positions in the text, one row per token (`n_tokens, 2`).
    `truncated_tokens` counts the content tokens that did not fit.
    """

    token_ids: IntArray
    content_mask: BoolArray
    offsets: IntArray
    truncated_tokens: int

    @property
    def n_tokens(self) -> int:
        """The number of tokens that are read, special tokens included."""
        return len(self.token_ids)


@dataclass(frozen=True)
class TokenBatch:
    """Texts padded on the right to the longest of them (each tensor `n_texts, n_tokens`).

    `content_span` are the positions that are content in all texts, where these are the same and
    stand together.
    """

    token_ids: Tensor
    attention_mask: Tensor
    content_mask: Tensor
    is_padded: bool
    content_span: slice | None

    @property
    def inputs(self) -> dict[str, Tensor]:
        """What the model is called with; without padding it is faster without a mask."""
        if self.is_padded:
            return {"input_ids": self.token_ids, "attention_mask": self.attention_mask}
        return {"input_ids": self.token_ids}


def tokenize(
    subject: SubjectModel, texts: Sequence[str], maximum_tokens: int
) -> list[TokenizedText]:
    """Tokenize each text, keeping at most `maximum_tokens` of it, special tokens included.

    Raises:
        InputError: a text is not valid Unicode.
    """
    specials = special_tokens(subject)
    return [tokenized_text(each, specials) for each in encoded(subject, texts, maximum_tokens, 0)]


def padded(subject: SubjectModel, texts: Sequence[TokenizedText]) -> TokenBatch:
    """Put texts into one batch on the subject model's device."""
    import torch

    shape = (len(texts), max(text.n_tokens for text in texts))
    padding = subject.tokenizer.pad_token_id
    token_ids = np.full(shape, 0 if padding is None else padding, dtype=np.int64)
    attention_mask = np.zeros(shape, dtype=np.int64)
    content_mask = np.zeros(shape, dtype=np.bool_)
    for row, text in enumerate(texts):
        token_ids[row, : text.n_tokens] = text.token_ids
        attention_mask[row, : text.n_tokens] = 1
        content_mask[row, : text.n_tokens] = text.content_mask
    return TokenBatch(
        token_ids=torch.from_numpy(token_ids).to(subject.device),
        attention_mask=torch.from_numpy(attention_mask).to(subject.device),
        content_mask=torch.from_numpy(content_mask).to(subject.device),
        is_padded=not attention_mask.all(),
        content_span=_common_span(content_mask),
    )


def _common_span(content_mask: BoolArray) -> slice | None:
    inside = np.flatnonzero(content_mask[0])
    if not len(inside) or (content_mask != content_mask[0]).any():
        return None
    span = slice(int(inside[0]), int(inside[-1]) + 1)
    return span if len(inside) == span.stop - span.start else None


def encoded(
    subject: SubjectModel, texts: Sequence[str], maximum_tokens: int, context: int
) -> Sequence[Any]:
    """The encodings of the tokenizers library, each with what did not fit."""
    if not texts:
        return []
    try:
        encoded = subject.tokenizer(
            list(texts), truncation=True, max_length=maximum_tokens, stride=context
        )
    except TypeError as error:
        raise InputError(_unreadable(texts)) from error
    return encoded.encodings or []


def special_tokens(subject: SubjectModel) -> IntArray:
    """Ids of the tokens that are no content wherever they stand; the unknown token is content."""
    known = set(subject.tokenizer.all_special_ids) - {subject.tokenizer.unk_token_id}
    return np.asarray(sorted(known), dtype=np.int64)


def tokenized_text(encoding: Any, specials: IntArray) -> TokenizedText:
    """What an encoding of the tokenizers library holds, without what did not fit."""
    token_ids = np.asarray(encoding.ids, dtype=np.int64)
    return TokenizedText(
        token_ids=token_ids,
        content_mask=_content(encoding, specials),
        offsets=np.asarray(encoding.offsets, dtype=np.int64).reshape(-1, 2),
        truncated_tokens=sum(
            int(_content(overflow, specials).sum()) for overflow in encoding.overflowing
        ),
    )


def _content(encoding: Any, specials: IntArray) -> BoolArray:
    added = np.asarray(encoding.special_tokens_mask, dtype=np.bool_)
    typed = np.isin(np.asarray(encoding.ids, dtype=np.int64), specials)
    content: BoolArray = ~(added | typed)
    return content


def _unreadable(texts: Sequence[str]) -> str:
    for position, text in enumerate(texts):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return (
                f"text {position} of {len(texts)} is not valid Unicode: {text[:60]!r}; "
                "expected text without lone surrogates"
            )
    return "the tokenizer refused the texts; expected plain strings"
