"""A tiny chat model for the engine, and what the proposer asks it."""

from __future__ import annotations

import os

# Before anything imports vLLM; the model is tiny and so is what it keeps.
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")

from pathlib import Path

import pytest

from benchmarks.tiny_llama import save_tiny_llama


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Llama that has learnt to answer with phrases as JSON."""
    folder = tmp_path_factory.mktemp("tiny-llama")
    save_tiny_llama(folder)
    return folder
