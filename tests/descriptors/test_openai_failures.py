from __future__ import annotations

import socket
from itertools import count
from typing import Any

import pytest

from descriptors.generation import Answer, FailureReason, RequestFailure
from descriptors.openai_backend import OpenAIGenerator, OpenAISettings
from indexer.errors import BackendError
from tests.descriptors.lm_fixtures import (
    MODEL,
    Asked,
    ChatServer,
    Reply,
    chat_request,
    chat_server,
    completion,
    failure,
)


def generator_for(server: ChatServer, retries: int = 2, **settings: Any) -> OpenAIGenerator:
    chosen = OpenAISettings(base_url=server.base_url, maximum_retries=retries, **settings)
    return OpenAIGenerator(MODEL, chosen)


def reply_then(*first: Reply) -> Any:
    """Sends the given replies one after the other, then proper ones."""
    numbers = count()

    def behaviour(asked: Asked) -> Reply:
        number = next(numbers)
        return first[number] if number < len(first) else Reply(body=completion())

    return behaviour


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_what_passes_is_tried_again(status: int) -> None:
    with chat_server(reply_then(failure(status), failure(status))) as server:
        ((_, answer),) = generator_for(server).generate([chat_request()])
    assert isinstance(answer, Answer)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (failure(400, "no"), FailureReason.REJECTED),
        (failure(422, "no"), FailureReason.REJECTED),
        (
            failure(400, "the rest is too long", code="context_length_exceeded"),
            FailureReason.CONTEXT_OVERFLOW,
        ),
        (
            failure(400, "This model's maximum context length is 64 tokens, max_tokens is 160"),
            FailureReason.CONTEXT_OVERFLOW,
        ),
        (
            failure(400, "the request exceeds the available context size"),
            FailureReason.CONTEXT_OVERFLOW,
        ),
        (Reply(body=b'{"choices": [{"mess'), FailureReason.CUT_OFF),
        (Reply(body=b""), FailureReason.CUT_OFF),
        (Reply(body=b"<p>hello", headers=(("Content-Type", "text/html"),)), FailureReason.CUT_OFF),
        (Reply(body={"choices": [{"message": 3}]}), FailureReason.CUT_OFF),
        (Reply(body=completion("{", finish="abort")), FailureReason.CUT_OFF),
        (Reply(body=completion(usage={"prompt_tokens": -1})), FailureReason.CUT_OFF),
        (Reply(body={**completion(), "choices": []}), FailureReason.SERVER_FAILED),
    ],
    ids=[
        "rejected",
        "unprocessable",
        "overflow code",
        "overflow vllm",
        "overflow llama.cpp",
        "half a body",
        "no body",
        "a page",
        "another shape",
        "aborted",
        "negative usage",
        "no choices",
    ],
)
def test_a_failure_of_one_request_is_its_outcome(reply: Reply, reason: FailureReason) -> None:
    with chat_server(reply_then(reply)) as server:
        requests = [chat_request()] * 3
        outcomes = dict(generator_for(server, concurrency=1).generate(requests))
    assert isinstance(outcomes[0], RequestFailure)
    assert outcomes[0].reason is reason
    assert isinstance(outcomes[1], Answer)
    assert isinstance(outcomes[2], Answer)
    assert len(server.asked) == 3, "what cannot get better is not asked again"


def test_a_connection_cut_in_the_body_is_tried_again_then_told() -> None:
    cut = Reply(body=completion(), sent_share=0.5)
    with chat_server(reply_then(cut, cut)) as server:
        generator = generator_for(server, retries=1, concurrency=1)
        outcomes = dict(generator.generate([chat_request()] * 2))
    assert isinstance(outcomes[0], RequestFailure)
    assert outcomes[0].reason is FailureReason.CUT_OFF
    assert "broke before the answer was complete" in outcomes[0].message
    assert isinstance(outcomes[1], Answer)
    assert len(server.asked) == 3


def test_a_server_that_takes_too_long_fails_the_request() -> None:
    slow = Reply(body=completion(), delay_seconds=1.0)
    with chat_server(reply_then(slow)) as server:
        generator = generator_for(server, retries=0, timeout_seconds=0.1)
        ((_, outcome),) = generator.generate([chat_request()])
    assert isinstance(outcome, RequestFailure)
    assert outcome.reason is FailureReason.SERVER_FAILED


@pytest.mark.parametrize("status", [429, 500])
def test_a_storm_ends_the_round_and_keeps_what_was_answered(status: int) -> None:
    def stormy(asked: Asked) -> Reply:
        return Reply(body=completion()) if asked.text == "fine" else failure(status, "busy")

    requests = [chat_request("fine")] * 4 + [chat_request("storm")] * 40
    with chat_server(stormy) as server:
        outcomes: list[tuple[int, Answer | RequestFailure]] = []
        storm = generator_for(server, retries=1, concurrency=2).generate(requests)
        with pytest.raises(BackendError, match="keeps failing: 5 requests") as raised:
            outcomes.extend(storm)
    assert "busy" in str(raised.value)
    answered = {position for position, outcome in outcomes if isinstance(outcome, Answer)}
    assert answered == {0, 1, 2, 3}
    failures = [outcome for _, outcome in outcomes if isinstance(outcome, RequestFailure)]
    assert {outcome.reason for outcome in failures} == {FailureReason.SERVER_FAILED}
    assert 5 <= len(failures) <= 6
    assert len(server.asked) == 4 + 2 * len(failures)


def test_scattered_failures_do_not_end_the_round() -> None:
    numbers = count()

    def every_third(asked: Asked) -> Reply:
        return Reply(body=completion()) if next(numbers) % 3 == 2 else failure(500)

    with chat_server(every_third) as server:
        generator = generator_for(server, retries=0, concurrency=1)
        outcomes = [outcome for _, outcome in generator.generate([chat_request()] * 30)]
    assert sum(isinstance(outcome, Answer) for outcome in outcomes) == 10


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_is_an_error_that_does_not_show_the_key(
    status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    with chat_server(lambda asked: failure(status, f"bad key {asked.key}")) as server:
        generator = generator_for(server)
        with pytest.raises(BackendError, match="OPENAI_API_KEY") as raised:
            list(generator.generate([chat_request()] * 9))
    assert str(status) in str(raised.value)
    shown = str(raised.value) + caplog.text + generator.fingerprint + repr(vars(generator))
    assert "very-secret" not in shown
    assert len(server.asked) <= 8, "no retries, and nothing is started after the first"


def test_a_key_refused_mid_way_keeps_the_answers_before_it() -> None:
    ok = Reply(body=completion())
    with chat_server(reply_then(ok, ok, ok, failure(401))) as server:
        outcomes = generator_for(server, concurrency=1).generate([chat_request()] * 9)
        assert [position for position, _ in (next(outcomes) for _ in range(3))] == [0, 1, 2]
        with pytest.raises(BackendError):
            next(outcomes)


def test_answers_under_way_are_handed_over_before_an_error() -> None:
    def one_refused(asked: Asked) -> Reply:
        if asked.text == "refused":
            return failure(401)
        return Reply(body=completion(), delay_seconds=0.3)

    requests = [chat_request("refused"), *[chat_request("paid")] * 3, chat_request("not asked")]
    with chat_server(one_refused) as server:
        outcomes = generator_for(server, concurrency=4).generate(requests)
        answered = [next(outcomes) for _ in range(3)]
        with pytest.raises(BackendError):
            next(outcomes)
    assert sorted(position for position, _ in answered) == [1, 2, 3]
    assert "not asked" not in {asked.text for asked in server.asked}


@pytest.mark.parametrize(
    "reply", [failure(402), failure(429, "pay", code="insufficient_quota")], ids=["402", "quota"]
)
def test_an_empty_account_is_an_error(reply: Reply) -> None:
    with (
        chat_server(lambda asked: reply) as server,
        pytest.raises(BackendError, match="nothing left to spend"),
    ):
        list(generator_for(server).generate([chat_request()]))


def test_an_unknown_model_is_answered_with_those_there_are() -> None:
    with chat_server(lambda asked: failure(404)) as server:
        generator = OpenAIGenerator("big-chat", OpenAISettings(base_url=server.base_url))
        with pytest.raises(BackendError, match=f"'big-chat'; it offers: {MODEL}"):
            list(generator.generate([chat_request()]))
        with pytest.raises(BackendError, match="does not chat with it"):
            list(generator_for(server).generate([chat_request()]))


def test_an_address_of_something_else_is_told() -> None:
    with chat_server(lambda asked: failure(404)) as server:
        elsewhere = OpenAISettings(base_url=server.base_url.replace("/v1", "/elsewhere"))
        generator = OpenAIGenerator(MODEL, elsewhere)
        with pytest.raises(BackendError, match="usually ends with /v1"):
            list(generator.generate([chat_request()]))


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_no_server_is_told_with_how_to_start_one(host: str) -> None:
    with socket.socket() as taken:
        # Bound but not listening: nothing can answer here.
        taken.bind(("127.0.0.1", 0))
        url = f"http://user:secret@{host}:{taken.getsockname()[1]}/v1"
        settings = OpenAISettings(base_url=url, maximum_retries=0)
        with pytest.raises(BackendError, match="vllm serve small-chat") as raised:
            list(OpenAIGenerator(MODEL, settings).generate([chat_request()] * 3))
    assert host in str(raised.value)
    assert "secret" not in str(raised.value)
