"""From token activations to one number per neuron and sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neurons.records import Pooling

if TYPE_CHECKING:
    from torch import Tensor

HALF_PRECISION_LIMIT = 65504.0


@dataclass(frozen=True)
class HalfPrecision:
    """Values as float16 and how many had to be clipped to its range."""

    values: Tensor
    clipped: int


def pool(
    tokens: Tensor, content_mask: Tensor, pooling: Pooling, content_span: slice | None = None
) -> Tensor:
    """Pool token activations (`n_sentences, n_tokens, n_units`) to `n_sentences, n_units`.

    MAX and MEAN look at content tokens only, CLS takes the first token. A sentence without content
    tokens has nothing to pool and takes its first token's value; `without_content` counts those.

    Args:
        tokens: token activations, padded on the right.
        content_mask: `n_sentences, n_tokens`, false for special tokens and padding.
        pooling: how tokens become one number.
        content_span: the content positions of all sentences, where they are the same and stand
            together: looking at these alone is faster than masking the others.

    Raises:
        ValueError: the mask covers other sentences or tokens than the activations.
    """
    if tokens.shape[:2] != content_mask.shape:
        raise ValueError(
            f"content mask is {tuple(content_mask.shape)}, activations cover "
            f"{tuple(tokens.shape[:2])} sentences and tokens"
        )
    if pooling is Pooling.CLS:
        # A copy, because a view would keep the whole tensor alive.
        return tokens[:, 0].clone()
    if content_span is not None:
        content = tokens[:, content_span]
        return content.amax(dim=1) if pooling is Pooling.MAX else content.float().mean(dim=1)
    mask = content_mask.clone()
    mask[:, 0] |= without_content(content_mask)
    return _maximum(tokens, mask) if pooling is Pooling.MAX else _mean(tokens, mask)


def without_content(content_mask: Tensor) -> Tensor:
    """Which sentences have no content token at all (`n_sentences`)."""
    return ~content_mask.any(dim=1)


def half_precision(
    pooled: Tensor, lowest: float = -math.inf, highest: float = math.inf
) -> HalfPrecision:
    """Cast to float16; finite numbers beyond its range become its largest and are counted.

    `lowest` and `highest` bound the values, where that is known: mostly nothing has to be clipped.
    """
    if lowest >= -HALF_PRECISION_LIMIT and highest <= HALF_PRECISION_LIMIT:
        return HalfPrecision(pooled.half(), 0)
    clipped = int((pooled.abs() > HALF_PRECISION_LIMIT).sum())
    limited = pooled.clamp(-HALF_PRECISION_LIMIT, HALF_PRECISION_LIMIT)
    return HalfPrecision(limited.half(), clipped)


def _maximum(tokens: Tensor, mask: Tensor) -> Tensor:
    return tokens.masked_fill(~mask.unsqueeze(-1), float("-inf")).amax(dim=1)


def _mean(tokens: Tensor, mask: Tensor) -> Tensor:
    weights = mask.float()
    sums = (weights.unsqueeze(1) @ tokens.float()).squeeze(1)
    return sums / weights.sum(dim=1, keepdim=True)
