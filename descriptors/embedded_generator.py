"""Runs the embedded generator: groups of sentence embeddings in, ranked names out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from descriptors.embedded_model import DecoderShape, EmbeddedModel, PrefixInput, build_batch
from indexer.arrays import DoubleArray
from indexer.bundled import bundled_model_path
from indexer.records import Record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

START_TOKEN = "[CLS]"
END_TOKEN = "[SEP]"
_BATCH = 32


class BeamSettings(Record):
    """How names are searched: width of the beam, and tokens at most."""

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

    model: EmbeddedModel
    tokenizer: PreTrainedTokenizerFast

    @classmethod
    def load(cls, folder: Path) -> EmbeddedGenerator:
        """Load the weights of `folder` beside the word embeddings of the bundled encoder."""
        import json

        from safetensors.torch import load_file
        from transformers import AutoTokenizer

        encoder = bundled_model_path()
        words = load_file(encoder / "model.safetensors")["embeddings.word_embeddings.weight"]
        shape = DecoderShape.model_validate(json.loads((folder / "shape.json").read_text()))
        model = EmbeddedModel(shape, words.float(), words.shape[1])
        weights = {n: t.float() for n, t in load_file(folder / "model.safetensors").items()}
        missing = model.load_state_dict(weights, strict=False)
        assert not missing.unexpected_keys, missing
        tokenizer = AutoTokenizer.from_pretrained(str(encoder), local_files_only=True)
        return cls(model.eval(), tokenizer)

    def generate(self, inputs: Sequence[PrefixInput], beam: BeamSettings) -> list[GeneratedNames]:
        """Names of each group, in the order of `inputs`."""
        found: list[GeneratedNames] = []
        for start in range(0, len(inputs), _BATCH):
            found += self._window(list(inputs[start : start + _BATCH]), beam)
        return found

    @torch.inference_mode()
    def _window(self, inputs: list[PrefixInput], beam: BeamSettings) -> list[GeneratedNames]:
        vocabulary = self.tokenizer.get_vocab()
        end = vocabulary[END_TOKEN]
        batch = build_batch(inputs, self.model.shape, vocabulary[START_TOKEN])
        generated: Any = self.model.decoder.generate(
            inputs_embeds=self.model.prefix(batch),
            attention_mask=batch.mask,
            do_sample=False,
            num_beams=beam.n_beams,
            num_return_sequences=beam.n_beams,
            max_new_tokens=beam.maximum_tokens,
            no_repeat_ngram_size=1,
            suppress_tokens=self._never_generated(end),
            eos_token_id=end,
            pad_token_id=0,
            return_dict_in_generate=True,
            output_scores=True,
        )
        texts = self.tokenizer.batch_decode(generated.sequences, skip_special_tokens=True)
        scores = generated.sequences_scores.float().numpy().astype(np.float64)
        width = beam.n_beams
        return [
            _distinct(texts[row * width : (row + 1) * width], scores[row * width : (row + 1) * width])
            for row in range(len(inputs))
        ]

    def _never_generated(self, end: int) -> list[int]:
        tokens = self.tokenizer.get_vocab()
        return sorted(
            number
            for token, number in tokens.items()
            if token.startswith("[") and token.endswith("]") and number != end
        )


def _distinct(texts: Sequence[str], scores: DoubleArray) -> GeneratedNames:
    best: dict[str, float] = {}
    for text, score in zip(texts, scores, strict=True):
        name = text.strip()
        if name and score > best.get(name, -np.inf):
            best[name] = float(score)
    ordered = sorted(best, key=lambda name: -best[name])
    return GeneratedNames(tuple(ordered), np.array([best[name] for name in ordered]))
