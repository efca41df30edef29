"""The `openai:` back end against a real vLLM server on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.tiny_llama import example_groups, example_requests
from descriptors.generation import (
    Answer,
    ChatMessage,
    FailureReason,
    FinishReason,
    RequestFailure,
    SamplingSettings,
)
from descriptors.lm_proposer import LMProposer
from descriptors.openai_backend import OpenAIGenerator, OpenAISettings
from descriptors.proposer import GroupTexts
from descriptors.records import Group
from descriptors.response_store import ResponseStore
from indexer.errors import BackendError

pytest.importorskip("vllm", reason="vLLM is not installed; `make test-vllm` installs and runs it")
openai = pytest.importorskip("openai")
jsonschema = pytest.importorskip("jsonschema")

SERVED_NAME = "tiny-llama"
START_SECONDS = 240


@dataclass(frozen=True)
class Server:
    """A running vLLM server."""

    url: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End the server with all its processes at once, as a crash would."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def serving(model: Path, log: Path) -> Iterator[Server]:
    """A server on a free port, gone with all its processes at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        # What `vllm serve` runs; that command itself asks for the version of a package `vllm`, and
        # the build for CPUs has another name.
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)),
        *("--served-model-name", SERVED_NAME, "--host", "127.0.0.1", "--port", str(port)),
        *("--dtype", "float32", "--enforce-eager", "--load-format", "safetensors"),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    server = Server(f"http://127.0.0.1:{port}/v1", process)
    try:
        wait_until_ready(server, log)
        yield server
    finally:
        server.kill()


def wait_until_ready(server: Server, log: Path) -> None:
    """Return when the server lists its model; fail with its log when it ends or takes too long."""
    client = openai.OpenAI(base_url=server.url, api_key="EMPTY", max_retries=0)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client.models.list()
        except openai.APIConnectionError:
            if server.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the server did not start:\n{log.read_text()[-4000:]}")
            time.sleep(0.5)
        else:
            return


@pytest.fixture(scope="module")
def server(chat_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(chat_model, tmp_path_factory.mktemp("served") / "log.txt") as running:
        yield running


def generator_at(server: Server, model: str = SERVED_NAME) -> OpenAIGenerator:
    return OpenAIGenerator(
        model, OpenAISettings(base_url=server.url, concurrency=4, maximum_retries=1)
    )


def test_answers_fit_the_schema(server: Server) -> None:
    requests = example_requests(SamplingSettings(temperature=1.0, seed=1))
    found = dict(generator_at(server).generate(requests))
    assert sorted(found) == list(range(len(requests)))
    texts = [
        answer.text
        for answer in found.values()
        if isinstance(answer, Answer) and answer.finish is FinishReason.STOP
    ]
    assert len(texts) >= len(requests) / 2
    for text in texts:
        jsonschema.validate(json.loads(text), requests[0].json_schema)


def test_a_prompt_too_long_for_the_server_is_counted(server: Server) -> None:
    good = example_requests(SamplingSettings())[0]
    question = ChatMessage(role="user", content="word " * 5000)
    found = dict(
        generator_at(server).generate([good.model_copy(update={"messages": (question,)}), good])
    )
    assert isinstance(found[0], RequestFailure)
    assert found[0].reason is FailureReason.CONTEXT_OVERFLOW
    assert isinstance(found[1], Answer)


def test_a_wrong_model_name_is_told_the_right_one(server: Server) -> None:
    generator = generator_at(server, "no-such-model")
    with pytest.raises(BackendError, match=SERVED_NAME):
        list(generator.generate(example_requests(SamplingSettings())))


def test_proposing_twice_asks_the_server_once(server: Server, tmp_path: Path) -> None:
    groups = example_groups(6)
    generator = generator_at(server)
    batches = list(LMProposer(generator, store=ResponseStore(tmp_path)).propose(groups))
    assert sum(bool(batch.proposals) for batch in batches) >= 3
    sent = generator.spending.requests
    assert sent >= len(groups)
    again = LMProposer(generator, store=ResponseStore(tmp_path))
    assert list(again.propose(groups)) == batches
    assert generator.spending.requests == sent


def test_a_server_killed_midway_keeps_what_was_paid(chat_model: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    groups = [
        GroupTexts(Group(id=str(n), source="test", rows=(n,)), (f"Sentence {n} is about {n}.",))
        for n in range(400)
    ]

    def stored() -> int:
        return len(list(store.rglob("*.json")))

    with serving(chat_model, tmp_path / "log.txt") as server:
        generator = generator_at(server)

        def kill_after_some() -> None:
            while stored() < 10 and server.process.poll() is None:
                time.sleep(0.01)
            server.kill()

        killer = threading.Thread(target=kill_after_some)
        killer.start()
        proposer = LMProposer(generator, store=ResponseStore(store))
        with pytest.raises(BackendError):
            list(proposer.propose(groups))
        killer.join()
    assert 10 <= stored() < len(groups)
    assert len(proposer.plan_requests(groups)) == len(groups) - stored()
