"""Loading the subject model: the encoder whose neurons are explained."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.bundled import BUNDLED, bundled_model_path
from indexer.errors import InputError
from indexer.storage import file_fingerprint, fingerprint
from neurons.architectures import Architecture, describe, pooler_is_optional

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

_SAFE_WEIGHTS = ("model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json")
_PICKLED_WEIGHTS = (
    "pytorch_model.bin",
    "pytorch_model-*-of-*.bin",
    "pytorch_model.bin.index.json",
)
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
_TEXT_PARTS = (
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    *_VOCABULARIES,
)


@dataclass(frozen=True)
class SubjectModel:
    """A base encoder ready to be read: evaluation mode, float32, on its device.

    `maximum_tokens` counts special tokens; `fingerprint` is the sha256 of weights, configuration
    and tokenizer files.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    architecture: Architecture
    device: torch.device
    maximum_tokens: int
    fingerprint: str

    @classmethod
    def load(cls, name: str, device: str = "auto", unsafe_weights: bool = False) -> SubjectModel:
        """Load `bundled`, a local folder or a Hugging Face Hub id.

        Code that comes with a model is never run. Weights are read from safetensors files only,
        unless `unsafe_weights` allows pickled ones.

        Raises:
            InputError: the model cannot be found, read or hooked, or the device is missing.
        """
        chosen = choose_device(device)
        folder = _folder(name, unsafe_weights)
        _require_weights(name, folder, unsafe_weights)
        model = _load_model(name, folder, unsafe_weights, chosen)
        tokenizer = _load_tokenizer(name, folder)
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
            fingerprint=_folder_fingerprint(folder, unsafe_weights),
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


def _folder(name: str, unsafe_weights: bool) -> Path:
    if name == BUNDLED:
        return bundled_model_path()
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise InputError(f"{name} is a file; give the model's folder, a Hub id, or 'bundled'")
    return _hub_snapshot(name, unsafe_weights)


def _hub_snapshot(name: str, unsafe_weights: bool) -> Path:
    from huggingface_hub import snapshot_download

    patterns = [*_TEXT_PARTS, *_SAFE_WEIGHTS, *(_PICKLED_WEIGHTS if unsafe_weights else ())]
    try:
        # Weights in subfolders are conversions for other software.
        found = snapshot_download(name, allow_patterns=patterns, ignore_patterns=["*/*"])
    except (OSError, ValueError) as error:
        raise InputError(
            f"model {name!r} is neither a folder nor reachable on the Hugging Face Hub "
            f"({_first_line(error)}). Give an existing folder, a Hub id with the network on, "
            "or 'bundled', which needs no network."
        ) from error
    return Path(found)


def _require_weights(name: str, folder: Path, unsafe_weights: bool) -> None:
    if not (folder / "config.json").is_file():
        raise InputError(f"{name} has no config.json; expected a Hugging Face model folder")
    if _files(folder, _SAFE_WEIGHTS):
        return
    if not unsafe_weights:
        raise InputError(
            f"{name} has no safetensors weights; pickled weights can run code when they are read. "
            "Convert them to safetensors, take another model, or allow unsafe weights explicitly."
        )
    if not _files(folder, _PICKLED_WEIGHTS):
        raise InputError(f"{name} has no weights: neither model.safetensors nor pytorch_model.bin")


def _load_model(
    name: str, folder: Path, unsafe_weights: bool, device: torch.device
) -> PreTrainedModel:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel

    try:
        with _quiet_transformers():
            config: Any = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            # Chunked feed-forward gives the same result in several calls; a hook needs one call.
            config.chunk_size_feed_forward = 0
            without_pooler = {"add_pooling_layer": False} if pooler_is_optional(config) else {}
            model, loading = AutoModel.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                trust_remote_code=False,
                use_safetensors=None if unsafe_weights else True,
                output_loading_info=True,
                **without_pooler,
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"model {name} cannot be loaded: {_first_line(error)}. "
            "Expected a config.json and weights of a supported encoder."
        ) from error
    missing = sorted(loading["missing_keys"])
    if missing:
        raise InputError(
            f"the weights of {name} lack {len(missing)} tensors of its encoder, which would be "
            f"random numbers (first: {missing[0]}); give a complete checkpoint"
        )
    loaded: PreTrainedModel = model.eval().to(device)
    return loaded


def _load_tokenizer(name: str, folder: Path) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    # Without a vocabulary transformers builds a tokenizer that knows no word, and says nothing.
    if not _files(folder, _VOCABULARIES):
        raise InputError(
            f"{name} has no tokenizer vocabulary; expected one of {', '.join(_VOCABULARIES)} "
            "beside the weights"
        )
    try:
        with _quiet_transformers():
            tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise InputError(
            f"the tokenizer of {name} cannot be loaded: {_first_line(error)}. "
            "Save a tokenizer.json beside the weights."
        ) from error
    if not getattr(tokenizer, "is_fast", False):
        raise InputError(
            f"{name} has no fast tokenizer, which is needed for character offsets; "
            "save a tokenizer.json beside the weights"
        )
    loaded: PreTrainedTokenizerBase = tokenizer
    return loaded


def _folder_fingerprint(folder: Path, unsafe_weights: bool) -> str:
    patterns = (*_TEXT_PARTS, *_SAFE_WEIGHTS, *(_PICKLED_WEIGHTS if unsafe_weights else ()))
    return fingerprint({path.name: file_fingerprint(path) for path in _files(folder, patterns)})


def _files(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return sorted(found)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Keep the loading report off stderr; what matters in it is checked and raised instead."""
    import transformers

    transformers_logging: Any = transformers.logging
    verbosity = transformers_logging.get_verbosity()
    had_progress_bar = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if had_progress_bar:
            transformers_logging.enable_progress_bar()
