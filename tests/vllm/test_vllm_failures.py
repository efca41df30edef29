"""Engines that do not start."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tiny_llama import example_requests
from descriptors.generation import SamplingSettings
from descriptors.vllm_backend import VLLMGenerator
from descriptors.vllm_engine import VLLMSettings
from indexer.errors import BackendError, InputError
from tests.vllm.processes import child_processes

pytest.importorskip("vllm", reason="vLLM is not installed; `make test-vllm` installs and runs it")


@pytest.fixture
def copied_model(chat_model: Path, tmp_path: Path) -> Path:
    """A copy of the model whose files a test may change."""
    return Path(shutil.copytree(chat_model, tmp_path / "model"))


def change_configuration(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def start(model: Path, settings: VLLMSettings) -> None:
    """Ask a question, for which an engine would have to start."""
    list(
        VLLMGenerator.load(str(model), settings).generate(example_requests(SamplingSettings())[:1])
    )


def test_an_architecture_that_vllm_does_not_know_is_refused(
    copied_model: Path, vllm_settings: VLLMSettings
) -> None:
    change_configuration(copied_model, architectures=["NoSuchForCausalLM"])
    with pytest.raises(InputError, match="architecture that vLLM knows"):
        start(copied_model, vllm_settings)


def test_a_context_longer_than_the_model_takes_is_refused(
    chat_model: Path, vllm_settings: VLLMSettings
) -> None:
    with pytest.raises(InputError, match="1000000"):
        start(chat_model, vllm_settings.model_copy(update={"max_model_len": 1_000_000}))


def test_too_little_memory_is_named(
    chat_model: Path, vllm_settings: VLLMSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "100000")
    with pytest.raises(BackendError, match="memory"):
        start(chat_model, vllm_settings)
    assert not child_processes()
