"""What every request and every answer passes: headers, limits, ids, log lines, counts, faults."""

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from service.api.app import create_app
from service.api.key_records import Scope
from service.api.logs import set_up_logs
from service.api.request_limits import client_of
from service.service_settings import ServiceSettings

BASE_URL = "http://127.0.0.1:8765"
SECRET_TEXT = "my private sentence"
Start = Callable[..., TestClient]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a service with routes that fail and that echo, over an empty folder."""
    with ExitStack() as opened:

        def started(**told: Any) -> TestClient:
            app = create_app(ServiceSettings.told(runs=tmp_path, **told))

            @app.get("/v1/fail")
            def fail(q: str) -> None:
                raise ZeroDivisionError(f"while dividing {len(q)}")

            @app.post("/v1/echo")
            async def echo(request: Request) -> int:
                return len(await request.body())

            return opened.enter_context(TestClient(app, base_url=BASE_URL))

        yield started


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the service logs as JSON."""
    root = logging.getLogger()
    handlers, level, dbos = root.handlers[:], root.level, logging.getLogger("dbos").level
    written = io.StringIO()
    set_up_logs(ServiceSettings.told(log_level="INFO"), written)
    yield written
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("dbos").setLevel(dbos)


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def made_key(client: TestClient, scope: Scope = Scope.ADMIN) -> str:
    app = client.app
    assert isinstance(app, FastAPI)
    return app.state.service.keys.create("bob", scope).secret.get_secret_value()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/runs", 200),
        ("GET", "/", 200),
        ("GET", "/static/explorer.css", 200),
        ("GET", "/metrics", 200),
        ("GET", "/nothing", 404),
        ("GET", "/v1/runs/abc", 404),
        ("PUT", "/v1/runs", 405),
        ("POST", "/v1/jobs", 422),
        ("GET", "/v1/fail?q=x", 500),
        ("GET", "/v1/runs/%00", 400),
        ("GET", "/v1/runs/a%0ab", 400),
    ],
)
def test_every_answer_has_the_headers(start: Start, method: str, path: str, status: int) -> None:
    answer = start().request(method, path)
    assert answer.status_code == status
    headers = answer.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "'unsafe" not in headers["content-security-policy"]
    assert re.fullmatch("[0-9a-f]{16}", headers["x-request-id"])
    if status >= 400:
        problem = answer.json()
        assert headers["content-type"] == "application/problem+json"
        assert (problem["status"], problem["title"] != "") == (status, True)


def test_scripts_and_styles_of_a_page_carry_the_nonce_of_its_policy(start: Start) -> None:
    client = start()
    nonces = set()
    for _ in range(2):
        page = client.get("/")
        policy = page.headers["content-security-policy"]
        (nonce,) = set(re.findall(r"'nonce-([^']+)'", policy))
        tags = re.findall(r"<(?:script|style|link rel=\"stylesheet\")[^>]*>", page.text)
        assert tags
        assert all(f'nonce="{nonce}"' in tag for tag in tags)
        nonces.add(nonce)
    assert len(nonces) == 2


def test_an_answer_for_a_key_is_kept_by_no_cache(start: Start) -> None:
    client = start(authentication="required")
    keyed = {"x-api-key": made_key(client)}
    assert client.get("/v1/jobs", headers=keyed).headers["cache-control"] == "no-store"
    assert "immutable" in client.get("/static/icon.svg").headers["cache-control"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-123.x_Y", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("", False),
        ("a b", False),
        ('"}{', False),
        ("é", False),
    ],
)
def test_request_ids(start: Start, given: str, kept: bool) -> None:
    answer = start().get("/healthz", headers={"X-Request-ID": given.encode()})
    assert (answer.headers["x-request-id"] == given) == kept
    assert answer.headers.get_list("x-request-id") == [answer.headers["x-request-id"]]


def test_a_body_over_the_limit_is_refused_before_it_is_read(start: Start) -> None:
    client = start(body_bytes=2000)
    assert client.post("/v1/echo", content=b"x" * 2000).json() == 2000
    answer = client.post("/v1/echo", content=b"x" * 2001)
    assert answer.status_code == 413
    assert answer.json()["detail"] == "found a body of 2,001 bytes; expected at most 2,000 bytes"


@pytest.mark.parametrize("path", ["/v1/echo", "/v1/jobs", "/login"])
def test_a_body_that_tells_no_length_is_counted(start: Start, path: str) -> None:
    sent = 0

    def parts() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(10_000):
            sent += 1
            yield b"x" * 1000

    answer = start(body_bytes=5000).post(path, content=parts())
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    # The test's client gathers a body before it sends it: only the server's end can be seen.
    assert "expected at most 5,000 bytes" in answer.json()["detail"]
    assert sent == 10_000


def test_uploads_have_a_limit_of_their_own(start: Start) -> None:
    client = start(body_bytes=1024, upload_bytes=3000)
    line = b'{"text": "a sentence"}\n'
    fitting = client.post("/v1/uploads", params={"name": "a.jsonl"}, content=line * 100)
    assert fitting.status_code == 201, fitting.text
    large = client.post("/v1/uploads", params={"name": "a.jsonl"}, content=iter([line * 200]))
    assert large.status_code in {413, 422}
    assert len(client.get("/v1/uploads").json()["items"]) == 1


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "1 000"])
def test_a_length_that_is_none(start: Start, length: str) -> None:
    answer = start().post("/v1/echo", content=b"", headers={"Content-Length": length})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'"\\ud800"',
        b'{"kind": "\\ud800"}',
        b'{"kind": "run", "run": "\\u0000"}',
        b"NaN",
        b"9" * 10_000,
        b'{"kind": {}}',
    ],
)
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "image/png", ""])
def test_a_hostile_body_is_a_problem_document(start: Start, body: bytes, kind: str) -> None:
    answer = start().post("/v1/jobs", content=body, headers={"Content-Type": kind})
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.text) < 2000


def test_the_rate_of_a_key_is_limited(start: Start) -> None:
    client = start(authentication="required", requests_per_minute=5)
    one, other = ({"x-api-key": made_key(client)} for _ in range(2))
    codes = [client.get("/v1/runs", headers=one).status_code for _ in range(8)]
    # The first is counted by address: the key is not known before it was looked up.
    assert codes == [200] * 6 + [429] * 2
    refused = client.get("/v1/runs", headers=one)
    assert refused.json()["type"].endswith("RateError")
    assert 1 <= int(refused.headers["retry-after"]) <= 120
    assert refused.headers["ratelimit-limit"] == "5"
    assert refused.headers["ratelimit-remaining"] == "0"
    assert client.get("/v1/runs", headers=other).status_code == 200


def test_guessing_keys_is_limited_by_address(start: Start) -> None:
    client = start(authentication="required", requests_per_minute=3)
    guesses = [f"ns_{n:012x}_{n:064x}" for n in range(6)]
    codes = [client.get("/v1/runs", headers={"x-api-key": guess}).status_code for guess in guesses]
    assert codes == [401] * 3 + [429] * 3
    assert client.post("/login", data={"key": "x"}).status_code == 429
    assert client.get("/healthz").status_code == 200


def test_this_machine_without_keys_is_not_limited(start: Start) -> None:
    client = start(requests_per_minute=2)
    assert {client.get("/v1/runs").status_code for _ in range(6)} == {200}


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("nothing", "unknown"),
        (None, "unknown"),
    ],
)
def test_clients(address: str | None, client: str) -> None:
    assert client_of(address) == client


def test_the_log_line_of_a_request(start: Start, log: io.StringIO) -> None:
    client = start(authentication="required")
    secret = made_key(client)
    client.get(
        "/v1/runs/abc/concepts",
        params={"q": SECRET_TEXT},
        headers={"x-api-key": secret, "X-Request-ID": "mine"},
    )
    (line,) = [each for each in lines(log) if each["event"] == "request"]
    assert line["method"] == "GET"
    assert line["route"] == "/v1/runs/{run}/concepts"
    assert line["status"] == 404
    assert line["request_id"] == "mine"
    assert line["key"] == secret.split("_")[1]
    assert line["ms"] > 0


def test_no_log_line_holds_a_secret_or_a_text(start: Start, log: io.StringIO) -> None:
    client = start(authentication="required")
    logging.getLogger("httpx2").disabled = True  # of the test's client
    secret = made_key(client)
    keyed = {"x-api-key": secret}
    client.get("/v1/fail", params={"q": SECRET_TEXT}, headers=keyed)
    client.post("/v1/explain", json={"run": "abc", "text": SECRET_TEXT}, headers=keyed)
    client.post("/v1/explain", content=SECRET_TEXT, headers=keyed)
    client.post("/login", data={"key": secret, "next": "/"})
    client.get("/v1/runs", headers={"x-api-key": secret + "0"})
    logging.getLogger("somewhere").error("of %s at postgresql://me:hidden@host/x", secret)
    structlog.get_logger().error("told", database="postgresql://me:hidden@host/x", key=secret)
    written = log.getvalue()
    assert len(lines(log)) >= 7
    assert secret.split("_")[2] not in written
    assert secret.split("_")[1] in written
    assert "hidden" not in written
    assert SECRET_TEXT not in written
    assert SECRET_TEXT.replace(" ", "+") not in written
    logging.getLogger("httpx2").disabled = False


def test_a_fault_is_told_with_the_id_of_its_log_line(start: Start, log: io.StringIO) -> None:
    answer = start().get("/v1/fail", params={"q": SECRET_TEXT})
    assert answer.status_code == 500
    assert "ZeroDivisionError" not in answer.text
    fault = next(line for line in lines(log) if line["level"] == "error")
    assert fault["request_id"] == answer.headers["x-request-id"]
    assert fault["request_id"] in answer.json()["detail"]
    assert "ZeroDivisionError: while dividing 19" in fault["exception"]


def test_console_logs_hold_no_values_of_variables(start: Start, log: io.StringIO) -> None:
    written = io.StringIO()
    set_up_logs(ServiceSettings.told(log_format="console"), written)
    start().get("/v1/fail", params={"q": SECRET_TEXT})
    assert "ZeroDivisionError" in written.getvalue()
    assert SECRET_TEXT not in written.getvalue()
    assert log.getvalue() == ""


def test_metrics(start: Start) -> None:
    client = start()
    for path in ("/v1/runs", "/v1/runs", "/v1/runs/abc", "/nothing/1", "/nothing/2"):
        client.get(path)
    client.request("BREW", "/coffee")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    found = {family.name: family for family in text_string_to_metric_families(answer.text)}
    requests = {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for sample in found["neuroscribe_http_requests"].samples
        if sample.name.endswith("_total")
    }
    assert requests[("GET", "/v1/runs", "200")] == 2
    assert requests[("GET", "/v1/runs/{run}", "404")] == 1
    assert requests[("GET", "unmatched", "404")] == 2
    assert requests[("OTHER", "unmatched", "404")] == 1
    counted = {
        sample.labels["route"]: sample.value
        for sample in found["neuroscribe_http_request_seconds"].samples
        if sample.name.endswith("_count") and sample.labels["method"] == "GET"
    }
    assert counted["/v1/runs"] == 2
    assert found["neuroscribe_database_up"].samples[0].value == 1
    assert found["neuroscribe_runs"].samples[0].value == 0
    jobs = {sample.labels["state"]: sample.value for sample in found["neuroscribe_jobs"].samples}
    assert jobs == dict.fromkeys(("queued", "running", "done", "failed", "cancelled"), 0)
    assert "process_resident_memory_bytes" in found
    assert "python_gc_objects_collected" in found


def test_metrics_count_jobs(start: Start) -> None:
    client = start()
    body = {
        "kind": "run",
        "run": "one",
        "settings": {"corpus": "sample", "proposers": ["keyphrase"]},
    }
    assert client.post("/v1/jobs", json=body).status_code == 202
    assert 'neuroscribe_jobs{state="queued"} 1.0' in client.get("/metrics").text


def test_an_error_is_a_page_for_browsers_and_a_document_for_programs(start: Start) -> None:
    client = start()
    browser = {"Accept": "text/html,*/*"}
    page = client.get("/nothing", headers=browser)
    assert page.headers["content-type"].startswith("text/html")
    assert "there is nothing at /nothing" in page.text
    assert page.status_code == 404
    hostile = client.get("/%3Cscript%3Ealert(1)%3C/script%3E", headers=browser)
    assert "<script>alert" not in hostile.text
    assert client.get("/v1/nothing", headers=browser).json()["status"] == 404
    told = client.put("/v1/runs").json()["detail"]
    assert told.startswith("/v1/runs does not take PUT; it takes ")
