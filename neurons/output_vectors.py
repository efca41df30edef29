"""What a model says about a text as a whole, as one unit vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from indexer.arrays import FloatArray
from indexer.batching import batches
from neurons.batching import TokenBatch, padded, tokenize
from neurons.subject import SubjectModel

if TYPE_CHECKING:
    from torch import Tensor

_SAME_DIRECTION = 0.999


class ModelOutput(Protocol):
    """A way to read the model's output; a task head is another one than the sentence embedding."""

    @property
    def name(self) -> str:
        """What it is called in reports."""
        ...

    def of(self, subject: SubjectModel, batch: TokenBatch) -> Tensor:
        """Run the model: a vector of length 1 for each text (`n_texts, dimension`)."""
        ...


@dataclass(frozen=True)
class SentenceEmbedding:
    """The mean of the last hidden states over all tokens, special tokens too, at length 1.

    This is what sentence-transformers computes for the bundled model and for encoders that bring no
    pooling of their own (Reimers and Gurevych 2019). The same mean is taken where a model was
    trained with another pooling; it is then not what that model's users see.
    """

    name: str = "sentence_embedding"

    def of(self, subject: SubjectModel, batch: TokenBatch) -> Tensor:
        """Run the model: a vector of length 1 for each text (`n_texts, n_hidden_units`)."""
        import torch

        hidden = subject.model(**batch.inputs).last_hidden_state.float()
        weights = batch.attention_mask.to(hidden.dtype).unsqueeze(1)
        means = (weights @ hidden).squeeze(1) / weights.sum(dim=2)
        return torch.nn.functional.normalize(means, dim=1)


def output_vectors(
    subject: SubjectModel,
    texts: Sequence[str],
    output: ModelOutput,
    *,
    token_budget: int = 4096,
) -> FloatArray:
    """The model's output on each text (`n_texts, dimension`).

    Raises:
        InputError: a text is not valid Unicode.
        ValueError: there are no texts.
    """
    import torch

    if not texts:
        raise ValueError("there are no texts; expected one or more")
    tokenized = tokenize(subject, texts, subject.maximum_tokens)
    lengths = np.asarray([text.n_tokens for text in tokenized], dtype=np.int64)
    found: dict[int, FloatArray] = {}
    for positions in batches(lengths, token_budget):
        batch = padded(subject, [tokenized[position] for position in positions])
        with torch.inference_mode():
            vectors = output.of(subject, batch).float().cpu().numpy()
        found.update(zip(positions.tolist(), vectors, strict=True))
    return np.stack([found[position] for position in range(len(texts))])


def same_space(vectors: FloatArray, encoded: FloatArray) -> bool:
    """Whether unit vectors of the same texts by two ways are one space (`n_texts, dimension`)."""
    if vectors.shape != encoded.shape:
        return False
    cosines = (vectors * encoded).sum(axis=1)
    return bool((cosines >= _SAME_DIRECTION).all())
