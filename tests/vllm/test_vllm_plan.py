"""A plan of a run whose LM is in a vLLM engine comes true."""

from __future__ import annotations

from pathlib import Path

import pytest

from descriptors.vllm_engine import VLLMSettings
from service.generation_usage import read_usage
from service.pipeline import run_pipeline
from service.plan import plan_run
from service.settings import RunSettings

pytest.importorskip("vllm", reason="vLLM is not installed; `make test-vllm` installs and runs it")

PILOT = 24


def test_a_pilot_foretells_what_the_run_takes(
    chat_model: Path, vllm_settings: VLLMSettings, tmp_path: Path
) -> None:
    proposer = f"vllm:{chat_model}"
    settings = RunSettings.model_validate(
        {
            "corpus": "sample",
            "reading": {"limit": 600},
            "device": "cpu",
            "proposers": (proposer,),
            "generation": {
                "vllm": vllm_settings.model_dump(),
                # So small a model does not always find an end.
                "sampling": {"maximum_completion_tokens": 60},
            },
        }
    )
    plan = plan_run(settings, tmp_path, pilot=PILOT)
    [planned] = plan.proposers
    assert planned.lm is not None
    assert planned.pilot is not None
    assert planned.pilot.sent == planned.pilot.usage.requests >= PILOT
    assert planned.lm.answered_from_store == planned.pilot.usage.requests
    assert planned.minutes is not None
    summary = run_pipeline(settings, tmp_path, until="propose")
    found = summary.results["propose"]
    usage, whole = read_usage(found)[proposer], planned.lm.whole
    assert summary.reused == ("corpus", "embed", "index", "extract")
    assert found["groups"] == planned.groups > PILOT
    assert usage.requests == pytest.approx(whole.requests, rel=0.2)
    assert usage.prompt_tokens == pytest.approx(whole.prompt_tokens, rel=0.2)
    assert usage.completion_tokens == pytest.approx(whole.completion_tokens, rel=0.2)
