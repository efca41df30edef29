"""`neuroscribe serve` as its users start it: a process of its own, on a port of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.cli import run_command

SECONDS_TO_START = 30


class Service:
    """A running `serve`."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self.log = log
        assert process.stdout is not None
        self.said = process.stdout.readline()
        self.url = self.said.split()[-1] if self.said else ""

    def get(self, path: str, **more: Any) -> httpx2.Response:
        deadline = time.monotonic() + SECONDS_TO_START
        while True:
            try:
                return httpx2.get(self.url + path, timeout=SECONDS_TO_START, **more)
            except httpx2.ConnectError:
                assert time.monotonic() < deadline

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(SECONDS_TO_START)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line[:1] == "{"]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts `serve` over an empty folder without workers, unless told otherwise."""
    started: list[subprocess.Popen[str]] = []
    told = {name: value for name, value in os.environ.items() if "NEUROSCRIBE" not in name}

    def start(*arguments: str, workers: int = 0) -> Service:
        log = tmp_path / "log"
        command = ["serve", "--runs", str(tmp_path / "runs"), "--port", "0", *arguments]
        with log.open("w") as written:
            process = subprocess.Popen(
                [sys.executable, "-m", "service.cli", *command, "--job-workers", str(workers)],
                stdout=subprocess.PIPE,
                stderr=written,
                text=True,
                env=told,
            )
        started.append(process)
        return Service(process, log)

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_until_told_to_stop(serve: Callable[..., Service], number: signal.Signals) -> None:
    service = serve()
    answer = service.get("v1/runs", headers={"X-Request-ID": "mine"})
    assert answer.status_code == 200
    assert "server" not in answer.headers
    assert service.stop(number) == 0
    assert service.process.stdout is not None
    assert service.process.stdout.read() == ""
    lines = service.lines()
    assert [line["route"] for line in lines if line.get("request_id") == "mine"] == ["/v1/runs"]
    assert {line["level"] for line in lines} == {"info"}
    assert any(line.get("logger") == "uvicorn.error" for line in lines)


def test_a_signal_before_it_listens_stops_it_too(serve: Callable[..., Service]) -> None:
    service = serve()
    assert service.stop() == 0


def _send_headers_without_end(service: Service, header: bytes) -> None:
    address = ("127.0.0.1", httpx2.URL(service.url).port)
    with socket.create_connection(address, SECONDS_TO_START) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
        for _ in range(2_000):
            connection.sendall(header * (100_000 // len(header)))


def test_headers_without_end_are_not_kept(serve: Callable[..., Service]) -> None:
    service = serve()
    assert service.get("v1/runs", headers={"X-Long": "x" * 60_000}).status_code == 200
    for header in ("x", "X-Long: x\r\n"):
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            _send_headers_without_end(service, header.encode())
    # A body may be longer, also where it arrives with its headers on a connection that is kept.
    with httpx2.Client(base_url=service.url, timeout=SECONDS_TO_START) as client:
        for _ in range(3):
            answer = client.post("v1/explain", json={"run": "none", "text": "x" * 400_000})
            assert answer.status_code in (404, 413, 422)
    assert service.stop() == 0


@pytest.mark.slow
def test_a_stream_ends_with_the_service(serve: Callable[..., Service]) -> None:
    service = serve()
    told = {"kind": "run", "run": "waits", "settings": {"corpus": "sample"}}
    service.get("v1/runs")
    made = httpx2.post(service.url + "v1/jobs", json=told, timeout=SECONDS_TO_START)
    job = made.raise_for_status().json()["id"]
    with httpx2.stream("GET", f"{service.url}v1/jobs/{job}/events", timeout=60) as events:
        parts = events.iter_bytes()
        next(parts)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        list(parts)
    assert service.process.wait(SECONDS_TO_START) == 0
    # Otherwise the server would wait for as long as it is told to wait for requests.
    assert time.monotonic() - began < 6
    lines = service.lines()
    assert not [line for line in lines if line["level"] == "error"]
    accepted = [line for line in lines if f"job {job} accepted" in line["event"]]
    assert [bool(line["request_id"]) for line in accepted] == [True]


@pytest.mark.slow
def test_starts_and_stops_its_workers(serve: Callable[..., Service]) -> None:
    service = serve(workers=1)
    service.get("healthz")
    deadline = time.monotonic() + SECONDS_TO_START
    while not any("worker" in line for line in service.lines()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert service.stop() == 0
    assert not [line for line in service.lines() if line["level"] == "error"]


@pytest.mark.slow
def test_a_key_made_meanwhile_is_asked_for(
    serve: Callable[..., Service], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = serve()
    assert service.get("v1/runs").status_code == 200
    assert run_command(["keys", "create", "bob", "--runs", str(tmp_path / "runs")]) == 0
    secret = capsys.readouterr().out.strip()
    deadline = time.monotonic() + SECONDS_TO_START
    while service.get("v1/runs").status_code != 401:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert service.get("v1/runs", headers={"x-api-key": secret}).status_code == 200
    assert (
        run_command(["keys", "revoke", secret.split("_")[1], "--runs", str(tmp_path / "runs")]) == 0
    )
    while service.get("v1/runs", headers={"x-api-key": secret}).status_code != 401:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    service.stop()
    assert secret.split("_")[2] not in service.log.read_text()


def sent_until_cut_off(connection: socket.socket, chunk: bytes) -> int:
    sent = 0
    while sent < 2**30:
        try:
            connection.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            break
        sent += len(chunk)
    return sent


def test_a_long_body_is_cut_off_while_it_is_sent(serve: Callable[..., Service]) -> None:
    service = serve()
    service.get("healthz")
    port = int(service.url.rstrip("/").rsplit(":", 1)[1])
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", port), SECONDS_TO_START) as connection:
        connection.sendall(
            b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        sent = sent_until_cut_off(connection, chunk)
    assert sent < 2**27
    assert [line["status"] for line in service.lines() if line.get("route") == "/v1/jobs"] == [413]


HOSTILE = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"GET /%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /v1/runs/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /static/..%2f..%2f__init__.py HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"BREW /v1/runs HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /v1/runs?limit=%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: \xff\xfe=\x01\r\n\r\n",
    b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"nonsense\r\n\r\n",
)


def test_hostile_requests_are_answered_and_break_nothing(serve: Callable[..., Service]) -> None:
    service = serve()
    service.get("healthz")
    port = int(service.url.rstrip("/").rsplit(":", 1)[1])
    for request in HOSTILE:
        with socket.create_connection(("127.0.0.1", port), SECONDS_TO_START) as connection:
            connection.sendall(request)
            status = connection.makefile("rb").readline().split()[1]
            assert status[:1] == b"4", (request, status)
    assert service.get("healthz").status_code == 200
    assert not [line for line in service.lines() if line["level"] == "error"]


def test_refusals_of_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = ["--runs", str(tmp_path)]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cases = {
            ("--port", str(port)): "cannot listen on 127.0.0.1 port",
            ("--host", "192.0.2.1"): "an API key is asked for on 192.0.2.1",
            ("--host", "0.0.0.0", "--authentication", "off"): "--host 127.0.0.1",
            ("--authentication", "required"): "keys create NAME",
            ("--authentication", "sometimes"): "--authentication",
            ("--config", "missing.toml"): "there is no settings file",
            ("--port", "70000"): "setting port",
        }
        for arguments, said in cases.items():
            assert run_command(["serve", *runs, *arguments]) == 2, arguments
            error = capsys.readouterr().err
            assert said in error
            assert len(error.splitlines()) == 1


def test_an_address_of_no_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["keys", "create", "bob", "--runs", str(tmp_path)]) == 0
    assert run_command(["serve", "--runs", str(tmp_path), "--host", "192.0.2.1"]) == 2
    assert "cannot listen on 192.0.2.1" in capsys.readouterr().err


def test_a_database_that_is_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "postgresql+psycopg://me:hidden@127.0.0.1:1/x"
    monkeypatch.setenv("NEUROSCRIBE_DATABASE_URL", url)
    assert run_command(["serve", "--runs", str(tmp_path)]) == 3
    error = capsys.readouterr().err
    assert "works once it is back" in error
    assert "hidden" not in error


def test_a_dry_run_starts_nothing_and_shows_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "postgresql+psycopg://me:hidden@127.0.0.1:1/x"
    monkeypatch.setenv("NEUROSCRIBE_DATABASE_URL", url)
    runs = tmp_path / "runs"
    command = [
        "serve",
        "--runs",
        str(runs),
        "--job-workers",
        "2",
        "--jobs-at-once",
        "3",
        "--dry-run",
    ]
    assert run_command(command) == 0
    printed = capsys.readouterr().out
    planned = json.loads(printed)
    assert planned["settings"]["runs"] == str(runs)
    assert planned["settings"]["database_url"] == "postgresql+psycopg://me:***@127.0.0.1:1/x"
    assert planned["starts"]["jobs_at_once"] == 6
    assert "hidden" not in printed
    assert not runs.exists()
