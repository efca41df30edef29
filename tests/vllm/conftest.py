"""A tiny chat model, the `vllm:` back end on it, and what runs because of it."""

from __future__ import annotations

import os

# Before anything imports vLLM; the model is tiny and so is what it keeps.
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.tiny_llama import save_tiny_llama
from descriptors.vllm_backend import VLLMGenerator
from descriptors.vllm_engine import VLLMSettings


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Llama that has learnt to answer with phrases as JSON."""
    folder = tmp_path_factory.mktemp("tiny-llama")
    save_tiny_llama(folder)
    return folder


@pytest.fixture(scope="session")
def vllm_settings() -> VLLMSettings:
    """Settings with which an engine starts soon and answers to the last bit alike."""
    return VLLMSettings(dtype="float32", enforce_eager=True)


@pytest.fixture(scope="module")
def generator(chat_model: Path, vllm_settings: VLLMSettings) -> Iterator[VLLMGenerator]:
    """The back end; its engine starts with the first answer and again after a test closed it."""
    loaded = VLLMGenerator.load(str(chat_model), vllm_settings)
    yield loaded
    loaded.close()
