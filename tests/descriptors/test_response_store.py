from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from descriptors.generation import Answer, ChatMessage, ChatRequest, FinishReason, SamplingSettings
from descriptors.response_store import ResponseStore, response_key
from indexer.errors import RunError

REQUEST = ChatRequest(
    messages=(ChatMessage(role="user", content="Größe ☹ दुनिया"),), json_schema={"type": "object"}
)
ANSWER = Answer(
    text='{"a": "ü\u0000"}', finish=FinishReason.STOP, prompt_tokens=3, completion_tokens=2
)
KEY = response_key("lm", REQUEST)


def entry(folder: Path) -> Path:
    (path,) = folder.rglob("*.json")
    return path


def test_what_is_written_is_read_again_also_by_another_store(tmp_path: Path) -> None:
    ResponseStore(tmp_path / "answers").write(KEY, ANSWER)
    assert ResponseStore(tmp_path / "answers").read(KEY) == ANSWER
    assert entry(tmp_path).relative_to(tmp_path) == Path("answers", KEY[:2], f"{KEY}.json")


def test_an_empty_folder_holds_nothing_and_is_not_made(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path / "answers")
    assert store.read(KEY) is None
    assert not (tmp_path / "answers").exists()


@pytest.mark.parametrize(
    ("generator", "request_"),
    [
        ("other lm", REQUEST),
        ("lm", REQUEST.model_copy(update={"json_schema": {"type": "array"}})),
        ("lm", REQUEST.model_copy(update={"sampling": SamplingSettings(seed=1)})),
        ("lm", REQUEST.model_copy(update={"messages": REQUEST.messages * 2})),
    ],
)
def test_the_key_covers_all_that_an_answer_depends_on(
    generator: str, request_: ChatRequest
) -> None:
    assert response_key(generator, request_) != KEY
    assert response_key("lm", ChatRequest.model_validate(REQUEST.model_dump())) == KEY


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b'{"key": "x"}',
        json.dumps({"key": KEY, "answer": {"text": "x"}}).encode(),
    ],
)
def test_a_damaged_entry_counts_as_absent_and_can_be_replaced(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store = ResponseStore(tmp_path)
    store.write(KEY, ANSWER)
    entry(tmp_path).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert store.read(KEY) is None
    assert str(entry(tmp_path)) in caplog.text
    store.write(KEY, ANSWER)
    assert store.read(KEY) == ANSWER


def test_the_answer_to_another_request_is_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = ResponseStore(tmp_path)
    store.write(KEY, ANSWER)
    other = response_key("lm", REQUEST.model_copy(update={"json_schema": {}}))
    (tmp_path / other[:2]).mkdir(exist_ok=True)
    entry(tmp_path).rename(tmp_path / other[:2] / f"{other}.json")
    with caplog.at_level(logging.WARNING):
        assert store.read(other) is None
    assert "the answer to another request" in caplog.text


def test_what_a_killed_write_leaves_is_no_answer(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path)
    store.write(KEY, ANSWER)
    written = entry(tmp_path)
    written.rename(written.with_name(written.name + ".partial"))
    assert store.read(KEY) is None
    store.write(KEY, ANSWER)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [written.name]


def test_a_store_that_cannot_be_used_says_where(tmp_path: Path) -> None:
    in_the_way = tmp_path / "answers"
    in_the_way.write_text("a file")
    store = ResponseStore(in_the_way)
    with pytest.raises(RunError, match="answers"):
        store.read(KEY)
    with pytest.raises(RunError, match="answers"):
        store.write(KEY, ANSWER)
