"""Reading activations out of a running model, without leaving a trace in it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from neurons.architectures import Architecture, CapturePoint
from neurons.records import LayerSite

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.hooks import RemovableHandle

Key = TypeVar("Key", bound=Hashable)


@contextmanager
def captured(
    architecture: Architecture,
    layer_sites: Iterable[LayerSite],
    reduction: Callable[[LayerSite, Tensor], Tensor] | None = None,
) -> Iterator[dict[LayerSite, Tensor]]:
    """Yield a mapping that holds the activations of the latest forward pass.

    Each tensor is `n_sentences, n_tokens, n_units`, or what `reduction` makes of it. Reducing while
    the model runs lets a layer's full tensor go before the next layer is computed. The hooks are
    gone when the block ends, however it ends.

    Raises:
        InputError: the model lacks one of `layer_sites`.
    """
    points = {layer_site: architecture.capture_point(layer_site) for layer_site in layer_sites}
    with recorded(points, reduction) as latest:
        yield latest


@contextmanager
def recorded(
    points: Mapping[Key, CapturePoint],
    reduction: Callable[[Key, Tensor], Tensor] | None = None,
) -> Iterator[dict[Key, Tensor]]:
    """Like `captured`, for any capture points under keys of the caller's choice."""
    latest: dict[Key, Tensor] = {}

    def keep(key: Key, tensor: Tensor) -> None:
        latest[key] = tensor if reduction is None else reduction(key, tensor)

    handles: list[RemovableHandle] = []
    try:
        for key, point in points.items():
            handles.append(_listen(point, partial(keep, key)))
        yield latest
    finally:
        for handle in handles:
            handle.remove()


def _listen(point: CapturePoint, keep: Callable[[Tensor], None]) -> RemovableHandle:
    def on_input(_module: Any, inputs: tuple[Any, ...]) -> None:
        keep(inputs[0])

    def on_output(_module: Any, _inputs: tuple[Any, ...], output: Any) -> None:
        keep(output[0] if isinstance(output, tuple) else output)

    if point.takes_input:
        return point.module.register_forward_pre_hook(on_input)
    return point.module.register_forward_hook(on_output)
