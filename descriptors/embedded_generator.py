"""Runs the embedded generator: groups of sentence embeddings in, ranked names out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pydantic import ValidationError

from descriptors.embedded_model import (
    DecoderShape,
    EmbeddedModel,
    PrefixBatch,
    PrefixInput,
    build_batch,
)
from descriptors.word_embeddings import (
    END_TOKEN,
    START_TOKEN,
    bundled_tokenizer,
    bundled_word_embeddings,
)
from indexer.arrays import DoubleArray
from indexer.bundled import bundled_model_path
from indexer.errors import InputError, RunError
from indexer.records import Record
from indexer.storage import file_fingerprint, fingerprint, read_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from transformers.cache_utils import Cache

WEIGHTS = Path(__file__).with_name("embedded_weights")
WEIGHTS_FILE = "model.safetensors"
SHAPE_FILE = "shape.json"

_BATCH = 32

_START_ROW = 1
"""An unused token of the vocabulary; its word vector becomes what the decoder starts from."""


class BeamSettings(Record):
    """How names are searched: width of the beam, and tokens at most (word pieces)."""

    n_beams: int = 10
    maximum_tokens: int = 8


@dataclass(frozen=True, eq=False)
class GeneratedNames:
    """Distinct names of one group with their mean log probability per token, best first."""

    names: tuple[str, ...]
    scores: DoubleArray


@dataclass(frozen=True, eq=False)
class EmbeddedGenerator:
    """A trained model with the tokenizer it shares with the bundled encoder."""

    fingerprint: str
    model: EmbeddedModel
    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def load(cls, folder: Path = WEIGHTS) -> EmbeddedGenerator:
        """Load the weights of `folder` beside the word embeddings of the bundled encoder.

        Raises:
            InputError: a file is missing or is not what training wrote, or the bundled encoder is
                missing.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            shape = DecoderShape.model_validate(read_json(folder / SHAPE_FILE))
            weights = {
                name: tensor.float() for name, tensor in load_file(folder / WEIGHTS_FILE).items()
            }
            words = bundled_word_embeddings()
            model = EmbeddedModel(shape, words, words.shape[1])
            model.load_own_weights(weights)
            model.place_start(_START_ROW)
        except (OSError, RunError, ValidationError, SafetensorError, ValueError) as error:
            raise InputError(
                f"the embedded generator in {folder} cannot be loaded: {error}. Reinstall "
                "neuroscribe, or use another proposer."
            ) from error
        identity = fingerprint(
            [
                shape.model_dump(),
                file_fingerprint(folder / WEIGHTS_FILE),
                file_fingerprint(bundled_model_path() / WEIGHTS_FILE),
            ]
        )
        return cls(identity, model.eval(), bundled_tokenizer())

    def pieces(self, word: str) -> list[int]:
        """The token ids of a word."""
        ids: list[int] = self.tokenizer.encode(word, add_special_tokens=False)
        return ids

    def generate(self, inputs: Sequence[PrefixInput], beam: BeamSettings) -> list[GeneratedNames]:
        """Names of each group, in the order of `inputs`."""
        found: list[GeneratedNames] = []
        for start in range(0, len(inputs), _BATCH):
            found += self._window(list(inputs[start : start + _BATCH]), beam)
        return found

    @torch.inference_mode()
    def _window(self, inputs: list[PrefixInput], beam: BeamSettings) -> list[GeneratedNames]:
        batch = build_batch(inputs, self.model.shape, START_TOKEN)
        decoder: Any = self.model.decoder
        read = torch.zeros_like(batch.word_ids)
        read[:, -1] = _START_ROW
        generated = decoder.generate(
            input_ids=read,
            attention_mask=batch.mask,
            past_key_values=self._read_prefixes(batch, beam.n_beams),
            do_sample=False,
            num_beams=beam.n_beams,
            num_return_sequences=beam.n_beams,
            max_new_tokens=beam.maximum_tokens,
            # Longer names that might yet come out more probable are no better ones.
            early_stopping=True,
            logits_processor=[_without(self._never_written)],
            eos_token_id=END_TOKEN,
            pad_token_id=0,
            return_dict_in_generate=True,
            output_scores=True,
        )
        written = self.tokenizer.batch_decode(
            generated.sequences[:, read.shape[1] :], skip_special_tokens=True
        )
        texts = [_joined(text) for text in written]
        scores = generated.sequences_scores.float().numpy().astype(np.float64)
        width = beam.n_beams
        return [
            _distinct(texts[start : start + width], scores[start : start + width])
            for start in range(0, len(texts), width)
        ]

    def _read_prefixes(self, batch: PrefixBatch, n_beams: int) -> Cache:
        """The decoder's state after all but the last prefix position, repeated for the beams.

        Read once for each group: `generate` alone would read it once for each beam.
        """
        from transformers.cache_utils import DynamicCache

        decoder: Any = self.model.decoder
        mask = batch.mask[:, :-1]
        cache = DynamicCache(config=decoder.config)
        decoder.model(
            inputs_embeds=self.model.prefix(batch)[:, :-1],
            attention_mask=mask,
            position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
        )
        cache.batch_repeat_interleave(n_beams)
        return cache

    @cached_property
    def _never_written(self) -> torch.Tensor:
        """Tokens that stand for no text: [PAD], [MASK], [unused7]."""
        tokens = self.tokenizer.get_vocab()
        return torch.tensor(
            sorted(
                number
                for token, number in tokens.items()
                if token.startswith("[") and token.endswith("]") and number != END_TOKEN
            )
        )


def _without(
    never_written: torch.Tensor,
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """What keeps `generate` from some tokens, and from any token that a name has already.

    In place: the scores are of the whole vocabulary for every beam, so that each copy of them, as
    transformers' own processors make, costs about as much as a layer of the decoder.
    """

    def bar(read: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores[:, never_written] = -torch.inf
        return scores.scatter_(1, read, -torch.inf)

    return bar


def _joined(text: str) -> str:
    """The text without the spaces that word pieces leave around hyphens and apostrophes."""
    return re.sub(r"\s*(['’-])\s*", r"\1", text).strip("-'’ ")


def _distinct(texts: Sequence[str], scores: DoubleArray) -> GeneratedNames:
    best: dict[str, float] = {}
    for text, score in zip(texts, scores, strict=True):
        if text and score > best.get(text, -np.inf):
            best[text] = float(score)
    ordered = sorted(best, key=lambda name: -best[name])
    return GeneratedNames(tuple(ordered), np.array([best[name] for name in ordered]))
