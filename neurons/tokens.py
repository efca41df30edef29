"""Activations of single tokens, for showing where in a text a neuron fires."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import FloatArray
from indexer.batching import batches
from indexer.errors import InputError
from neurons.batching import TokenizedText, padded, tokenize
from neurons.capture import captured
from neurons.records import LayerSite, NeuronId
from neurons.subject import SubjectModel

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Token:
    """A content token as it stands in the text: `text[start:end]`, in characters."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class TokenActivations:
    """One text's content tokens and their activations (`n_tokens, n_neurons`).

    `truncated_tokens` counts the content tokens that did not fit and have no activation.
    """

    text: str
    tokens: tuple[Token, ...]
    neurons: tuple[NeuronId, ...]
    activations: FloatArray
    truncated_tokens: int


def token_activations(
    subject: SubjectModel,
    texts: Sequence[str],
    neurons: Sequence[NeuronId],
    *,
    token_budget: int = 4096,
) -> list[TokenActivations]:
    """Read the activations of `neurons` on every content token of every text.

    Raises:
        InputError: the model lacks one of the neurons, or a text is not valid Unicode.
    """
    import torch

    addresses = tuple(neurons)
    columns = _columns(subject, addresses)
    tokenized = tokenize(subject, texts, subject.maximum_tokens)
    lengths = np.asarray([text.n_tokens for text in tokenized], dtype=np.int64)
    found: dict[int, FloatArray] = {}

    def chosen_units(layer_site: LayerSite, tokens: Tensor) -> Tensor:
        return tokens[..., [addresses[column].unit for column in columns[layer_site]]]

    for positions in batches(lengths, token_budget):
        batch = padded(subject, [tokenized[position] for position in positions])
        values = np.empty((*batch.token_ids.shape, len(addresses)), dtype=np.float32)
        with (
            torch.inference_mode(),
            captured(subject.architecture, columns, chosen_units) as latest,
        ):
            subject.model(**batch.inputs)
            for layer_site, places in columns.items():
                values[..., places] = latest[layer_site].float().cpu().numpy()
        for row, position in enumerate(positions):
            mask = tokenized[position].content_mask
            found[int(position)] = values[row, : len(mask)][mask]
    return [
        TokenActivations(text, surface(text, read), addresses, found[row], read.truncated_tokens)
        for row, (text, read) in enumerate(zip(texts, tokenized, strict=True))
    ]


def _columns(subject: SubjectModel, neurons: Sequence[NeuronId]) -> dict[LayerSite, list[int]]:
    """Which columns of the result belong to each layer site."""
    columns: dict[LayerSite, list[int]] = {}
    for column, neuron in enumerate(neurons):
        subject.architecture.capture_point(neuron.layer_site)
        units = subject.architecture.units(neuron.site)
        if not 0 <= neuron.unit < units:
            raise InputError(
                f"{neuron} does not exist: {subject.name} has {units} units at every "
                f"{neuron.site} site, 0 to {units - 1}"
            )
        columns.setdefault(neuron.layer_site, []).append(column)
    return columns


def surface(text: str, read: TokenizedText) -> tuple[Token, ...]:
    """The content tokens of a text as they stand in it."""
    spans = read.offsets[read.content_mask].tolist()
    return tuple(Token(text[start:end], start, end) for start, end in spans)
