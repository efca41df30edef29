"""What the embedded generator shares with the bundled encoder: its vocabulary and word vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.bundled import bundled_model_path

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

START_TOKEN = 101
"""[CLS], after which the decoder writes."""

END_TOKEN = 102
"""[SEP], with which it ends a name."""


def bundled_word_embeddings() -> Tensor:
    """The frozen word vectors of the bundled encoder (`vocabulary, dimension`), float32."""
    from safetensors import safe_open

    with safe_open(bundled_model_path() / "model.safetensors", "pt") as weights:
        embeddings: Tensor = weights.get_tensor("embeddings.word_embeddings.weight").float()
    return embeddings


def bundled_tokenizer() -> PreTrainedTokenizerBase:
    """The tokenizer of the bundled encoder."""
    from transformers import AutoTokenizer

    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        str(bundled_model_path()), local_files_only=True
    )
    return tokenizer
