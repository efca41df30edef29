"""From a model's name to the folder with its files: bundled, local, or fetched from the Hub."""

from __future__ import annotations

from pathlib import Path

from indexer.bundled import BUNDLED, bundled_model_path
from indexer.errors import InputError
from indexer.storage import file_fingerprint, fingerprint

# Weights as safetensors, configuration and vocabularies; never pickled weights or code.
_FETCHED = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
_NOT_FETCHED = ("onnx/*", "openvino/*")
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
_HUB_TIMEOUT_SECONDS = 10.0


def model_folder(name: str) -> Path:
    """The folder of the model called `bundled`, at a local path, or with a Hub id.

    Only a Hub id touches the network; without a network the copy of an earlier download is used.

    Raises:
        InputError: there is no such model, or its folder lacks safetensors weights or a vocabulary.
    """
    if name == BUNDLED:
        return bundled_model_path()
    if not name.strip():
        raise InputError(f"{name!r} names no model; name `{BUNDLED}`, a folder, or a Hub id")
    local = Path(name).expanduser()
    folder = local if local.exists() else _hub_folder(name)
    if not folder.is_dir():
        raise InputError(f"model {name!r} is a file, expected the folder that holds the model")
    for patterns, wanted in (
        (("*.safetensors",), "safetensors weights"),
        (_VOCABULARIES, "tokenizer vocabulary"),
    ):
        if not any(any(folder.rglob(pattern)) for pattern in patterns):
            raise InputError(
                f"model {name!r} has no {wanted} in {folder}, expected {' or '.join(patterns)}. "
                "Save it with `save_pretrained`, tokenizer included, or name another model."
            )
    return folder


def folder_fingerprint(folder: Path) -> str:
    """The sha256 over the names and contents of the files in `folder` that make the model."""
    files = {
        path.relative_to(folder).as_posix(): file_fingerprint(path)
        for pattern in _FETCHED
        for path in folder.rglob(pattern)
        if path.is_file()
    }
    return fingerprint(files)


def _hub_folder(name: str) -> Path:
    from huggingface_hub import snapshot_download

    # Which HTTP library stands behind this name depends on the version of huggingface_hub.
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    try:
        return Path(
            snapshot_download(
                name,
                allow_patterns=list(_FETCHED),
                ignore_patterns=list(_NOT_FETCHED),
                etag_timeout=_HUB_TIMEOUT_SECONDS,
            )
        )
    except (OSError, ValueError, HTTPError) as error:
        raise InputError(
            f"model {name!r} is neither `{BUNDLED}` nor a local folder, and the Hugging Face Hub "
            f"did not give it: {error}. Name `{BUNDLED}` (needs no network), a folder, or a Hub "
            "id such as sentence-transformers/all-MiniLM-L6-v2."
        ) from error
