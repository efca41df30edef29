from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from descriptors.generation import Answer, ChatMessage, FailureReason, FinishReason, RequestFailure
from descriptors.lm_forecast import CountedBy, forecast_lm
from descriptors.lm_proposer import LMProposer
from descriptors.proposer import GroupTexts
from descriptors.proposer_factory import BackEnd, ProposerContext, ProposerSpec
from descriptors.records import Group
from descriptors.response_store import ResponseStore, response_key
from descriptors.vllm_backend import VLLMGenerator, answer_of, prompt_tokens
from descriptors.vllm_engine import VLLMSettings, engine_arguments
from indexer.arrays import FloatArray
from indexer.errors import InputError
from tests.descriptors.lm_fixtures import chat_request, save_chat_model


class NoEncoder:
    """Stands where a context needs an encoder that nothing here asks."""

    name, fingerprint, dimension = "none", "none", 1

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        raise AssertionError("a text was to be embedded")

    def count_truncated(self, texts: Sequence[str]) -> int:
        raise AssertionError("texts were to be counted")


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
        "pipeline_parallel_size": 1,
        "distributed_executor_backend": None,
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
        distributed_executor_backend=st.sampled_from([None, "mp", "ray"]),
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
        {"distributed_executor_backend": "spark"},
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


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_chat_model(tmp_path_factory.mktemp("chat"))


@pytest.fixture
def folder(saved_model: Path, tmp_path: Path) -> Path:
    """A model that the test may change."""
    return Path(shutil.copytree(saved_model, tmp_path / "model"))


@pytest.fixture
def vllm_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say that vLLM is installed; whatever starts an engine or imports it fails."""

    def no_engine(*_: Any) -> Any:
        raise AssertionError("an engine was to start")

    monkeypatch.setattr("descriptors.vllm_backend.vllm_version", lambda model_id: "1.2.3")
    monkeypatch.setattr("descriptors.vllm_backend.start_engine", no_engine)


@pytest.mark.usefixtures("vllm_installed")
def test_prompts_are_counted_without_an_engine(folder: Path) -> None:
    generator = VLLMGenerator.load(str(folder))
    short, long = generator.count_prompt_tokens([chat_request("a"), chat_request("a" * 50)])
    assert 0 < short < long
    with pytest.raises(AssertionError, match="was to start"):
        list(generator.generate([chat_request("a")]))
    generator.close()


@pytest.mark.usefixtures("vllm_installed")
def test_a_plan_sees_stored_answers_without_an_engine(folder: Path, tmp_path: Path) -> None:
    spec = ProposerSpec(BackEnd.VLLM, str(folder))
    context = ProposerContext(NoEncoder(), responses=tmp_path / "store")
    groups = [
        GroupTexts(Group(id=str(n), source="test", rows=(n,)), (f"number {n} came late",))
        for n in range(6)
    ]
    generator = VLLMGenerator.load(str(folder))
    for request in LMProposer(generator).plan_requests(groups)[:2]:
        answer = Answer(
            text='{"descriptors": ["late parcel"]}',
            finish=FinishReason.STOP,
            prompt_tokens=generator.count_prompt_tokens([request])[0],
            completion_tokens=9,
        )
        store = ResponseStore(tmp_path / "store")
        store.write(response_key(generator.fingerprint, request), answer)
    told = forecast_lm(spec, groups, context)
    assert (told.requests, told.answered_from_store) == (4, 2)
    assert told.completion_tokens == 4 * 9
    assert told.counted_by is CountedBy.TOKENIZER


@pytest.mark.usefixtures("vllm_installed")
def test_the_fingerprint_follows_all_that_changes_answers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(**settings: Any) -> str:
        return VLLMGenerator.load(str(folder), VLLMSettings(**settings)).fingerprint

    plain = found()
    assert found() == plain
    assert found(gpu_memory_utilization=0.5, enforce_eager=True) == plain
    changed = {found(dtype="bfloat16"), found(quantization="awq"), found(max_model_len=64)}
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    changed.add(found())
    config = folder / "config.json"
    config.write_text(config.read_text() + " ")
    changed.add(found())
    monkeypatch.setattr("descriptors.vllm_backend.vllm_version", lambda model_id: "1.2.4")
    changed.add(found())
    assert len(changed - {plain}) == 6


@pytest.mark.usefixtures("vllm_installed")
@pytest.mark.parametrize("template", ["", "{{ raise_exception('no system messages') }}"])
def test_a_model_that_takes_no_chats_is_refused(folder: Path, template: str) -> None:
    path = folder / "chat_template.jinja"
    path.write_text(template)
    if not template:
        path.unlink()
    with pytest.raises(InputError, match="instruction-tuned model whose tokenizer"):
        VLLMGenerator.load(str(folder))


@pytest.mark.usefixtures("vllm_installed")
def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="no safetensors weights"):
        VLLMGenerator.load(str(folder))


@pytest.mark.usefixtures("vllm_installed")
def test_a_damaged_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match="tokenizer of model"):
        VLLMGenerator.load(str(folder))


@pytest.mark.usefixtures("vllm_installed")
@pytest.mark.parametrize("wrong", ["no-one/no-such-model", "/no/such/folder"])
def test_a_model_that_is_nowhere_is_refused(wrong: str) -> None:
    with pytest.raises(InputError, match="a local folder or a Hub id"):
        VLLMGenerator.load(wrong)


@pytest.mark.usefixtures("vllm_installed")
@pytest.mark.parametrize("revision", [None, "main"])
def test_a_model_of_the_hub_is_pinned_to_the_commit_its_branch_means(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: str | None
) -> None:
    # As the Hub's client lays out what it has downloaded.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    cached = tmp_path / "models--org--model"
    (cached / "refs").mkdir(parents=True)
    prints = []
    for commit in ("4f2a" * 10, "9b1c" * 10):
        shutil.copytree(folder, cached / "snapshots" / commit)
        (cached / "refs" / "main").write_text(commit)
        generator = VLLMGenerator.load("org/model", VLLMSettings(revision=revision))
        assert generator._arguments["model"] == "org/model"
        assert generator._arguments["revision"] == commit
        prints.append(generator.fingerprint)
    assert generator.name == "vllm:org/model"
    assert len(set(prints)) == 2
