"""The embedded generator: a small decoder that names a group of sentences from their embeddings.

A `LlamaForCausalLM` reads a prefix of vectors instead of a prompt of words: sentence embeddings of
the group and of its contrast, mapped to the decoder's width, and the word embeddings of the words
that stand out in the group. Word embeddings are those of the bundled sentence encoder, frozen, and
serve as output weights too; only the decoder and the map are weights of our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor, nn

from descriptors.word_embeddings import START_TOKEN
from indexer.arrays import FloatArray
from indexer.errors import InputError
from indexer.model_loading import one_at_a_time
from indexer.records import Record

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

_EMBEDDING_WEIGHT = "model.embed_tokens.weight"
_OUTPUT_WEIGHT = "lm_head.weight"


class DecoderShape(Record):
    """The size of the decoder and of its prefix; widths are in numbers, the rest in positions."""

    width: int = 384
    n_layers: int = 4
    n_heads: int = 6
    feed_forward: int = 1024
    n_sentences: int = 8
    n_contrast: int = 3
    n_word_pieces: int = 12

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.n_heads < 1 or self.width % self.n_heads:
            raise ValueError(f"{self.n_heads} heads cannot share a width of {self.width}")
        return self


@dataclass(frozen=True, eq=False)
class PrefixInput:
    """What the decoder reads of one group.

    Attributes:
        sentences: unit embeddings, most central first (`n_sentences, dimension`).
        mean: their mean over all sentences of the group (`dimension`).
        contrast: unit embeddings of contrast sentences, maybe none (`n_contrast, dimension`).
        word_pieces: token ids of the words that stand out.
    """

    sentences: FloatArray
    mean: FloatArray
    contrast: FloatArray
    word_pieces: tuple[int, ...]


class GroupPrefix(nn.Module):
    """Maps sentence embeddings to decoder vectors and marks what each position is."""

    MEAN, SENTENCE, CONTRAST, WORD, START = range(5)

    def __init__(self, dimension: int, width: int) -> None:
        super().__init__()
        self.map = nn.Sequential(
            nn.Linear(dimension, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.kind = nn.Embedding(5, width)

    def forward(self, vectors: Tensor, words: Tensor, kinds: Tensor) -> Tensor:
        """Prefix vectors (`batch, length, width`).

        Args:
            vectors: sentence embeddings, zero where a position holds a word (`batch, length, d`).
            words: word embeddings, zero where a position holds a sentence (`batch, length, w`).
            kinds: what each position is (`batch, length`).
        """
        is_word = (kinds >= self.WORD).unsqueeze(-1)
        # Unit vectors of d numbers are small beside word embeddings; at this scale they are alike.
        mapped = self.map(vectors * vectors.shape[-1] ** 0.5)
        prefix: Tensor = torch.where(is_word, words, mapped) + self.kind(kinds)
        return prefix


@dataclass(frozen=True, eq=False)
class PrefixBatch:
    """Prefixes of one length, padded in front (`batch, length, …`)."""

    vectors: Tensor
    word_ids: Tensor
    kinds: Tensor
    mask: Tensor


def build_batch(inputs: list[PrefixInput], shape: DecoderShape, start: int) -> PrefixBatch:
    """Lay out prefixes: group mean, sentences, contrast mean and sentences, words, start token."""
    rows = [_layout(each, shape, start) for each in inputs]
    length = max(len(kinds) for _, _, kinds in rows)
    dimension = inputs[0].mean.shape[0]
    vectors = np.zeros((len(rows), length, dimension), np.float32)
    word_ids = np.zeros((len(rows), length), np.int64)
    kinds = np.zeros((len(rows), length), np.int64)
    mask = np.zeros((len(rows), length), np.int64)
    for row, (row_vectors, row_words, row_kinds) in enumerate(rows):
        begin = length - len(row_kinds)
        vectors[row, begin : begin + len(row_vectors)] = row_vectors
        word_ids[row, length - len(row_words) :] = row_words
        kinds[row, begin:] = row_kinds
        mask[row, begin:] = 1
    tensors = [torch.from_numpy(array) for array in (vectors, word_ids, kinds, mask)]
    return PrefixBatch(*tensors)


def _layout(
    each: PrefixInput, shape: DecoderShape, start: int
) -> tuple[FloatArray, list[int], list[int]]:
    sentences = each.sentences[: shape.n_sentences]
    contrast = each.contrast[: shape.n_contrast]
    parts = [each.mean[np.newaxis], sentences]
    kinds = [GroupPrefix.MEAN] + [GroupPrefix.SENTENCE] * len(sentences)
    if len(each.contrast):
        parts += [each.contrast.mean(axis=0, keepdims=True), contrast]
        kinds += [GroupPrefix.CONTRAST] * (1 + len(contrast))
    pieces = list(each.word_pieces[: shape.n_word_pieces])
    kinds += [GroupPrefix.WORD] * len(pieces) + [GroupPrefix.START]
    return np.concatenate(parts), [*pieces, start], kinds


class EmbeddedModel(nn.Module):
    """The decoder with its prefix; `forward` is for training, `prefix` for generation."""

    def __init__(self, shape: DecoderShape, word_embeddings: Tensor, dimension: int) -> None:
        super().__init__()
        self.shape = shape
        self.decoder = _decoder(shape, word_embeddings)
        self.group_prefix = GroupPrefix(dimension, shape.width)

    def prefix(self, batch: PrefixBatch) -> Tensor:
        """Vectors the decoder starts from (`batch, length, width`)."""
        words = self.decoder.get_input_embeddings()(batch.word_ids)
        prefixed: Tensor = self.group_prefix(batch.vectors, words, batch.kinds)
        return prefixed

    def forward(self, batch: PrefixBatch, targets: Tensor) -> Tensor:
        """Logits of every target token in order (`n_tokens, vocabulary`).

        Args:
            batch: the prefixes.
            targets: token ids, padded with 0 at the end, which get no logits (`batch, longest`).
        """
        prefix = self.prefix(batch)
        read = self.decoder.get_input_embeddings()(targets[:, :-1])
        mask = torch.cat([batch.mask, (targets[:, :-1] != 0).long()], dim=1)
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        decoder: Any = self.decoder
        hidden = decoder.model(
            inputs_embeds=torch.cat([prefix, read], dim=1),
            attention_mask=mask,
            position_ids=positions,
            use_cache=False,
        ).last_hidden_state
        logits: Tensor = decoder.lm_head(hidden[:, prefix.shape[1] - 1 :][targets != 0])
        return logits

    def load_own_weights(self, weights: dict[str, Tensor]) -> None:
        """Take over the trained weights: all but the word embeddings of the sentence encoder.

        Raises:
            ValueError: names or shapes are not those of this model.
        """
        expected = {name: p.shape for name, p in self.named_parameters() if p.requires_grad}
        found = {name: tensor.shape for name, tensor in weights.items()}
        if expected != found:
            wrong = sorted(name for name, shape in expected.items() if found.get(name) != shape)
            wrong += sorted(set(found) - set(expected))
            raise ValueError(f"{len(wrong)} weights do not fit, for example {wrong[:3]}")
        self.load_state_dict(weights, strict=False)

    def place_start(self, row: int) -> None:
        """Make the word vector of `row` the last position of every prefix, for generation."""
        embeddings: Any = self.decoder.get_input_embeddings()
        kind = self.group_prefix.kind.weight[GroupPrefix.START]
        with torch.no_grad():
            embeddings.weight[row] = embeddings.weight[START_TOKEN] + kind


def _decoder(shape: DecoderShape, word_embeddings: Tensor) -> LlamaForCausalLM:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=word_embeddings.shape[0],
        hidden_size=shape.width,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        num_key_value_heads=shape.n_heads,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    with one_at_a_time():
        decoder = LlamaForCausalLM(config)
    if word_embeddings.shape[1] != shape.width:
        raise InputError(
            f"the word embeddings have {word_embeddings.shape[1]} numbers, expected {shape.width}"
        )
    frozen: Any = decoder.get_input_embeddings()
    with torch.no_grad():
        frozen.weight.copy_(word_embeddings)
    frozen.weight.requires_grad_(False)
    return decoder
