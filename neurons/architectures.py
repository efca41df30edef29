"""Everything that depends on the subject model's architecture; no other module asks for it.

The `ffn` site is the vector that the down projection of the feed-forward network reads, so it is
captured as the input of that projection. In the classic blocks it is act(x W + b). In a gated block
(ModernBERT) it is the product act(a) * g of the activated half and the gate, the only vector there
with one number per row of the down projection.

The `hidden` site is what a block hands to the next one. The convolution that some DeBERTa v2 models
put after their first block belongs to it; the normalisation after ModernBERT's last block does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from indexer.errors import InputError
from neurons.records import LayerSite, Site

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class _Family:
    """Where a family keeps its parts; paths below a block are relative to that block."""

    name: str
    blocks: str = "encoder.layer"
    up: str = "intermediate.dense"
    activation: str = "intermediate.intermediate_act_fn"
    down: str = "output.dense"
    gated: bool = False
    pooler_is_optional: bool = False
    positions_start_after_padding: bool = False
    first_block_convolution: str | None = None
    final_norm: str | None = None


_FAMILIES = {
    "bert": _Family("BERT", pooler_is_optional=True),
    "roberta": _Family("RoBERTa", pooler_is_optional=True, positions_start_after_padding=True),
    "xlm-roberta": _Family("XLM-R", pooler_is_optional=True, positions_start_after_padding=True),
    "distilbert": _Family(
        "DistilBERT",
        blocks="transformer.layer",
        up="ffn.lin1",
        activation="ffn.activation",
        down="ffn.lin2",
    ),
    "electra": _Family("ELECTRA"),
    "mpnet": _Family("MPNet", pooler_is_optional=True, positions_start_after_padding=True),
    "deberta": _Family("DeBERTa"),
    "deberta-v2": _Family("DeBERTa v2", first_block_convolution="encoder.conv"),
    "modernbert": _Family(
        "ModernBERT",
        blocks="layers",
        up="mlp.Wi",
        activation="mlp.act",
        down="mlp.Wo",
        gated=True,
        final_norm="final_norm",
    ),
}


@dataclass(frozen=True)
class CapturePoint:
    """A module and whether its first input (else its first output) is the activation wanted."""

    module: nn.Module
    takes_input: bool


@dataclass(frozen=True)
class FeedForward:
    """The parts of one block's feed-forward network up to its activation."""

    up: nn.Linear
    activation: Callable[[Tensor], Tensor]
    gated: bool


@dataclass(frozen=True)
class Architecture:
    """What is known of a loaded subject model: sizes, capture points, feed-forward parts.

    `maximum_positions` is the longest input in tokens, special tokens included.
    """

    family: str
    n_layers: int
    ffn_units: int
    hidden_units: int
    maximum_positions: int
    blocks: tuple[nn.Module, ...]
    block_outputs: tuple[nn.Module, ...]
    down_projections: tuple[nn.Linear, ...]
    feed_forwards: tuple[FeedForward, ...]
    final_norm: nn.Module | None

    def units(self, site: Site) -> int:
        """The number of neurons that every layer has at `site`."""
        return self.ffn_units if site is Site.FFN else self.hidden_units

    def layer_sites(self, sites: Iterable[Site]) -> tuple[LayerSite, ...]:
        """Every layer's `sites`, in the order of the layers."""
        wanted = sorted(set(sites))
        return tuple(LayerSite(layer, site) for layer in range(self.n_layers) for site in wanted)

    def capture_point(self, layer_site: LayerSite) -> CapturePoint:
        """Where the activation of `layer_site` passes.

        Raises:
            InputError: the model has no such layer.
        """
        if not 0 <= layer_site.layer < self.n_layers:
            raise InputError(
                f"{layer_site} does not exist: the {self.family} model has {self.n_layers} layers, "
                f"L0 to L{self.n_layers - 1}"
            )
        if layer_site.site is Site.FFN:
            return CapturePoint(self.down_projections[layer_site.layer], takes_input=True)
        return CapturePoint(self.block_outputs[layer_site.layer], takes_input=False)


def describe(model: PreTrainedModel) -> Architecture:
    """Find the capture points of a loaded base encoder.

    Raises:
        InputError: the architecture is not supported, or lacks its feed-forward network.
    """
    family = _family(model.config)
    try:
        blocks = tuple(_children(model.get_submodule(family.blocks)))
        downs = tuple(_linear(block, family.down) for block in blocks)
        feed_forwards = tuple(
            FeedForward(
                _linear(block, family.up), _attribute(block, family.activation), family.gated
            )
            for block in blocks
        )
    except AttributeError as error:
        raise InputError(
            f"the {family.name} model {type(model).__name__} has no known feed-forward network: "
            f"{error}. Load the base encoder of a {family.name} checkpoint."
        ) from error
    return Architecture(
        family=family.name,
        n_layers=len(blocks),
        ffn_units=downs[0].in_features,
        hidden_units=downs[0].out_features,
        maximum_positions=_maximum_positions(model.config, family),
        blocks=blocks,
        block_outputs=_block_outputs(model, family, blocks),
        down_projections=downs,
        feed_forwards=feed_forwards,
        final_norm=_optional_submodule(model, family.final_norm),
    )


def pooler_is_optional(config: Any) -> bool:
    """Whether the base encoder can be built without the pooler, which no activation needs.

    Raises:
        InputError: the architecture is not supported.
    """
    return _family(config).pooler_is_optional


def _family(config: Any) -> _Family:
    model_type = getattr(config, "model_type", None)
    family = _FAMILIES.get(str(model_type))
    if family is None:
        supported = ", ".join(f"{known.name} ({kind})" for kind, known in _FAMILIES.items())
        raise InputError(
            f"models of type {model_type!r} are not supported; supported are {supported}"
        )
    return family


def _children(module: nn.Module) -> list[nn.Module]:
    blocks = list(module.children())
    if not blocks:
        raise AttributeError("it has no blocks")
    return blocks


def _attribute(module: nn.Module, path: str) -> Any:
    found: Any = module
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _linear(block: nn.Module, path: str) -> nn.Linear:
    from torch import nn

    found = _attribute(block, path)
    if not isinstance(found, nn.Linear):
        raise AttributeError(f"{path} is a {type(found).__name__}, not a Linear")
    return found


def _optional_submodule(model: nn.Module, path: str | None) -> nn.Module | None:
    found: nn.Module | None = _attribute(model, path) if path else None
    return found


def _block_outputs(
    model: nn.Module, family: _Family, blocks: tuple[nn.Module, ...]
) -> tuple[nn.Module, ...]:
    convolution = _optional_submodule(model, family.first_block_convolution)
    return blocks if convolution is None else (convolution, *blocks[1:])


def _maximum_positions(config: Any, family: _Family) -> int:
    positions = int(config.max_position_embeddings)
    if family.positions_start_after_padding:
        return positions - int(config.pad_token_id) - 1
    return positions
