"""Changing what units do while a model runs, without leaving a trace in it.

Every row of a batch can be changed in its own way, so that one forward pass holds many experiments.
Mean ablation rather than zeroing is the usual choice, because zero may be far from anything that a
unit ever does (Sajjad et al. 2021, arXiv 2105.08039).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import FloatArray, IntArray
from indexer.errors import InputError
from neurons.architectures import Architecture, CapturePoint
from neurons.records import LayerSite, Site

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.hooks import RemovableHandle

RealArray = NDArray[np.floating[Any]]


class Intervention(Protocol):
    """A change at one layer site."""

    def point(self, architecture: Architecture, layer_site: LayerSite) -> CapturePoint:
        """Where the tensor passes that is changed.

        Raises:
            InputError: the model lacks the layer or a unit.
        """
        ...

    def applied(self, tokens: Tensor, content_mask: Tensor) -> Tensor:
        """The changed tensor (`n_texts, n_tokens, n_units`); `tokens` stays as it is."""
        ...


@dataclass(frozen=True, eq=False)
class UnitIntervention:
    """Sets activations of single units, or adds to them, on content tokens.

    Attributes:
        rows: texts of the batch (`n_changes`); a text may be named several times.
        units: the unit that is changed in each (`n_changes`).
        values: activations or summands, one for all tokens of a text (`n_changes`) or one for each
            (`n_changes, n_tokens`).
        replaces: whether the values are set, rather than added.

    Raises:
        ValueError: shapes do not fit, a value is not finite, or one unit of one text is set twice.
    """

    rows: IntArray
    units: IntArray
    values: RealArray
    replaces: bool

    def __post_init__(self) -> None:
        _check_rows(self.rows)
        if self.units.shape != self.rows.shape:
            raise ValueError(f"units have shape {self.units.shape}, rows {self.rows.shape}")
        _check_amounts(self.values, self.rows)
        pairs = np.unique(np.stack([self.rows, self.units]), axis=1)
        if self.replaces and pairs.shape[1] < len(self.rows):
            raise ValueError("one unit of one text is set twice; name each pair once")

    @classmethod
    def mean_ablate(cls, rows: IntArray, units: IntArray, means: RealArray) -> UnitIntervention:
        """Every unit takes its mean (`n_changes`), whatever the text says."""
        return cls(rows, units, means, replaces=True)

    @classmethod
    def zero(cls, rows: IntArray, units: IntArray) -> UnitIntervention:
        """Every unit takes the activation 0."""
        return cls(rows, units, np.zeros(len(rows)), replaces=True)

    @classmethod
    def steer(cls, rows: IntArray, units: IntArray, amounts: RealArray) -> UnitIntervention:
        """Add amounts, in the unit of the activations; see `values` for their shape."""
        return cls(rows, units, amounts, replaces=False)

    def point(self, architecture: Architecture, layer_site: LayerSite) -> CapturePoint:
        """The place where the site's activations are read.

        Raises:
            InputError: the model lacks the layer or a unit.
        """
        point = architecture.capture_point(layer_site)
        n_units = architecture.units(layer_site.site)
        wrong = self.units[(self.units < 0) | (self.units >= n_units)]
        if len(wrong):
            raise InputError(
                f"{layer_site}.{wrong[0]} does not exist: {layer_site} has {n_units} units, "
                f"0 to {n_units - 1}"
            )
        return point

    def applied(self, tokens: Tensor, content_mask: Tensor) -> Tensor:
        """The activations with the units changed; all others stay as they are.

        Raises:
            ValueError: rows, values or mask do not fit the batch.
        """
        import torch

        rows, values = _on_batch(self.rows, self.values, tokens, content_mask)
        units = torch.from_numpy(self.units).to(tokens.device)
        places = torch.arange(tokens.shape[1], device=tokens.device)
        index = (rows[:, None], places[None, :], units[:, None])
        if not self.replaces:
            return tokens.index_put(index, values * content_mask[rows], accumulate=True)
        return tokens.index_put(index, torch.where(content_mask[rows], values, tokens[index]))


@dataclass(frozen=True, eq=False)
class DirectionIntervention:
    """Adds vectors to what a layer site writes, on content tokens.

    The `ffn` site writes the output of the down projection, where one of its units adds its own
    column of weights; `hidden` writes what the block hands on.

    Attributes:
        rows: texts of the batch (`n_changes`); a text may be named several times.
        vectors: what is added in each (`n_changes, n_hidden_units`).
        amounts: multiples of the vectors, one for all tokens of a text (`n_changes`) or one for
            each (`n_changes, n_tokens`).

    Raises:
        ValueError: shapes do not fit, or a number is not finite.
    """

    rows: IntArray
    vectors: RealArray
    amounts: RealArray

    def __post_init__(self) -> None:
        _check_rows(self.rows)
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.rows):
            raise ValueError(
                f"vectors have shape {self.vectors.shape}, expected ({len(self.rows)}, "
                "n_hidden_units)"
            )
        if not np.isfinite(self.vectors).all():
            raise ValueError("a vector holds NaN or infinity")
        _check_amounts(self.amounts, self.rows)

    def point(self, architecture: Architecture, layer_site: LayerSite) -> CapturePoint:
        """The place where the site's result is read.

        Raises:
            InputError: the model lacks the layer, or its hidden units are another number.
        """
        point = architecture.capture_point(layer_site)
        if self.vectors.shape[1] != architecture.hidden_units:
            raise InputError(
                f"vectors have {self.vectors.shape[1]} numbers, {layer_site} writes "
                f"{architecture.hidden_units}"
            )
        if layer_site.site is Site.FFN:
            return CapturePoint(point.module, takes_input=False)
        return point

    def applied(self, tokens: Tensor, content_mask: Tensor) -> Tensor:
        """The tensor with the vectors added.

        Raises:
            ValueError: rows, amounts or mask do not fit the batch.
        """
        import torch

        rows, amounts = _on_batch(self.rows, self.amounts, tokens, content_mask)
        vectors = torch.from_numpy(self.vectors).to(tokens.device, tokens.dtype)
        added = (amounts * content_mask[rows]).unsqueeze(-1) * vectors.unsqueeze(1)
        return tokens.index_add(0, rows, added)


@contextmanager
def intervened(
    architecture: Architecture,
    interventions: Mapping[LayerSite, Sequence[Intervention]],
    content_mask: Tensor,
) -> Iterator[None]:
    """Change what the model does on one batch, for as long as the block lasts.

    Interventions of one site follow each other in order. What `neurons.capture` records is the
    changed activation where its block is the inner one. The hooks are gone when the block ends,
    however it ends.

    Args:
        architecture: of the model.
        interventions: what is changed at each layer site.
        content_mask: false for special tokens and padding, which are left alone
            (`n_texts, n_tokens`).

    Raises:
        InputError: the model lacks a layer site or a unit.
        ValueError: in the forward pass, if an intervention does not fit the batch.
    """
    planned = [
        (each.point(architecture, layer_site), each)
        for layer_site, own in interventions.items()
        for each in own
    ]
    handles: list[RemovableHandle] = []
    try:
        for point, each in planned:
            handles.append(_change(point, partial(each.applied, content_mask=content_mask)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def written_lengths(architecture: Architecture, layer_site: LayerSite) -> FloatArray:
    """Length of the vector that a unit adds to what the site writes, by activation 1 (`n_units`).

    At `ffn` the length of the unit's column of the down projection, at `hidden` 1.

    Raises:
        InputError: the model lacks the layer site.
    """
    point = architecture.capture_point(layer_site)
    if layer_site.site is not Site.FFN:
        return np.ones(architecture.units(layer_site.site), dtype=np.float32)
    weight = architecture.down_projections[layer_site.layer].weight
    assert point.takes_input, "the site's activations are what the down projection reads"
    lengths: FloatArray = weight.detach().float().norm(dim=0).cpu().numpy()
    return lengths


def _change(point: CapturePoint, applied: Callable[[Tensor], Tensor]) -> RemovableHandle:
    def on_input(_module: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (applied(inputs[0]), *inputs[1:])

    def on_output(_module: Any, _inputs: tuple[Any, ...], output: Any) -> Any:
        if isinstance(output, tuple):
            return (applied(output[0]), *output[1:])
        return applied(output)

    if point.takes_input:
        return point.module.register_forward_pre_hook(on_input)
    return point.module.register_forward_hook(on_output)


def _on_batch(
    rows: IntArray, amounts: RealArray, tokens: Tensor, content_mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Rows and amounts as tensors of the batch; amounts as `n_changes, n_tokens`."""
    import torch

    n_texts, n_tokens = tokens.shape[:2]
    if content_mask.shape != (n_texts, n_tokens):
        raise ValueError(
            f"content mask is {tuple(content_mask.shape)}, the batch has {n_texts} texts of "
            f"{n_tokens} tokens"
        )
    if len(rows) and rows.max() >= n_texts:
        raise ValueError(f"row {rows.max()} is to be changed, the batch has {n_texts} texts")
    if amounts.ndim == 2 and amounts.shape[1] != n_tokens:
        raise ValueError(f"amounts cover {amounts.shape[1]} tokens, the batch has {n_tokens}")
    broadcast = amounts if amounts.ndim == 2 else amounts[:, None]
    on_device = torch.from_numpy(broadcast).to(tokens.device, tokens.dtype)
    return torch.from_numpy(rows).to(tokens.device), on_device.expand(-1, n_tokens)


def _check_rows(rows: IntArray) -> None:
    if rows.ndim != 1 or (rows < 0).any():
        raise ValueError(f"rows have shape {rows.shape}, expected (n_changes,) from 0 on")


def _check_amounts(amounts: RealArray, rows: IntArray) -> None:
    if amounts.ndim not in (1, 2) or len(amounts) != len(rows):
        raise ValueError(
            f"values have shape {amounts.shape}, expected ({len(rows)},) or ({len(rows)}, n_tokens)"
        )
    if not np.isfinite(amounts).all():
        raise ValueError("a value is NaN or infinite; expected finite numbers")
