from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from descriptors.answering import AnswerSource
from descriptors.generation import (
    Answer,
    ChatMessage,
    ChatRequest,
    FailureReason,
    FinishReason,
    RequestFailure,
    SamplingSettings,
)
from descriptors.response_store import ResponseStore
from indexer.errors import BackendError

FAILURE = RequestFailure(reason=FailureReason.SERVER_FAILED, message="500")


class Echo:
    """Answers with the last message, last request first; fails, or stops, where told to."""

    name = "fake:echo"

    def __init__(
        self, fingerprint: str = "echo-1", failing: str = "", stop_after: int | None = None
    ) -> None:
        self.fingerprint = fingerprint
        self.sent: list[str] = []
        self._failing = failing
        self._stop_after = stop_after

    def generate(
        self, requests: Sequence[ChatRequest], *, progress: bool = False
    ) -> Iterator[tuple[int, Answer | RequestFailure]]:
        for position in list(reversed(range(len(requests))))[: self._stop_after]:
            text = requests[position].messages[-1].content
            self.sent.append(text)
            yield position, FAILURE if text == self._failing else answer(text)

    def count_prompt_tokens(self, requests: Sequence[ChatRequest]) -> list[int]:
        return [1] * len(requests)


def answer(text: str) -> Answer:
    return Answer(text=text, finish=FinishReason.STOP, prompt_tokens=10, completion_tokens=3)


def asking(*texts: str, seed: int = 0) -> list[ChatRequest]:
    sampling = SamplingSettings(seed=seed)
    return [
        ChatRequest(
            messages=(ChatMessage(role="user", content=text),), json_schema={}, sampling=sampling
        )
        for text in texts
    ]


def test_each_request_has_its_answer_and_equal_ones_are_sent_once() -> None:
    generator = Echo()
    source = AnswerSource(generator, None)
    assert source.ask(asking("a", "b", "a")) == [answer("a"), answer("b"), answer("a")]
    assert sorted(generator.sent) == ["a", "b"]
    assert (source.requests, source.prompt_tokens, source.completion_tokens) == (2, 20, 6)


def test_nothing_to_ask_reaches_no_lm() -> None:
    generator = Echo()
    assert AnswerSource(generator, None).ask([]) == []
    assert generator.sent == []


def test_only_what_the_store_does_not_hold_is_sent_and_all_answers_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    AnswerSource(Echo(), ResponseStore(tmp_path)).ask(asking("a", "b"))
    generator = Echo()
    source = AnswerSource(generator, ResponseStore(tmp_path))
    assert source.missing(asking("a", "c", "b", "c")) == asking("c")
    with caplog.at_level(logging.INFO):
        assert source.ask(asking("a", "c", "b")) == [answer("a"), answer("c"), answer("b")]
    assert generator.sent == ["c"]
    assert (source.requests, source.prompt_tokens, source.completion_tokens) == (3, 30, 9)
    assert "fake:echo: 2 of 3 requests were answered before" in caplog.text


@pytest.mark.parametrize(("fingerprint", "seed"), [("echo-2", 0), ("echo-1", 1)])
def test_another_lm_or_other_sampling_is_asked_again(
    tmp_path: Path, fingerprint: str, seed: int
) -> None:
    AnswerSource(Echo(), ResponseStore(tmp_path)).ask(asking("a"))
    generator = Echo(fingerprint)
    AnswerSource(generator, ResponseStore(tmp_path)).ask(asking("a", seed=seed))
    assert generator.sent == ["a"]


def test_a_request_without_an_answer_is_counted_and_not_stored(tmp_path: Path) -> None:
    source = AnswerSource(Echo(failing="b"), ResponseStore(tmp_path))
    assert source.ask(asking("a", "b")) == [answer("a"), FAILURE]
    assert source.failures == {"server_failed": 1}
    assert source.prompt_tokens == 10
    assert source.missing(asking("a", "b")) == asking("b")


def test_a_back_end_that_stops_early_is_an_error_and_its_answers_are_kept(tmp_path: Path) -> None:
    source = AnswerSource(Echo(stop_after=2), ResponseStore(tmp_path))
    with pytest.raises(BackendError, match="2 of 3 requests"):
        source.ask(asking("a", "b", "c"))
    assert source.missing(asking("a", "b", "c")) == asking("a")


def test_damaged_answers_are_sent_for_again(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path)
    AnswerSource(Echo(), store).ask(asking("a", "b"))
    sorted(tmp_path.rglob("*.json"))[0].write_text("{")
    generator = Echo()
    source = AnswerSource(generator, store)
    assert source.ask(asking("a", "b")) == [answer("a"), answer("b")]
    assert (len(generator.sent), source.prompt_tokens) == (1, 20)
    assert AnswerSource(generator, store).missing(asking("a", "b")) == []
