"""Mean and spread of units over single tokens.

The stored activations are one number a sentence, mostly the largest over its tokens; what a unit
does on an average token is less, and can be learnt from the model alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import DoubleArray
from indexer.batching import batches
from neurons.batching import TokenBatch, padded, tokenize
from neurons.capture import captured
from neurons.records import LayerSite
from neurons.subject import SubjectModel

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class TokenMoments:
    """Mean and standard deviation of a site's units over content tokens (`n_units` each)."""

    mean: DoubleArray
    deviation: DoubleArray
    n_tokens: int


def token_moments(
    subject: SubjectModel,
    texts: Sequence[str],
    layer_sites: Sequence[LayerSite],
    *,
    token_budget: int = 4096,
) -> Mapping[LayerSite, TokenMoments]:
    """Moments of every unit of some sites over the content tokens of some texts.

    Raises:
        InputError: the model lacks a layer site, or a text is not valid Unicode.
        ValueError: the texts have no content tokens.
    """
    import torch

    tokenized = tokenize(subject, texts, subject.maximum_tokens)
    n_tokens = sum(int(text.content_mask.sum()) for text in tokenized)
    if not n_tokens:
        raise ValueError(f"{len(texts)} texts have no content tokens; moments need some")
    lengths = np.asarray([text.n_tokens for text in tokenized], dtype=np.int64)
    sums = {
        site: np.zeros((2, subject.architecture.units(site.site)), dtype=np.float64)
        for site in layer_sites
    }
    for positions in batches(lengths, token_budget):
        batch = padded(subject, [tokenized[position] for position in positions])
        with (
            torch.inference_mode(),
            captured(subject.architecture, layer_sites, _power_sums(batch)) as latest,
        ):
            subject.model(**batch.inputs)
            for site in layer_sites:
                sums[site] += latest[site].cpu().numpy()
    return {site: _moments(own, n_tokens) for site, own in sums.items()}


def _power_sums(batch: TokenBatch) -> Callable[[LayerSite, Tensor], Tensor]:
    """Reduces activations to their sums and sums of squares over content tokens (`2, n_units`)."""
    import torch

    def reduced(_layer_site: LayerSite, tokens: Tensor) -> Tensor:
        content = tokens[batch.content_mask].double()
        return torch.stack([content.sum(dim=0), content.square().sum(dim=0)])

    return reduced


def _moments(sums: DoubleArray, n_tokens: int) -> TokenMoments:
    mean = sums[0] / n_tokens
    variance = np.maximum(sums[1] / n_tokens - mean**2, 0.0)
    return TokenMoments(mean, np.sqrt(variance), n_tokens)
