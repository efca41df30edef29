"""Engines that do not start, die, or are left behind."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tiny_llama import example_requests
from descriptors.generation import Answer, SamplingSettings
from descriptors.vllm_backend import VLLMGenerator
from descriptors.vllm_engine import VLLMSettings
from indexer.errors import BackendError, InputError

pytest.importorskip("vllm", reason="vLLM is not installed; `make test-vllm` installs and runs it")
psutil = pytest.importorskip("psutil")

# What vLLM and what it imports deprecate is not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")

SETTINGS = VLLMSettings(dtype="float32", enforce_eager=True)


def processes() -> set[int]:
    """This process's living descendants; the tracker of shared memory belongs to Python."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "resource_tracker" not in " ".join(child.cmdline()):
                found.add(child.pid)
    return found


@pytest.fixture
def copied_model(chat_model: Path, tmp_path: Path) -> Path:
    """A copy of the model whose files a test may change."""
    return Path(shutil.copytree(chat_model, tmp_path / "model"))


def change_configuration(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_engine_that_dies_keeps_what_it_answered(chat_model: Path) -> None:
    before = processes()
    requests = example_requests(SamplingSettings()) * 40
    with VLLMGenerator.load(str(chat_model), SETTINGS) as generator:
        stream = generator.generate(requests)
        _, first = next(stream)
        for process in processes() - before:
            # A worker ends by itself when its engine does, perhaps before its turn here.
            with suppress(psutil.NoSuchProcess):
                psutil.Process(process).kill()
        with pytest.raises(BackendError, match="died") as raised:
            list(stream)
    generator.close()
    assert isinstance(first, Answer)
    assert generator.name in str(raised.value)
    assert processes() == before


def test_a_model_without_a_chat_template_is_refused(copied_model: Path) -> None:
    before = processes()
    (copied_model / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="instruction-tuned"):
        VLLMGenerator.load(str(copied_model), SETTINGS)
    assert processes() == before


def test_an_unknown_architecture_is_refused(copied_model: Path) -> None:
    change_configuration(copied_model, architectures=["NoSuchForCausalLM"], model_type="no_such")
    with pytest.raises(InputError, match="architecture that vLLM knows"):
        VLLMGenerator.load(str(copied_model), SETTINGS)


def test_a_model_that_is_nowhere_is_refused() -> None:
    with pytest.raises(InputError, match="a local folder or a Hub id"):
        VLLMGenerator.load("no-one/no-such-model", SETTINGS)


def test_pickled_weights_are_refused(copied_model: Path) -> None:
    (copied_model / "model.safetensors").rename(copied_model / "pytorch_model.bin")
    with pytest.raises(InputError, match="no safetensors weights"):
        VLLMGenerator.load(str(copied_model), SETTINGS)


def test_a_context_longer_than_the_model_takes_is_refused(chat_model: Path) -> None:
    settings = SETTINGS.model_copy(update={"max_model_len": 1_000_000})
    with pytest.raises(InputError, match="1000000"):
        VLLMGenerator.load(str(chat_model), settings)


def test_too_little_memory_is_named(chat_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "100000")
    before = processes()
    with pytest.raises(BackendError, match="memory"):
        VLLMGenerator.load(str(chat_model), SETTINGS)
    assert processes() == before
