"""Self-check: what the hooks capture is what the model computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from indexer.errors import BackendError
from indexer.records import Record
from neurons.architectures import Architecture, CapturePoint, FeedForward
from neurons.batching import TokenBatch, padded, tokenize
from neurons.capture import captured, recorded
from neurons.records import LayerSite, Site
from neurons.subject import SubjectModel
from neurons.subject_files import Precision

if TYPE_CHECKING:
    from torch import Tensor

TOLERANCES = {Precision.FLOAT32: 1e-4, Precision.FLOAT16: 5e-3, Precision.BFLOAT16: 4e-2}
"""Of relative differences: a few units in the last place of what a model computes with."""

PARITY_TEXTS = (
    "The delivery was late again.",
    "Battery life is superb, and it charges in under an hour!",
    "Who paints the 3 doors?",
    "Yes.",
)


class ParityReport(Record):
    """Largest differences between captured activations and an independent computation.

    `hidden` is compared with the hidden states the model itself returns, `ffn` with act(x W + b)
    computed from the weights. Relative differences are divided by the largest absolute value of
    the layer; `passed` says that both stay below `tolerance`. Where the model computes in less than
    float32, `float32_difference` is the largest relative difference from what it computes there:
    that is what the lower precision costs, and no failure.
    """

    texts: int
    layers: int
    hidden_difference: float
    hidden_relative_difference: float
    ffn_difference: float
    ffn_relative_difference: float
    tolerance: float
    passed: bool
    precision: Precision = Precision.FLOAT32
    float32_difference: float | None = None


def check_parity(subject: SubjectModel, texts: Sequence[str] = PARITY_TEXTS) -> ParityReport:
    """Compare captured activations of `texts`, padded into one batch, with independent ones.

    Raises:
        ValueError: there are no texts.
    """
    import torch

    if not texts:
        raise ValueError("parity needs at least one text")
    architecture = subject.architecture
    tolerance = TOLERANCES[subject.precision]
    batch = padded(subject, tokenize(subject, texts, subject.maximum_tokens))
    real = batch.attention_mask.bool()
    with torch.inference_mode():
        with (
            recorded(dict(enumerate(_feed_forward_inputs(architecture)))) as inputs,
            captured(architecture, architecture.layer_sites(Site)) as latest,
        ):
            subject.model(**batch.inputs)
        plain = subject.model(**batch.inputs, output_hidden_states=True).hidden_states
        hidden = [
            _difference(
                _as_returned(architecture, layer, latest[LayerSite(layer, Site.HIDDEN)]),
                plain[layer + 1],
                real,
            )
            for layer in range(architecture.n_layers)
        ]
        ffn = [
            _difference(latest[LayerSite(layer, Site.FFN)], _by_hand(parts, inputs[layer]), real)
            for layer, parts in enumerate(architecture.feed_forwards)
        ]
    relative = max(found.relative for found in (*hidden, *ffn))
    return ParityReport(
        texts=len(texts),
        layers=architecture.n_layers,
        hidden_difference=max(found.absolute for found in hidden),
        hidden_relative_difference=max(found.relative for found in hidden),
        ffn_difference=max(found.absolute for found in ffn),
        ffn_relative_difference=max(found.relative for found in ffn),
        tolerance=tolerance,
        passed=relative <= tolerance,
        precision=subject.precision,
        float32_difference=_from_float32(subject, batch, latest, real),
    )


def require_parity(subject: SubjectModel) -> ParityReport:
    """Return the report of `check_parity`.

    Raises:
        BackendError: the captured activations are not what the model computes.
    """
    report = check_parity(subject)
    if not report.passed:
        raise BackendError(
            f"activations captured from {subject.name} differ from what it computes: relative "
            f"difference {report.hidden_relative_difference:.2g} at hidden and "
            f"{report.ffn_relative_difference:.2g} at ffn, expected at most {report.tolerance:g}. "
            "Use another model, or report the model and the transformers version."
        )
    return report


def _from_float32(
    subject: SubjectModel, batch: TokenBatch, found: Mapping[LayerSite, Tensor], real: Tensor
) -> float | None:
    """The largest relative difference from the same model in float32, None for that model."""
    import torch

    if subject.precision is Precision.FLOAT32:
        return None
    exact = replace(subject.source, precision=Precision.FLOAT32, loaded=None).load()
    with torch.inference_mode(), captured(exact.architecture, found) as expected:
        exact.model(**batch.inputs)
        return max(_difference(found[each], expected[each], real).relative for each in found)


@dataclass(frozen=True)
class _Difference:
    absolute: float
    relative: float


def _feed_forward_inputs(architecture: Architecture) -> list[CapturePoint]:
    return [CapturePoint(parts.up, takes_input=True) for parts in architecture.feed_forwards]


def _by_hand(parts: FeedForward, inputs: Tensor) -> Tensor:
    projected = inputs @ parts.up.weight.T
    if parts.up.bias is not None:
        projected = projected + parts.up.bias
    if not parts.gated:
        return parts.activation(projected)
    half, gate = projected.chunk(2, dim=-1)
    return parts.activation(half) * gate


def _as_returned(architecture: Architecture, layer: int, hidden: Tensor) -> Tensor:
    """What the model lists among its hidden states for a block's output."""
    if architecture.final_norm is None or layer < architecture.n_layers - 1:
        return hidden
    normalized: Tensor = architecture.final_norm(hidden)
    return normalized


def _difference(captured_tokens: Tensor, expected: Tensor, real: Tensor) -> _Difference:
    """The largest difference over real tokens; not a number counts as infinite."""
    import torch

    gap = (captured_tokens.float() - expected.float())[real].abs().nan_to_num(nan=torch.inf)
    absolute = float(gap.max())
    scale = float(expected[real].abs().max())
    return _Difference(absolute, absolute / scale if scale > 0 else absolute)
