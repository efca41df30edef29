from __future__ import annotations

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from descriptors.budget import Budget, Spending, fits
from descriptors.generation import Answer, ChatMessage, ChatRequest, FinishReason
from descriptors.openai_backend import OpenAIGenerator, OpenAISettings
from descriptors.openai_dialect import AnswerFormat, Dialect
from descriptors.token_estimate import estimate_prompt_tokens, estimate_tokens
from indexer.errors import BackendError, InputError
from tests.descriptors.lm_fixtures import (
    MODEL,
    SCHEMA,
    Asked,
    ChatServer,
    Reply,
    chat_request,
    chat_server,
    completion,
    failure,
)


def generator_for(server: ChatServer, **settings: object) -> OpenAIGenerator:
    given_settings = {"base_url": server.base_url, "maximum_retries": 2, **settings}
    return OpenAIGenerator(MODEL, OpenAISettings.model_validate(given_settings))


def echo(asked: Asked) -> Reply:
    return Reply(body=completion(json.dumps({"descriptors": [asked.text]})))


def test_each_answer_comes_with_the_position_of_its_request() -> None:
    requests = [chat_request(f"group {number}") for number in range(20)]
    with chat_server(echo) as server:
        outcomes = dict(generator_for(server).generate(requests))
    assert sorted(outcomes) == list(range(20))
    for position, outcome in outcomes.items():
        assert isinstance(outcome, Answer)
        assert json.loads(outcome.text) == {"descriptors": [f"group {position}"]}
        assert (outcome.prompt_tokens, outcome.completion_tokens) == (20, 7)


def test_the_request_carries_schema_sampling_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")
    with chat_server() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        request = chat_request("late", temperature=0.5, top_p=0.9, seed=3)
        settings = OpenAISettings(extra_body={"reasoning_effort": "low"})
        list(OpenAIGenerator(MODEL, settings).generate([request]))
    (asked,) = server.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.key == "Bearer sesame"
    assert asked.body == {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "Answer in JSON."},
            {"role": "user", "content": "late"},
        ],
        "max_tokens": 160,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
        },
        "reasoning_effort": "low",
    }


def test_a_server_without_keys_is_given_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with chat_server() as server:
        list(generator_for(server).generate([chat_request()]))
    assert server.asked[0].key == "Bearer EMPTY"


def test_requests_run_side_by_side_but_never_more_than_allowed() -> None:
    together = threading.Barrier(3)

    def in_threes(asked: Asked) -> Reply:
        # Passes only when three requests are there at once.
        together.wait(timeout=20)
        return echo(asked)

    with chat_server(in_threes) as server:
        outcomes = list(generator_for(server, concurrency=3).generate([chat_request()] * 12))
    assert len(outcomes) == 12
    assert server.most_running == 3


def test_an_answer_is_handed_over_while_others_are_under_way() -> None:
    may_end = threading.Event()

    def last_waits(asked: Asked) -> Reply:
        if asked.text == "slow":
            assert may_end.wait(timeout=20)
        return echo(asked)

    with chat_server(last_waits) as server:
        outcomes = generator_for(server).generate([chat_request("slow"), chat_request("quick")])
        assert next(outcomes)[0] == 1
        may_end.set()
        assert next(outcomes)[0] == 0


def test_a_caller_may_stop_listening() -> None:
    with chat_server() as server:
        generator = generator_for(server, concurrency=2)
        outcomes = generator.generate([chat_request()] * 50)
        next(outcomes)
        outcomes.close()  # type: ignore[attr-defined]
        assert len(server.asked) <= 4
        assert generator.spending.requests <= 4


@pytest.mark.parametrize(
    ("body", "finish", "text"),
    [
        (completion("[1"), FinishReason.STOP, "[1"),
        (completion("[1", finish="length"), FinishReason.LENGTH, "[1"),
        (completion("", finish="content_filter"), FinishReason.REFUSED, ""),
        (
            completion(None, refusal="I would rather not"),
            FinishReason.REFUSED,
            "I would rather not",
        ),
        (completion(None), FinishReason.STOP, ""),
        (completion("x", finish=None), FinishReason.STOP, "x"),
    ],
    ids=["stop", "length", "filtered", "refused", "empty", "no reason"],
)
def test_how_an_answer_ended(body: object, finish: FinishReason, text: str) -> None:
    with chat_server(lambda asked: Reply(body=body)) as server:
        ((_, answer),) = generator_for(server).generate([chat_request()])
    assert isinstance(answer, Answer)
    assert (answer.finish, answer.text) == (finish, text)


def test_tokens_nobody_counted_are_estimated_and_said_to_be(
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = {**completion("abcdefgh"), "usage": None}
    request = chat_request("what?")
    with chat_server(lambda asked: Reply(body=body)) as server:
        outcomes = list(generator_for(server).generate([request] * 3))
    for _, answer in outcomes:
        assert isinstance(answer, Answer)
        assert answer.prompt_tokens == estimate_prompt_tokens(request)
        assert answer.completion_tokens == 2
    assert [record.message for record in caplog.records if "estimated" in record.message] == [
        f"{server.base_url} does not count tokens; those of its answers are estimated"
    ]


def test_a_rejected_answer_format_is_loosened_once_and_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def only_objects(asked: Asked) -> Reply:
        if asked.body["response_format"]["type"] == "json_schema":
            return failure(400, "'response_format.type' must be 'json_object'")
        return echo(asked)

    with chat_server(only_objects) as server:
        generator = generator_for(server, concurrency=4)
        first = list(generator.generate([chat_request()] * 8))
        n_asked = len(server.asked)
        second = list(generator.generate([chat_request()] * 8))
    assert all(isinstance(outcome, Answer) for _, outcome in first + second)
    assert len(server.asked) == n_asked + 8, "the second round knows what the server takes"
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "json_object instead of json_schema" in warnings[0]


def test_a_server_may_take_no_answer_format_at_all_and_want_other_parameters() -> None:
    def picky(asked: Asked) -> Reply:
        if "max_tokens" in asked.body:
            return failure(400, "'max_tokens' is not supported, use 'max_completion_tokens'")
        if "temperature" in asked.body:
            return failure(400, "only 1", param="temperature", code="unsupported_value")
        if "response_format" in asked.body:
            return failure(422, "unknown field response_format")
        return echo(asked)

    with chat_server(picky) as server:
        ((_, answer),) = generator_for(server).generate([chat_request()])
    assert isinstance(answer, Answer)
    assert server.asked[-1].body["max_completion_tokens"] == 160
    assert {"temperature", "response_format"}.isdisjoint(server.asked[-1].body)


def test_what_a_dialect_gives_up_is_said() -> None:
    strict = Dialect()
    assert "more of them may not fit" in strict.difference(Dialect(AnswerFormat.OBJECT))
    assert "without seed" in strict.difference(Dialect(omitted=frozenset({"seed"})))


def test_no_request_goes_over_the_budget_of_requests() -> None:
    with chat_server(echo) as server:
        generator = generator_for(server, budget={"max_requests": 5}, concurrency=3)
        outcomes = generator.generate([chat_request()] * 9)
        answered = [next(outcomes) for _ in range(5)]
        with pytest.raises(BackendError, match=r"5 requests and 135 tokens.*4 requests are left"):
            next(outcomes)
        assert len(server.asked) == len(answered) == 5
        with pytest.raises(BackendError, match="larger budget"):
            list(generator.generate([chat_request()]))
    assert len(server.asked) == 5, "the budget holds for all calls together"


def test_tokens_stay_within_their_budget_and_use_it_well() -> None:
    request = chat_request("x", maximum_completion_tokens=50)
    with chat_server(echo) as server:
        generator = generator_for(server, budget={"max_tokens": 300}, concurrency=8)
        outcomes = []
        with pytest.raises(BackendError, match="max_tokens 300"):
            outcomes.extend(generator.generate([request] * 40))
    expected_cost = estimate_prompt_tokens(request) + 50
    assert generator.spending.tokens <= 300
    assert generator.spending.tokens > 300 - expected_cost
    assert generator.spending.requests == len(server.asked) == generator.spending.tokens // 27


def test_a_budget_that_suffices_goes_unnoticed() -> None:
    with chat_server(echo) as server:
        generator = generator_for(server, budget={"max_requests": 4, "max_tokens": 10_000})
        assert len(list(generator.generate([chat_request()] * 4))) == 4
    assert generator.spending == Spending(requests=4, tokens=108)


@given(st.integers(0, 10), st.integers(0, 10), st.integers(1, 10), st.integers(1, 10))
def test_a_budget_bounds_both(requests: int, tokens: int, most: int, most_tokens: int) -> None:
    spending = Spending(requests, tokens)
    assert fits(Budget(), spending)
    assert fits(Budget(max_requests=most, max_tokens=most_tokens), spending) == (
        requests <= most and tokens <= most_tokens
    )


def test_the_fingerprint_tells_models_and_servers_apart_but_not_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def print_of(model: str, url: str, key: str, **settings: object) -> str:
        monkeypatch.setenv("OPENAI_API_KEY", key)
        given_settings = OpenAISettings.model_validate({"base_url": url, **settings})
        return OpenAIGenerator(model, given_settings).fingerprint

    one = print_of("a", "http://one/v1", "k")
    assert one == print_of("a", "http://one/v1/", "other", concurrency=3)
    assert one == print_of("a", "http://user:secret@one/v1?key=secret", "k")
    assert one != print_of("b", "http://one/v1", "k")
    assert one != print_of("a", "http://two/v1", "k")
    assert one != print_of("a", "http://one/v1", "k", extra_body={"x": 1})


def test_the_name_is_as_the_user_writes_it() -> None:
    assert OpenAIGenerator("org/model").name == "openai:org/model"


def test_an_address_without_protocol_is_turned_down() -> None:
    with pytest.raises(InputError, match="localhost:8000"):
        OpenAIGenerator(MODEL, OpenAISettings(base_url="localhost:8000/v1"))


@given(st.text(max_size=200), st.text(max_size=200))
def test_longer_texts_are_never_estimated_shorter(text: str, more: str) -> None:
    assert estimate_tokens(text) <= estimate_tokens(text + more)
    assert estimate_tokens(text) <= len(text.encode()) or not text


def test_the_estimate_counts_every_message() -> None:
    one = ChatRequest(messages=(ChatMessage(role="user", content="a" * 40),), json_schema={})
    assert estimate_prompt_tokens(one) == 10 + 4 + 3
    two = one.model_copy(update={"messages": one.messages * 2})
    assert OpenAIGenerator(MODEL).count_prompt_tokens([one, two]) == [17, 31]
