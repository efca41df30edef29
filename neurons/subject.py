"""Loading the subject model: the encoder whose neurons are explained."""

from __future__ import annotations

import copy
import logging
import platform
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from indexer.errors import BackendError, InputError
from neurons.architectures import Architecture, describe
from neurons.random_directions import RandomDirections
from neurons.subject_files import (
    Precision,
    folder_fingerprint,
    load_model,
    load_tokenizer,
    model_folder,
    require_weights,
)

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SubjectModel:
    """A base encoder ready to be read, in evaluation mode, on its device.

    `maximum_tokens` counts special tokens; `fingerprint` is the sha256 of weights, configuration
    and tokenizer files, and names what was made random. `weights_seed` is set where the weights
    were drawn anew (`neurons.random_weights`). With `directions`, `neurons.reading` reads random
    directions of each site in place of its units.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    architecture: Architecture
    device: torch.device
    maximum_tokens: int
    fingerprint: str
    precision: Precision
    unsafe_weights: bool
    weights_seed: int | None = None
    directions: RandomDirections | None = None

    @classmethod
    def load(
        cls,
        name: str,
        device: str = "auto",
        unsafe_weights: bool = False,
        precision: Precision = Precision.FLOAT32,
    ) -> SubjectModel:
        """Load `bundled`, a local folder or a Hugging Face Hub id.

        Code that comes with a model is never run. Weights are read from safetensors files only,
        unless `unsafe_weights` allows pickled ones.

        Raises:
            InputError: the model cannot be found, read or hooked, or the device is missing.
        """
        chosen = choose_device(device)
        folder = model_folder(name, unsafe_weights)
        require_weights(name, folder, unsafe_weights)
        model = load_model(name, folder, unsafe_weights, chosen, precision)
        tokenizer = load_tokenizer(name, folder)
        architecture = describe(model)
        highest = max(tokenizer.get_vocab().values())
        if highest >= model.config.vocab_size:
            raise InputError(
                f"the tokenizer of {name} counts to {highest} but the model embeds "
                f"{model.config.vocab_size} tokens; give a folder whose tokenizer and weights fit"
            )
        logger.info("loaded %s: %s, %d layers", name, architecture.family, architecture.n_layers)
        return cls(
            name=name,
            model=model,
            tokenizer=tokenizer,
            architecture=architecture,
            device=chosen,
            maximum_tokens=min(int(tokenizer.model_max_length), architecture.maximum_positions),
            fingerprint=folder_fingerprint(folder, unsafe_weights),
            precision=precision,
            unsafe_weights=unsafe_weights,
        )

    @cached_property
    def replicas(self) -> tuple[SubjectModel, ...]:
        """This model on every device of its kind, itself first."""
        import torch

        n_devices = torch.cuda.device_count() if self.device.type == "cuda" else 1
        others = (torch.device(self.device.type, number) for number in range(1, n_devices))
        return (self, *(self.copied_to(device) for device in others))

    def copied_to(self, device: torch.device) -> SubjectModel:
        """The same model on another device."""
        model: Any = copy.deepcopy(self.model)
        model.to(device)
        return replace(self, model=model, architecture=describe(model), device=device)

    @property
    def source(self) -> SubjectSource:
        """Where another process finds this model."""
        return SubjectSource(
            self.name,
            self.device.type,
            self.unsafe_weights,
            self.precision,
            self.fingerprint,
            self.weights_seed,
            None if self.directions is None else self.directions.seed,
            loaded=self,
        )

    def with_random_directions(self, seed: int) -> SubjectModel:
        """The same model, of which random directions are read in place of units.

        Raises:
            ValueError: its directions are random already.
        """
        if self.directions is not None:
            raise ValueError(f"{self.name} is read in random directions already")
        fingerprint = f"{self.fingerprint} random_directions={seed}"
        return replace(self, directions=RandomDirections(seed), fingerprint=fingerprint)


@dataclass(frozen=True)
class SubjectSource:
    """A subject model by its name; what is loaded stays behind when this goes elsewhere."""

    name: str
    device: str
    unsafe_weights: bool
    precision: Precision
    fingerprint: str
    weights_seed: int | None = None
    directions_seed: int | None = None
    loaded: SubjectModel | None = field(default=None, compare=False, repr=False)

    @property
    def key(self) -> str:
        """Equal keys load equal models."""
        return f"{self.fingerprint} {self.precision} {self.device}"

    def load(self) -> SubjectModel:
        """The model.

        Raises:
            InputError: it cannot be loaded here.
            BackendError: what has its name here is another model.
        """
        if self.loaded is not None:
            return self.loaded
        found = self._as_made(
            SubjectModel.load(self.name, self.device, self.unsafe_weights, self.precision)
        )
        if found.fingerprint != self.fingerprint:
            raise BackendError(
                f"model {self.name} on {platform.node()} is not the one that was asked for: its "
                f"files have fingerprint {found.fingerprint}, expected {self.fingerprint}. Put the "
                "same files on all machines."
            )
        return found

    def _as_made(self, trained: SubjectModel) -> SubjectModel:
        """The trained model with whatever was made random in this one."""
        from neurons.random_weights import with_random_weights

        found = trained
        if self.weights_seed is not None:
            found = with_random_weights(found, self.weights_seed)
        if self.directions_seed is not None:
            found = found.with_random_directions(self.directions_seed)
        return found

    def __reduce__(self) -> tuple[type[SubjectSource], tuple[object, ...]]:
        return SubjectSource, (
            self.name,
            self.device,
            self.unsafe_weights,
            self.precision,
            self.fingerprint,
            self.weights_seed,
            self.directions_seed,
        )


def choose_device(device: str) -> torch.device:
    """Turn `auto`, `cpu` or `cuda` into a device; `auto` takes CUDA where there is one.

    Raises:
        InputError: another word was given, or CUDA was asked for and is absent.
    """
    import torch

    if device not in {"auto", "cpu", "cuda"}:
        raise InputError(f"{device!r} is not a device; use auto, cpu or cuda")
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise InputError("--device cuda was asked for but no CUDA device is there; use auto or cpu")
    return torch.device("cuda" if has_cuda and device != "cpu" else "cpu")
