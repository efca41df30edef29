"""What the feed-forward networks of a model read on some texts, summed up for planting units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import DoubleArray, FloatArray, IntArray
from indexer.batching import batches
from neurons.architectures import CapturePoint
from neurons.batching import TokenBatch, padded, tokenize
from neurons.capture import recorded
from neurons.pooling import pool, without_content
from neurons.reading import ExtractionSettings, longest_input, token_budget
from neurons.records import Pooling

if TYPE_CHECKING:
    from torch import Tensor

    from neurons.subject import SubjectModel

Reduction = Callable[[TokenBatch, int, "Tensor"], "Tensor"]
Visit = Callable[[IntArray, TokenBatch, Mapping[int, "Tensor"]], None]


@dataclass(frozen=True, eq=False)
class InputMoments:
    """What the feed-forward network of one layer reads.

    Attributes:
        covariance: of the tokens that pooling looks at (`n_inputs, n_inputs`).
        means: over those tokens of each text (`n_texts, n_inputs`).
    """

    covariance: DoubleArray
    means: FloatArray


@dataclass(frozen=True, eq=False)
class Spreads:
    """Mean and deviation over texts of each unit's pooled pre-activation (`n_units`)."""

    means: DoubleArray
    deviations: DoubleArray


def input_moments(
    subject: SubjectModel,
    layers: Sequence[int],
    texts: Sequence[str],
    settings: ExtractionSettings,
) -> dict[int, InputMoments]:
    """Moments of what the up projection of each layer reads; of long texts the beginning.

    Raises:
        InputError: a text is not valid Unicode, or `maximum_tokens` is more than the model reads.
    """
    n_inputs = subject.architecture.hidden_units
    products = {layer: np.zeros((n_inputs, n_inputs)) for layer in layers}
    sums = {layer: np.zeros(n_inputs) for layer in layers}
    means = {layer: np.empty((len(texts), n_inputs), dtype=np.float32) for layer in layers}
    n_tokens = 0

    def visit(positions: IntArray, batch: TokenBatch, latest: Mapping[int, Tensor]) -> None:
        nonlocal n_tokens
        mask = _looked_at(batch, settings.pooling)
        n_tokens += int(mask.sum())
        averaged = Pooling.CLS if settings.pooling is Pooling.CLS else Pooling.MEAN
        for layer, tokens in latest.items():
            inputs = tokens[mask].double()
            products[layer] += (inputs.T @ inputs).cpu().numpy()
            sums[layer] += inputs.sum(dim=0).cpu().numpy()
            pooled = pool(tokens, batch.content_mask, averaged, batch.content_span)
            means[layer][positions] = pooled.float().cpu().numpy()

    _each_batch(subject, _points(subject, layers, takes_input=True), texts, settings, visit)
    found = {}
    for layer in layers:
        mean = sums[layer] / n_tokens
        covariance = products[layer] / n_tokens - np.outer(mean, mean)
        found[layer] = InputMoments(covariance, means[layer])
    return found


def preactivation_spreads(
    subject: SubjectModel,
    layers: Sequence[int],
    texts: Sequence[str],
    settings: ExtractionSettings,
) -> dict[int, Spreads]:
    """How the pooled outputs of the up projection of each layer spread over texts.

    Raises:
        InputError: as `input_moments`.
    """
    n_units = subject.architecture.ffn_units
    pooled = {layer: np.empty((len(texts), n_units), dtype=np.float32) for layer in layers}

    def visit(positions: IntArray, _batch: TokenBatch, latest: Mapping[int, Tensor]) -> None:
        for layer, values in latest.items():
            pooled[layer][positions] = values.float().cpu().numpy()

    def reduction(batch: TokenBatch, _layer: int, tokens: Tensor) -> Tensor:
        return pool(tokens, batch.content_mask, settings.pooling, batch.content_span)

    points = _points(subject, layers, takes_input=False)
    _each_batch(subject, points, texts, settings, visit, reduction)
    return {
        layer: Spreads(values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64))
        for layer, values in pooled.items()
    }


def _points(
    subject: SubjectModel, layers: Sequence[int], *, takes_input: bool
) -> dict[int, CapturePoint]:
    feed_forwards = subject.architecture.feed_forwards
    return {layer: CapturePoint(feed_forwards[layer].up, takes_input) for layer in layers}


def _each_batch(
    subject: SubjectModel,
    points: Mapping[int, CapturePoint],
    texts: Sequence[str],
    settings: ExtractionSettings,
    visit: Visit,
    reduction: Reduction | None = None,
) -> None:
    """Show `visit` the positions of each batch of texts, and what the points captured on it."""
    import torch

    tokenized = tokenize(subject, texts, longest_input(subject, settings))
    lengths = np.asarray([text.n_tokens for text in tokenized], dtype=np.int64)
    for positions in batches(lengths, token_budget(subject, settings)):
        batch = padded(subject, [tokenized[position] for position in positions])
        reduce = None if reduction is None else partial(reduction, batch)
        with torch.inference_mode(), recorded(points, reduce) as latest:
            subject.model(**batch.inputs)
            visit(positions, batch, latest)


def _looked_at(batch: TokenBatch, pooling: Pooling) -> Tensor:
    """The tokens that become a sentence's activation (`n_texts, n_tokens`); see `pool`."""
    import torch

    if pooling is Pooling.CLS:
        mask = torch.zeros_like(batch.content_mask)
        mask[:, 0] = True
        return mask
    mask = batch.content_mask.clone()
    mask[:, 0] |= without_content(batch.content_mask)
    return mask
