"""The service under load: readers, memory and start-up, each beside a bare FastAPI route."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import httpx2

from benchmarks.processes import neuroscribe
from benchmarks.records import Measurement

_TURNS = 7
_SECONDS_A_TURN = 6
_READERS = 50
_STARTS = 5
_WARM_REQUESTS = 2_000
_MEMORY_REQUESTS = 10_000
_NEURONS = 200
_RUN = "demo"
_TEXT = "The battery died after two days and they refused to give me a refund."
_ASKED = {"run": _RUN, "text": _TEXT}
_EXPLAIN_TURNS = 12
_CALLS = 20
_PAUSE_SECONDS = 0.5
_EXPLAIN_SECONDS = 2
_POST = """wrk.method = "POST"
wrk.body = [[{body}]]
wrk.headers["Content-Type"] = "application/json"
"""
_IN_MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True)
class Load:
    """What a load generator saw; percentiles of its waiting in milliseconds."""

    requests_per_second: float
    p50: float
    p99: float


@dataclass(frozen=True)
class Served:
    """A server under way."""

    url: str
    process: int


def available() -> bool:
    """Whether the load generator is installed."""
    return shutil.which("wrk") is not None


def measure(workspace: Path) -> list[Measurement]:
    """Start-up, reading a neuron at 50 concurrent readers, and memory over 10,000 requests."""
    runs = workspace / "runs"
    if not (runs / _RUN).exists():
        command = ("run", "--corpus", "sample", "--proposer", "keyphrase", "--quiet")
        subprocess.run(
            neuroscribe(*command, "--out", str(runs / _RUN)), check=True, stdout=subprocess.DEVNULL
        )
    starts = [_start_seconds(runs) for _ in range(_STARTS)]
    return [
        Measurement.of("service_load.start", statistics.median(starts), "s", goal="<= 3"),
        *_reading(workspace, runs),
        *_explaining(workspace, runs),
        *_memory(runs),
    ]


def _reading(workspace: Path, runs: Path) -> list[Measurement]:
    with _served(runs) as service:
        address = _neurons(service.url)[0]
        neuron = f"{service.url}/v1/runs/{_RUN}/neurons/{address}"
        body = workspace / "neuron.json"
        body.write_bytes(httpx2.get(neuron, timeout=60).raise_for_status().content)
        with _bare(body) as bare:
            asked = (f"-c{_READERS}", f"-d{_SECONDS_A_TURN}s")
            turns = [(_load(neuron, *asked), _load(f"{bare.url}/", *asked)) for _ in range(_TURNS)]
    of_service = [each for each, _ in turns]
    of_bare = [each for _, each in turns]
    return [
        _ratio("service_load.readers", of_service, of_bare, "requests_per_second", "1/s"),
        _ratio("service_load.p99", of_service, of_bare, "p99", "ms"),
        Measurement.of(
            "service_load.readers_ratio",
            _median_ratio(turns, "requests_per_second"),
            "of a bare route",
            goal=">= 0.5",
        ),
        Measurement.of(
            "service_load.p99_ratio",
            _median_ratio(turns, "p99"),
            "of a bare route",
            goal="<= 2",
        ),
        Measurement.of("service_load.answer", body.stat().st_size / 1024, "KiB"),
    ]


def _explaining(workspace: Path, runs: Path) -> list[Measurement]:
    """One sentence explained over HTTP, in turns with a bare forward pass in this process."""
    import torch

    from service.finished_run import FinishedRun

    subject = FinishedRun(runs / _RUN).subject

    def bare() -> None:
        with torch.inference_mode():
            subject.model(**subject.tokenizer(_TEXT, return_tensors="pt"))

    script = workspace / "explain.lua"
    script.write_text(_POST.format(body=json.dumps(_ASKED)))
    asked = ("-c1", f"-d{_EXPLAIN_SECONDS}s", "-s", str(script))
    with _served(runs) as service, httpx2.Client(base_url=service.url, timeout=60) as client:
        route = "/v1/explain"

        def explain() -> None:
            client.post(route, json=_ASKED).raise_for_status()

        explain()
        turns = [
            (_load(service.url + route, *asked).p50, _milliseconds(bare), _milliseconds(explain))
            for _ in range(_EXPLAIN_TURNS)
        ]
    ours, theirs, by_client = zip(*turns[1:], strict=True)
    against = "one bare forward pass, tokenizing included"

    def ratio(found: Sequence[float]) -> float:
        return statistics.median(own / other for own, other in zip(found, theirs, strict=True))

    return [
        Measurement.of(
            "service_load.explain",
            statistics.median(ours),
            "ms",
            against=against,
            reference=statistics.median(theirs),
        ),
        Measurement.of("service_load.explain_ratio", ratio(ours), "of a bare pass", goal="<= 1.5"),
        Measurement.of(
            "service_load.explain_python_client",
            ratio(by_client),
            "of a bare pass, the work of the client included",
        ),
    ]


def _milliseconds(action: Callable[[], None]) -> float:
    """The median of some calls, once the threads of the other side have stopped waiting for work.

    Those of OpenMP keep a core busy for a while after each call.
    """
    time.sleep(_PAUSE_SECONDS)
    taken = []
    for _ in range(_CALLS):
        began = time.perf_counter()
        action()
        taken.append(1e3 * (time.perf_counter() - began))
    return statistics.median(taken)


def _memory(runs: Path) -> list[Measurement]:
    """How much anonymous memory grows over many requests of all kinds, once warm."""
    with _served(runs) as service, httpx2.Client(base_url=service.url, timeout=60) as client:
        neurons = _neurons(service.url)
        paths = [f"/v1/runs/{_RUN}/neurons/{each}" for each in neurons]
        paths += ["/v1/runs", f"/v1/runs/{_RUN}/neurons?limit=50", f"/v1/runs/{_RUN}/descriptors"]
        paths += [f"/v1/runs/{_RUN}/concepts?q=word{number}" for number in range(20)]
        _read(client, paths, _WARM_REQUESTS)
        before = _anonymous(service.process)
        _read(client, paths, _MEMORY_REQUESTS)
        after = _anonymous(service.process)
    return [
        Measurement.of(
            "service_load.memory",
            after / 2**20,
            "MB",
            against=f"after {_WARM_REQUESTS} requests",
            reference=before / 2**20,
        ),
        Measurement.of("service_load.memory_growth", (after - before) / 2**20, "MB", goal="<= 10"),
    ]


def _read(client: httpx2.Client, paths: Sequence[str], n: int) -> None:
    for path in islice(cycle(paths), n):
        client.get(path).raise_for_status()


def _ratio(
    name: str, ours: Sequence[Load], theirs: Sequence[Load], what: str, unit: str
) -> Measurement:
    value, reference = (
        statistics.median(getattr(each, what) for each in loads) for loads in (ours, theirs)
    )
    return Measurement.of(name, value, unit, against="a bare FastAPI route", reference=reference)


def _median_ratio(turns: Sequence[tuple[Load, Load]], what: str) -> float:
    return statistics.median(getattr(ours, what) / getattr(bare, what) for ours, bare in turns)


def _neurons(service: str) -> list[str]:
    """Addresses of described neurons, none twice."""
    answer = httpx2.get(
        f"{service}/v1/runs/{_RUN}/neurons", params={"described": True, "limit": _NEURONS}
    )
    return list(dict.fromkeys(item["neuron"] for item in answer.raise_for_status().json()["items"]))


def _load(url: str, *options: str) -> Load:
    shown = subprocess.run(
        ["wrk", "--latency", "-t1", *options, url], check=True, capture_output=True, text=True
    ).stdout
    if "Non-2xx" in shown or "Socket errors" in shown:
        raise RuntimeError(f"{url} failed under load:\n{shown}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", shown)
    if not rate:
        raise RuntimeError(f"wrk printed something else:\n{shown}")
    return Load(float(rate[1]), _percentile(shown, 50), _percentile(shown, 99))


def _percentile(shown: str, percent: int) -> float:
    found = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", shown)
    if not found:
        raise RuntimeError(f"wrk printed no {percent}th percentile:\n{shown}")
    return float(found[1]) * _IN_MILLISECONDS[found[2]]


def _start_seconds(runs: Path) -> float:
    began = time.perf_counter()
    with _served(runs):
        return time.perf_counter() - began


@contextmanager
def _served(runs: Path) -> Iterator[Served]:
    port = _free_port()
    command = neuroscribe(
        *("serve", "--runs", str(runs), "--port", str(port), "--job-workers", "0")
    )
    environment = os.environ | {"NEUROSCRIBE_REQUESTS_PER_MINUTE": "0"}
    with _running(command, f"http://127.0.0.1:{port}", "/v1/runs", environment) as served:
        yield served


@contextmanager
def _bare(body: Path) -> Iterator[Served]:
    port = _free_port()
    command = [sys.executable, "-m", "benchmarks.bare_route", str(body), str(port)]
    with _running(command, f"http://127.0.0.1:{port}", "/", dict(os.environ)) as served:
        yield served


@contextmanager
def _running(
    command: Sequence[str], url: str, ready: str, environment: dict[str, str]
) -> Iterator[Served]:
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        try:
            while not _answers(url + ready):
                if process.poll() is not None:
                    raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
                time.sleep(0.01)
            yield Served(url, process.pid)
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url).is_success
    except httpx2.TransportError:
        return False


def _anonymous(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    if found is None:
        raise RuntimeError(f"process {process} has ended")
    return int(found[1]) * 1024


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
