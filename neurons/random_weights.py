"""The subject model's architecture with weights that no training has touched."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from indexer.model_loading import one_at_a_time
from neurons.architectures import describe, pooler_is_optional
from neurons.subject import SubjectModel

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def with_random_weights(subject: SubjectModel, seed: int) -> SubjectModel:
    """The model with all weights drawn anew, as its architecture initialises them for training.

    Tokenizer, configuration, attention implementation, precision and device are the same. Weights
    are drawn on the CPU in float32, so that a seed gives one model on every device, in every
    precision up to rounding. Torch's own random numbers go on as if nothing was drawn.

    Raises:
        ValueError: its weights are random already, or `seed` is below 0.
    """
    if subject.weights_seed is not None:
        raise ValueError(f"the weights of {subject.name} are random already")
    if seed < 0:
        raise ValueError(f"seed is {seed}, expected 0 or more")
    model = _initialised(subject.model, seed)
    dtypes = {name: own.dtype for name, own in subject.model.named_parameters()}
    # Buffers keep theirs, as when a model is loaded: positions would lose digits.
    for name, parameter in model.named_parameters():
        parameter.data = parameter.data.to(dtypes[name])
    model.to(subject.device)
    return replace(
        subject,
        model=model,
        architecture=describe(model),
        fingerprint=f"{subject.fingerprint} random_weights={seed}",
        weights_seed=seed,
    )


def _initialised(trained: PreTrainedModel, seed: int) -> Any:
    import torch
    from transformers import AutoModel

    config: Any = copy.deepcopy(trained.config)
    from_config: Any = AutoModel.from_config
    without_pooler = {"add_pooling_layer": False} if pooler_is_optional(config) else {}
    with one_at_a_time(), torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(seed)
        model: Any = from_config(
            config,
            trust_remote_code=False,
            dtype=torch.float32,
            attn_implementation=config._attn_implementation,
            **without_pooler,
        )
    return model.eval()
