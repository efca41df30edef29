"""A subject model's folder: found, checked, and loaded without running anything that is in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.bundled import BUNDLED, bundled_model_path
from indexer.errors import InputError
from indexer.model_loading import one_at_a_time
from indexer.storage import file_fingerprint, fingerprint
from neurons.architectures import pooler_is_optional

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

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


class Precision(StrEnum):
    """The numbers a model computes with."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


def model_folder(name: str, unsafe_weights: bool) -> Path:
    """The folder of `bundled`, a local folder, or a Hugging Face Hub id.

    Raises:
        InputError: there is none.
    """
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


def require_weights(name: str, folder: Path, unsafe_weights: bool) -> None:
    """Check that the folder holds a model whose weights may be read.

    Raises:
        InputError: it does not.
    """
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


def load_model(
    name: str, folder: Path, unsafe_weights: bool, device: torch.device, precision: Precision
) -> PreTrainedModel:
    """The encoder in a folder, in evaluation mode.

    Raises:
        InputError: it cannot be loaded, or weights are missing.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel

    try:
        with one_at_a_time(), _quiet_transformers():
            config: Any = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            # Chunked feed-forward gives the same result in several calls; a hook needs one call.
            config.chunk_size_feed_forward = 0
            without_pooler = {"add_pooling_layer": False} if pooler_is_optional(config) else {}
            model, loading = AutoModel.from_pretrained(
                folder,
                config=config,
                dtype=getattr(torch, precision),
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


def load_tokenizer(name: str, folder: Path) -> PreTrainedTokenizerBase:
    """The fast tokenizer in a folder.

    Raises:
        InputError: there is none that can be read.
    """
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


def folder_fingerprint(folder: Path, unsafe_weights: bool) -> str:
    """The sha256 of the files that decide what a model computes."""
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
