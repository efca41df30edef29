"""From what the user writes to a proposer, and what a plan makes of one that asks an LM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from descriptors import proposer_factory
from descriptors.generation import Answer, FinishReason
from descriptors.keyphrase import KeyphraseProposer
from descriptors.lm_forecast import CountedBy, forecast_lm
from descriptors.lm_proposer import LMProposer
from descriptors.proposer import GroupTexts
from descriptors.proposer_factory import (
    BackEnd,
    ProposerContext,
    ProposerSpec,
    create_generator,
    create_proposer,
)
from descriptors.records import Group
from descriptors.response_store import ResponseStore, response_key
from indexer.arrays import FloatArray
from indexer.errors import InputError


@dataclass(frozen=True)
class OneDirection:
    """Every text has the same vector; enough to build a proposer."""

    name: str = "one direction"
    fingerprint: str = "one direction"
    dimension: int = 1

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        return np.ones((len(texts), 1), dtype=np.float32)

    def count_truncated(self, texts: Sequence[str]) -> int:
        return 0


CONTEXT = ProposerContext(OneDirection())
GROUPS = tuple(
    GroupTexts(Group(id=str(n), source="test", rows=(n,)), (f"the phone number {n} is late",))
    for n in range(20)
)


def test_keyphrase_is_built() -> None:
    proposer = create_proposer("keyphrase", CONTEXT)
    assert isinstance(proposer, KeyphraseProposer)
    assert proposer.name == "keyphrase"


def test_an_lm_is_built_under_the_name_it_was_asked_for() -> None:
    pytest.importorskip("openai")
    proposer = create_proposer("openai:llama3:8b", CONTEXT)
    assert isinstance(proposer, LMProposer)
    assert proposer.name == "openai:llama3:8b"


@pytest.mark.parametrize(
    "written", ["", "Keyphrase", "keyphrase:", "keyphrase:x", "embedded:x", "vllm", "vllm: ", "x:y"]
)
def test_another_proposer_is_refused_with_what_works(written: str) -> None:
    with pytest.raises(InputError, match=r"what works: embedded, keyphrase, transformers:ID, vllm"):
        ProposerSpec.parse(written)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(proposer_factory.REQUIRED_PACKAGES, BackEnd.VLLM, ("no_such_package",))
    with pytest.raises(InputError, match="pip install no_such_package"):
        ProposerSpec.parse("vllm:a/b")


def test_the_device_of_the_run_goes_where_none_is_set() -> None:
    context = ProposerContext(OneDirection(), device="cpu")
    generator = create_generator(ProposerSpec(BackEnd.TRANSFORMERS, "m"), context)
    assert generator.settings.device == "cpu"  # type: ignore[attr-defined]


def store_answers(store: Path, spec: ProposerSpec, text: str, n_answers: int) -> None:
    """Answer the first requests about `GROUPS`, prompts twice as long as estimated."""
    generator = create_generator(spec, CONTEXT)
    requests = LMProposer(generator).plan_requests(GROUPS)[:n_answers]
    for request, tokens in zip(requests, generator.count_prompt_tokens(requests), strict=True):
        answer = Answer(
            text=text, finish=FinishReason.STOP, prompt_tokens=2 * tokens, completion_tokens=50
        )
        ResponseStore(store).write(response_key(generator.fingerprint, request), answer)


def test_a_forecast_learns_from_stored_answers(tmp_path: Path) -> None:
    spec = ProposerSpec(BackEnd.OPENAI, "any")
    context = ProposerContext(OneDirection(), responses=tmp_path)
    guess = forecast_lm(spec, GROUPS, context)
    assert (guess.requests, guess.answered_from_store) == (20, 0)
    assert guess.counted_by is CountedBy.ESTIMATE
    store_answers(tmp_path, spec, '{"descriptors": ["delayed calls"]}', 8)
    told = forecast_lm(spec, GROUPS, context)
    assert (told.requests, told.second_attempts, told.answered_from_store) == (12, 0, 8)
    assert told.completion_tokens == 50 * 12
    assert told.prompt_tokens == pytest.approx(2 * guess.prompt_tokens * 12 / 20, rel=0.02)
    assert told.counted_by is CountedBy.STORED_ANSWERS
    assert (told.whole.requests, told.whole.completion_tokens) == (20, 50 * 20)
    assert told.whole.prompt_tokens == pytest.approx(2 * guess.prompt_tokens, rel=0.02)


def test_second_attempts_are_foreseen_as_often_as_stored_answers_were_bad(tmp_path: Path) -> None:
    spec = ProposerSpec(BackEnd.OPENAI, "any")
    context = ProposerContext(OneDirection(), responses=tmp_path)
    store_answers(tmp_path, spec, '{"descriptors": ["delayed calls"]}', 8)
    good = forecast_lm(spec, GROUPS, context)
    store_answers(tmp_path, spec, "no idea", 4)
    told = forecast_lm(spec, GROUPS, context)
    # Four of eight answers are to be asked for again, and so are six of the twelve to come.
    assert told.second_attempts == 4 + 6
    assert told.requests == good.requests + 10
    assert told.completion_tokens == good.completion_tokens + 10 * 50
    assert told.prompt_tokens > good.prompt_tokens * 22 / 12
    assert told.completion_tokens_at_most == 160 * (2 * 12 + 4)


def test_requests_that_fail_cost_no_tokens(tmp_path: Path) -> None:
    spec = ProposerSpec(BackEnd.OPENAI, "any")
    context = ProposerContext(OneDirection(), responses=tmp_path)
    answered = forecast_lm(spec, GROUPS, context)
    told = forecast_lm(spec, GROUPS, context, unanswered_share=0.25)
    assert told.requests == answered.requests
    assert told.prompt_tokens == pytest.approx(0.75 * answered.prompt_tokens, abs=1)
    assert told.completion_tokens == pytest.approx(0.75 * answered.completion_tokens, abs=1)
