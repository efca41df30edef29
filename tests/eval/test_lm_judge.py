"""An LM as a judge, at a real server on loopback that answers as told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from descriptors.generation import Answer, FinishReason
from descriptors.openai_backend import OpenAIGenerator, OpenAISettings
from descriptors.replies import ReplyProblem
from descriptors.response_store import ResponseStore
from eval.judges import Highlight, HighlightQuestion, TextQuestion, Unanswered, WordQuestion
from eval.lm_judge import LMJudge
from eval.lm_judge_replies import read_scores, read_words
from indexer.errors import BackendError
from tests.descriptors.lm_fixtures import (
    MODEL,
    Asked,
    ChatServer,
    Reply,
    chat_server,
    completion,
    failure,
)
from tests.eval.test_lm_judge_prompts import worded

pytest.importorskip("openai")

TEXTS = tuple(f"text {number} about {'cards' if number % 3 else 'pets'}" for number in range(7))
QUESTIONS = [TextQuestion("cards", TEXTS), TextQuestion("pets", TEXTS[:2])]


def judge_at(server: ChatServer, store: Path | None, texts_per_request: int = 3) -> LMJudge:
    settings = OpenAISettings(base_url=server.base_url, maximum_retries=0)
    return LMJudge(
        OpenAIGenerator(MODEL, settings),
        None if store is None else ResponseStore(store),
        texts_per_request=texts_per_request,
    )


def question_of(asked: Asked) -> dict[str, Any]:
    """The JSON of a first attempt."""
    content = asked.body["messages"][1]["content"]
    found: dict[str, Any]
    found, _ = json.JSONDecoder().raw_decode(content)
    return found


def sensible(asked: Asked) -> Reply:
    """10 to each text that holds the description, 0 to others; the same for words."""
    question = question_of(asked)
    texts = question["texts"]
    if "active_words" in asked.body["messages"][0]["content"]:
        words = [
            {"text": int(text), "word": int(word), "strength": 7}
            for text, own in texts.items()
            for word, shown in own.items()
            if shown == question["description"]
        ]
        return Reply(body=completion(json.dumps({"active_words": words})))
    wanted = question["description"]
    if "⟦" in "".join(texts.values()):
        wanted = f"⟦{wanted}⟧"
    scores = [10 * (wanted in text) for text in texts.values()]
    return Reply(body=completion(json.dumps({"scores": scores})))


def test_texts_are_scored_in_order_across_requests(tmp_path: Path) -> None:
    with chat_server(sensible) as server:
        judge = judge_at(server, tmp_path)
        cards, pets = judge.judge_texts(QUESTIONS)
    assert len(server.asked) == judge.sent == 4
    np.testing.assert_array_equal(cards, [0, 1, 1, 0, 1, 1, 0])
    np.testing.assert_array_equal(pets, [1, 0])
    assert judge.name == f"openai:{MODEL}"
    assert not judge.failures


def test_words_are_scored_in_their_texts(tmp_path: Path) -> None:
    texts = (worded("my cards and cards"), worded("pets"), worded("other cards"), worded("no"))
    with chat_server(sensible) as server:
        (found,) = judge_at(server, tmp_path).judge_words([WordQuestion("cards", texts)])
    assert isinstance(found, tuple)
    expected: list[list[float]] = [[0, 0.7, 0, 0.7], [0], [0, 0.7], [0]]
    assert [part.tolist() for part in found] == expected


def test_highlights_are_scored(tmp_path: Path) -> None:
    text = worded("my cards")
    highlights = tuple(
        Highlight(text, np.array(marked)) for marked in ([False, True], [True, False])
    )
    with chat_server(sensible) as server:
        judge = judge_at(server, tmp_path)
        (found,) = judge.judge_highlights([HighlightQuestion("cards", highlights)])
    np.testing.assert_array_equal(found, [1, 0])


def test_no_answer_is_paid_for_twice(tmp_path: Path) -> None:
    with chat_server(sensible) as server:
        first = judge_at(server, tmp_path).judge_texts(QUESTIONS)
        judge = judge_at(server, tmp_path)
        second = judge.judge_texts(QUESTIONS)
        assert judge.sent == 0
        assert len(server.asked) == 4
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_judge_cut_short_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """The server breaks down after some answers: no number, and no answer is lost."""
    left = 2

    def break_down(asked: Asked) -> Reply:
        nonlocal left
        left -= 1
        return sensible(asked) if left >= 0 else failure(401, "key revoked")

    with chat_server(break_down) as server:
        settings = OpenAISettings(base_url=server.base_url, concurrency=1)
        judge = LMJudge(
            OpenAIGenerator(MODEL, settings), ResponseStore(tmp_path), texts_per_request=3
        )
        with pytest.raises(BackendError):
            judge.judge_texts(QUESTIONS)
        left = 100
        again = judge_at(server, tmp_path)
        found = again.judge_texts(QUESTIONS)
        assert again.sent == 2
        assert left == 98
    assert not any(isinstance(each, Unanswered) for each in found)


def test_an_unusable_answer_is_asked_for_once_more(tmp_path: Path) -> None:
    def too_short(asked: Asked) -> Reply:
        first = "cannot be used" not in asked.text
        return Reply(body=completion('{"scores": [1]}')) if first else sensible(asked)

    with chat_server(too_short) as server:
        judge = judge_at(server, tmp_path, texts_per_request=7)
        (found,) = judge.judge_texts(QUESTIONS[:1])
    assert len(server.asked) == 2
    assert "it has 1 scores, expected 7" in server.asked[1].text
    np.testing.assert_array_equal(found, [0, 1, 1, 0, 1, 1, 0])


def test_a_question_with_a_missing_part_is_unanswered(tmp_path: Path) -> None:
    """One request of three fails for good, and its question has no scores at all."""

    def lose_one(asked: Asked) -> Reply:
        if "text 4" in asked.body["messages"][1]["content"]:
            return failure(500)
        return sensible(asked)

    with chat_server(lose_one) as server:
        judge = judge_at(server, tmp_path)
        cards, pets = judge.judge_texts(QUESTIONS)
    assert cards == Unanswered("server_failed")
    np.testing.assert_array_equal(pets, [1, 0])
    assert judge.failures == {"server_failed": 1}


def test_an_answer_that_stays_unusable_is_counted(tmp_path: Path) -> None:
    with chat_server(lambda asked: Reply(body=completion("No idea."))) as server:
        judge = judge_at(server, tmp_path, texts_per_request=10)
        found = judge.judge_texts(QUESTIONS)
    assert found == [Unanswered("not_json")] * 2
    assert judge.failures == {"not_json": 2}
    assert len(server.asked) == 4


def answer(text: str, finish: FinishReason = FinishReason.STOP) -> Answer:
    return Answer(text=text, finish=finish, prompt_tokens=1, completion_tokens=1)


def test_scores_are_read_between_0_and_1() -> None:
    read = read_scores(answer('<think>hm</think>{"scores": [0, 5, 10]}'), 3)
    assert isinstance(read, np.ndarray)
    assert read.tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("text", "finish", "reason", "message"),
    [
        ("", FinishReason.STOP, "empty_answer", "empty"),
        ("I am sorry", FinishReason.REFUSED, "refusal", "refusal"),
        ("perhaps", FinishReason.STOP, "not_json", "not one JSON object"),
        ('{"scores": [1, ', FinishReason.LENGTH, "truncated", "cut off"),
        ('{"scores": [1, 2]}', FinishReason.STOP, "schema_mismatch", "2 scores, expected 3"),
        ('{"scores": [1, 2, 11]}', FinishReason.STOP, "schema_mismatch", "11 is no score"),
        ('{"scores": [1, 2, "a"]}', FinishReason.STOP, "schema_mismatch", "does not fit"),
        ('{"score": [1, 2, 3]}', FinishReason.STOP, "schema_mismatch", "does not fit"),
    ],
)
def test_what_does_not_fit_never_becomes_a_score(
    text: str, finish: FinishReason, reason: str, message: str
) -> None:
    read = read_scores(answer(text, finish), 3)
    assert isinstance(read, ReplyProblem)
    assert read.reason == reason
    assert message in read.message


def words_answer(*active: tuple[int, int, int]) -> Answer:
    rows = [dict(zip(("text", "word", "strength"), each, strict=True)) for each in active]
    return answer(json.dumps({"active_words": rows}))


def test_words_that_are_not_listed_are_0_and_the_stronger_of_two_counts() -> None:
    read = read_words(words_answer((2, 1, 3), (1, 2, 4), (1, 2, 9)), [worded("a b"), worded("c")])
    assert isinstance(read, tuple)
    assert [part.tolist() for part in read] == [[0.0, 0.9], [0.3]]


@pytest.mark.parametrize(
    ("active", "message"),
    [
        ((3, 1, 5), "there is no text 3"),
        ((0, 1, 5), "there is no text 0"),
        ((1, 3, 5), "text 1 has no word 3, but 2 words"),
        ((1, 0, 5), "text 1 has no word 0"),
        ((1, 1, 11), "11 is no strength"),
    ],
)
def test_words_that_are_not_there_make_an_answer_unusable(
    active: tuple[int, int, int], message: str
) -> None:
    read = read_words(words_answer(active), [worded("a b"), worded("c")])
    assert isinstance(read, ReplyProblem)
    assert read.reason == "schema_mismatch"
    assert message in read.message
