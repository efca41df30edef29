"""vLLM serves a model that reads embeddings in place of tokens, as the embedded generator does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from descriptors.vllm_engine import VLLMSettings, engine_arguments, start_engine, stop_engine

pytest.importorskip("vllm", reason="vLLM is not installed; `make test-vllm` installs and runs it")

# What vLLM and what it imports deprecate is not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")

N_TOKENS = 12
PREFIX_LENGTHS = (1, 5, 16)


@pytest.fixture(scope="module")
def engine(chat_model: Path) -> Iterator[Any]:
    settings = VLLMSettings(dtype="float32", enforce_eager=True, enable_prefix_caching=False)
    arguments = engine_arguments(str(chat_model), settings)
    started = start_engine("tiny", arguments | {"enable_prompt_embeds": True})
    yield started
    stop_engine(started)


def prefixes(width: int) -> list[Any]:
    """Embeddings (`n_places, width`) that stand for no token."""
    import torch

    generator = torch.Generator().manual_seed(11)
    return [torch.randn(length, width, generator=generator) for length in PREFIX_LENGTHS]


def greedy_by_vllm(engine: Any, embeddings: list[Any]) -> list[list[int]]:
    """The tokens vLLM continues each prefix with."""
    from vllm import SamplingParams

    sampling = SamplingParams(temperature=0.0, max_tokens=N_TOKENS, ignore_eos=True)
    prompts = [{"prompt_embeds": prefix} for prefix in embeddings]
    outputs = engine.generate(prompts, sampling, use_tqdm=False)
    return [list(output.outputs[0].token_ids) for output in outputs]


def greedy_by_transformers(folder: Path, embeddings: list[Any]) -> list[list[int]]:
    """The tokens transformers continues each prefix with."""
    import torch
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    found = []
    for prefix in embeddings:
        tokens = model.generate(
            inputs_embeds=prefix[None],
            attention_mask=torch.ones(1, len(prefix), dtype=torch.long),
            do_sample=False,
            max_new_tokens=N_TOKENS,
            min_new_tokens=N_TOKENS,
            suppress_tokens=None,
            eos_token_id=None,
        )
        found.append(tokens[0].tolist())
    return found


def test_vllm_continues_embeddings_like_transformers(engine: Any, chat_model: Path) -> None:
    given = prefixes(engine.model_config.get_hidden_size())
    by_vllm = greedy_by_vllm(engine, given)
    assert by_vllm == greedy_by_transformers(chat_model, given)
    # Otherwise the prefixes would not have been read.
    assert len({tuple(tokens) for tokens in by_vllm}) > 1
