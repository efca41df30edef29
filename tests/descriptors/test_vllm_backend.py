from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from descriptors.generation import Answer, ChatMessage, FailureReason, FinishReason, RequestFailure
from descriptors.vllm_backend import VLLMGenerator, answer_of, prompt_tokens
from descriptors.vllm_engine import VLLMSettings, engine_arguments
from indexer.errors import InputError


def finished(reason: str | None, n_prompt: int = 7, n_completion: int = 3) -> Any:
    """What vLLM gives back for one request, as far as we read it."""
    completion = SimpleNamespace(
        text="{}", finish_reason=reason, token_ids=list(range(n_completion))
    )
    return SimpleNamespace(outputs=[completion], prompt_token_ids=list(range(n_prompt)))


def test_default_engine_takes_safetensors_only_and_runs_no_code_of_the_model() -> None:
    assert engine_arguments("org/model", VLLMSettings()) == {
        "model": "org/model",
        "load_format": "safetensors",
        "trust_remote_code": False,
        "tensor_parallel_size": 1,
        "gpu_memory_utilization": 0.9,
        "max_model_len": None,
        "dtype": "auto",
        "quantization": None,
        "enforce_eager": False,
        "enable_prefix_caching": True,
        "seed": 0,
        "revision": None,
    }


@given(
    st.builds(
        VLLMSettings,
        tensor_parallel_size=st.integers(1, 64),
        gpu_memory_utilization=st.floats(0.01, 1.0),
        max_model_len=st.none() | st.integers(1, 10**6),
        quantization=st.none() | st.sampled_from(["awq", "gptq", "fp8"]),
        seed=st.integers(0, 2**31),
    )
)
def test_every_setting_reaches_the_engine(settings: VLLMSettings) -> None:
    arguments = engine_arguments("m", settings)
    assert {name: arguments[name] for name in VLLMSettings.model_fields} == settings.model_dump()


@pytest.mark.parametrize(
    "wrong",
    [
        {"tensor_parallel_size": 0},
        {"gpu_memory_utilization": 1.5},
        {"max_model_len": 0},
        {"dtype": "int3"},
        {"trust_remote_code": True},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        VLLMSettings.model_validate(wrong)


@pytest.mark.parametrize(
    ("reason", "finish"), [("stop", FinishReason.STOP), ("length", FinishReason.LENGTH)]
)
def test_an_answer_carries_its_tokens_and_its_end(reason: str, finish: FinishReason) -> None:
    expected = Answer(text="{}", finish=finish, prompt_tokens=7, completion_tokens=3)
    assert answer_of(finished(reason)) == expected


@pytest.mark.parametrize("reason", ["abort", "error", "repetition", None])
def test_an_answer_the_engine_gave_up_is_a_failure(reason: str | None) -> None:
    outcome = answer_of(finished(reason))
    assert isinstance(outcome, RequestFailure)
    assert outcome.reason is FailureReason.CUT_OFF
    assert repr(reason) in outcome.message


def test_the_chat_goes_through_the_models_template() -> None:
    seen: list[Any] = []

    def apply_chat_template(chat: list[dict[str, str]], **options: Any) -> list[int]:
        seen.append((chat, options))
        return [1, 2, 3]

    tokenizer = SimpleNamespace(apply_chat_template=apply_chat_template)
    assert prompt_tokens(tokenizer, [ChatMessage(role="user", content="hello")]) == [1, 2, 3]
    [(chat, options)] = seen
    assert chat == [{"role": "user", "content": "hello"}]
    assert options["add_generation_prompt"] is True
    assert options["enable_thinking"] is False


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed")
def test_without_vllm_the_message_says_how_to_get_it() -> None:
    with pytest.raises(InputError, match=r"pip install 'neuroscribe\[vllm\]'"):
        VLLMGenerator.load("org/model")


def test_a_folder_without_safetensors_is_refused_before_vllm_starts(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(InputError, match="no safetensors weights"):
        VLLMGenerator.load(str(tmp_path))
