"""Running a model from one block on, where what comes before it is known.

An intervention in one layer leaves the layers below as they were. Many interventions on one text
need those layers once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neurons.architectures import Architecture

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class BlockAnswer:
    """What a block gave back: its output, and what some families put beside it.

    `output` is `n_texts, n_tokens, n_hidden_units`; `others` is None where the block gives back
    nothing but the output, not even in a tuple.
    """

    output: Tensor
    others: tuple[Any, ...] | None

    @property
    def raw(self) -> Any:
        """The answer as the model's own code expects it."""
        return self.output if self.others is None else (self.output, *self.others)

    def take(self, rows: Tensor) -> BlockAnswer:
        """The answer for some texts, in the order given; what stands beside it is kept as it is."""
        return BlockAnswer(self.output[rows], self.others)


@contextmanager
def answer_kept(architecture: Architecture, layer: int) -> Iterator[list[BlockAnswer]]:
    """Yield a list that holds the answers of a block, one for each forward pass.

    Raises:
        ValueError: there is no such layer.
    """
    _check_layer(architecture, layer)
    answers: list[BlockAnswer] = []

    def keep(_module: Any, _inputs: Any, answer: Any) -> None:
        is_tuple = isinstance(answer, tuple)
        output = answer[0] if is_tuple else answer
        answers.append(BlockAnswer(output, answer[1:] if is_tuple else None))

    handle = architecture.blocks[layer].register_forward_hook(keep)
    try:
        yield answers
    finally:
        handle.remove()


@contextmanager
def continued_after(architecture: Architecture, layer: int, answer: BlockAnswer) -> Iterator[None]:
    """While the block lasts, forward passes compute only what comes after a layer.

    The model must be called with the texts that `answer` belongs to, in its order. Its blocks are
    themselves again when this ends, however it ends.

    Args:
        architecture: of the model.
        layer: the last layer that is not computed.
        answer: what that layer's block answers.

    Raises:
        ValueError: there is no such layer.
    """
    _check_layer(architecture, layer)
    with ExitStack() as stack:
        for block in architecture.blocks[: layer + 1]:
            stack.enter_context(_answering(block, answer.raw))
        yield


@contextmanager
def _answering(block: nn.Module, raw: Any) -> Iterator[None]:
    def forward(*_args: Any, **_named: Any) -> Any:
        return raw

    own = vars(block).get("forward")
    vars(block)["forward"] = forward
    try:
        yield
    finally:
        del vars(block)["forward"]
        if own is not None:
            vars(block)["forward"] = own


def _check_layer(architecture: Architecture, layer: int) -> None:
    if not 0 <= layer < architecture.n_layers:
        raise ValueError(
            f"layer is {layer}, the model has {architecture.n_layers} layers, counted from 0"
        )
