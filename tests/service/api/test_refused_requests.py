"""What cannot be answered is refused by a problem document that shows nothing of the server."""

import shutil
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.jobs.job_queue import JobQueue
from service.run_directory import RunDirectory
from tests.service.api.conftest import is_problem

RUN = "/v1/runs/reviews"
HOSTILE = [
    "../../etc/passwd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5c..%5cwindows",
    "<script>alert(1)</script>",
    "' OR 1=1 --",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "%F0%9F%98%80",
    "%ff%fe",
    "a" * 5000,
    "-1",
    "nul\u2028l",
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "path",
    [
        *("/v1/runs/{}", "/v1/runs/{}/overview", "/v1/runs/{}/neurons", "/v1/runs/{}/report"),
        *(RUN + "/neurons/{}", RUN + "/descriptors/{}", RUN + "/descriptors/{}/sentences"),
        *("/v1/jobs/{}", "/v1/jobs/{}/log", "/v1/jobs/{}/events", "/v1/uploads/{}"),
        RUN + "/export/{}.csv",
    ],
)
def test_hostile_names_find_nothing(
    client: TestClient, api_runs: Path, path: str, name: str
) -> None:
    answer = client.get(path.format(name))
    assert answer.status_code in {404, 422}, answer.text
    is_problem(answer, answer.status_code, api_runs)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_remove_nothing(client: TestClient, api_runs: Path, name: str) -> None:
    for path in (f"/v1/runs/{name}", f"/v1/uploads/{name}"):
        answer = client.delete(path)
        assert answer.status_code in {404, 405, 422}, answer.text
    assert (api_runs / "reviews" / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("path", "params"),
    [
        (f"{RUN}/neurons", {"layer": "one"}),
        (f"{RUN}/neurons", {"layer": -1}),
        (f"{RUN}/neurons", {"site": "attn"}),
        (f"{RUN}/neurons", {"tail": "±"}),
        (f"{RUN}/neurons", {"minimum_score": "nan"}),
        (f"{RUN}/neurons", {"minimum_score": 1.5}),
        (f"{RUN}/neurons", {"described": "perhaps"}),
        (f"{RUN}/neurons", {"reason": "because"}),
        (f"{RUN}/neurons", {"order": "random"}),
        (f"{RUN}/neurons", {"limit": 0}),
        (f"{RUN}/neurons", {"limit": 201}),
        (f"{RUN}/neurons", {"limit": "1e2"}),
        (f"{RUN}/neurons", {"nosuch": 1}),
        (f"{RUN}/neurons", {"cursor": ""}),
        (f"{RUN}/neurons", {"cursor": "é"}),
        (f"{RUN}/neurons", {"cursor": "bm8"}),
        (f"{RUN}/neurons", {"cursor": "x" * 501}),
        (f"{RUN}/concepts", {}),
        (f"{RUN}/concepts", {"q": ""}),
        (f"{RUN}/concepts", {"q": "  \t"}),
        (f"{RUN}/concepts", {"q": "x" * 1001}),
        (f"{RUN}/concepts", {"q": "day", "n_neurons": 0}),
        (f"{RUN}/descriptors", {"kept": "maybe"}),
        (f"{RUN}/descriptors", {"search": "x" * 201}),
        (f"{RUN}/evaluation", {"protocols": "cosy"}),
        (f"{RUN}/overview", {"x": ""}),
        ("/v1/runs", {"run": "reviews"}),
        ("/v1/jobs", {"state": "asleep"}),
        ("/v1/jobs", {"run": "../x"}),
        ("/v1/jobs", {"kind": "x"}),
        ("/v1/jobs/x/log", {"offset": -1}),
        ("/v1/uploads", {"limit": 10**30}),
    ],
    ids=str,
)
def test_impossible_parameters(
    client: TestClient, api_runs: Path, path: str, params: dict[str, Any]
) -> None:
    is_problem(client.get(path, params=params), 422, api_runs)


def test_a_cursor_is_good_for_its_own_list_only(client: TestClient, api_runs: Path) -> None:
    cursor = client.get(f"{RUN}/neurons", params={"limit": 1}).json()["next_cursor"]
    others = ("/neurons?layer=1", "/descriptors?", "/descriptors?kept=true", "/evaluation?")
    for path in (*(f"{RUN}{other}" for other in others), "/v1/runs?"):
        is_problem(client.get(f"{path}&cursor={cursor}"), 422, api_runs)


@pytest.mark.parametrize(
    "asked",
    [
        {"run": "reviews"},
        {"run": "reviews", "text": ""},
        {"run": "reviews", "text": " \n"},
        {"run": "reviews", "text": "x" * 20_001},
        {"run": "reviews", "text": "x", "n_neurons": 0},
        {"run": "reviews", "text": "x", "n_neurons": 1e9},
        {"run": "reviews", "text": ["x"]},
        {"run": "reviews", "text": "x", "more": 1},
        {"run": "../reviews", "text": "x"},
        [],
        None,
    ],
    ids=str,
)
def test_impossible_texts(client: TestClient, api_runs: Path, asked: Any) -> None:
    is_problem(client.post("/v1/explain", json=asked), 422, api_runs)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b'{"run": "reviews", "text": "\\ud800"}', 422),
        (b'{"run": "reviews", "text": "\xff"}', 400),
        (b"[" * 100_000, 400),
        (b'{"run": "reviews", "text": "%s"}' % (b"x" * 2**20), 413),
    ],
    ids=["empty", "cut off", "half a character", "not UTF-8", "deep", "large"],
)
def test_impossible_bodies(client: TestClient, api_runs: Path, body: bytes, status: int) -> None:
    answer = client.post("/v1/explain", content=body, headers={"Content-Type": "application/json"})
    is_problem(answer, status, api_runs)


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "run", "run": "../x", "settings": {"corpus": "sample"}},
        {"kind": "run", "run": "x", "settings": {"corpus": "/etc/passwd"}},
        {"kind": "run", "run": "x", "settings": {"corpus": "upload:0123456789abcdef"}},
        {"kind": "run", "run": "x", "settings": {"corpus": "sample", "model": "/etc"}},
        {"kind": "run", "run": "x", "settings": {"corpus": "sample", "unsafe_weights": True}},
        {"kind": "run", "run": "x", "settings": {"corpus": "sample", "nosuch": 1}},
        {"kind": "run", "run": "x"},
        {"kind": "shell", "run": "x"},
        {"run": "x"},
        {"kind": "evaluate", "run": "reviews", "protocols": ["nosuch"]},
    ],
    ids=str,
)
def test_impossible_jobs(client: TestClient, api_runs: Path, spec: dict[str, Any]) -> None:
    is_problem(client.post("/v1/jobs", json=spec), 422, api_runs)
    assert client.get("/v1/jobs", params={"run": "x"}).json()["items"] == []


def test_what_is_not_there(client: TestClient, api_runs: Path) -> None:
    for path in ("/v1/runs/nosuch", "/v1/runs/nosuch/neurons", "/v1/runs/.neuroscribe/overview"):
        answer = client.get(path)
        is_problem(answer, 422 if "/." in path else 404, api_runs)
    for path in (f"{RUN}/neurons/L9.ffn.0", f"{RUN}/neurons/L0.ffn.99999", f"{RUN}/descriptors/x"):
        is_problem(client.get(path), 404, api_runs)
    is_problem(client.get("/v1/nosuch"), 404, api_runs)
    is_problem(client.put("/v1/runs"), 405, api_runs)
    is_problem(client.post("/v1/jobs/nosuch/cancel"), 404, api_runs)
    is_problem(client.get("/v1/uploads/0123456789abcdef"), 404, api_runs)


def test_a_run_that_is_deleted_is_gone_at_once(
    served: Callable[..., TestClient], own_runs: Path
) -> None:
    client = served()
    cursor = client.get(f"{RUN}/neurons", params={"limit": 1}).json()["next_cursor"]
    assert client.get(f"{RUN}/neurons/L0.ffn.1").status_code == 200
    assert client.delete(RUN).status_code == 204
    assert not (own_runs / "reviews").exists()
    page = f"/neurons?limit=1&cursor={cursor}"
    for path in ("", "/overview", "/neurons/L0.ffn.1", page, "/edits"):
        is_problem(client.get(RUN + path), 404, own_runs)
    is_problem(client.delete(RUN), 404, own_runs)
    assert client.get("/v1/runs").json()["items"] == []


def test_a_run_that_breaks_while_it_is_open(
    served: Callable[..., TestClient], own_runs: Path
) -> None:
    client = served()
    assert client.get(f"{RUN}/neurons/L0.ffn.1").status_code == 200
    shutil.rmtree(own_runs / "reviews" / "activations")
    (own_runs / "reviews" / "manifest.json").write_text("{}")
    is_problem(client.get(f"{RUN}/neurons/L0.ffn.1"), 409, own_runs)


def test_without_its_database_the_service_says_so_and_loses_nothing(
    served: Callable[..., TestClient], own_runs: Path
) -> None:
    client = served()
    job = client.post("/v1/jobs", json={"kind": "rebuild", "run": "reviews"}).json()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody_there = f"postgresql+psycopg://user:secret@127.0.0.1:{probe.getsockname()[1]}/none"
    app = cast("FastAPI", client.app)
    state = app.state.service
    lost = JobQueue(nobody_there, state.settings.workspace)
    app.state.service = replace(state, jobs=lost)
    try:
        for answer in (
            client.get("/v1/jobs"),
            client.get(f"/v1/jobs/{job['id']}"),
            client.get(f"/v1/jobs/{job['id']}/events"),
            client.get(f"/v1/jobs/{job['id']}/log"),
            client.post("/v1/jobs", json={"kind": "rebuild", "run": "reviews"}),
            client.post(f"/v1/jobs/{job['id']}/cancel"),
        ):
            is_problem(answer, 503, own_runs)
            assert "secret" not in answer.text
        assert client.get(f"{RUN}/overview").status_code == 200
    finally:
        app.state.service = state
        lost.close()
    assert client.get("/v1/jobs").json()["items"] == [job]


@pytest.mark.parametrize(
    "body",
    [
        {"run": "reviews", "text": "x", **{f"name {n}": n for n in range(20_000)}},
        {"kind": "y" * 300_000, "run": "reviews"},
    ],
    ids=["many names", "a long word"],
)
def test_a_problem_is_short_however_much_is_wrong(
    client: TestClient, api_runs: Path, body: dict[str, Any]
) -> None:
    path = "/v1/jobs" if "kind" in body else "/v1/explain"
    answer = client.post(path, json=body)
    is_problem(answer, 422, api_runs)
    assert len(answer.content) < 10_000
    if "text" in body:
        assert answer.json()["detail"].endswith("and 19,990 more")


def test_pages_of_runs_hold_while_others_come_and_go(
    served: Callable[..., TestClient], own_runs: Path
) -> None:
    for name in "bdfh":
        shutil.copytree(own_runs / "reviews", own_runs / name)
    client = served()
    first = client.get("/v1/runs", params={"limit": 2}).json()
    client.delete("/v1/runs/b")
    shutil.copytree(own_runs / "reviews", own_runs / "a")
    second = client.get("/v1/runs", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    third = client.get("/v1/runs", params={"limit": 2, "cursor": second["next_cursor"]}).json()
    found = [each["name"] for page in (first, second, third) for each in page["items"]]
    assert found == ["b", "d", "f", "h", "reviews"]
    assert third["next_cursor"] is None


def test_a_run_that_is_written_is_not_deleted(
    served: Callable[..., TestClient], own_runs: Path
) -> None:
    client = served()
    directory = RunDirectory.create(own_runs / "reviews")
    try:
        answer = client.delete(RUN)
    finally:
        directory.close()
    is_problem(answer, 409, own_runs)
    assert "GET /v1/jobs?run=reviews" in answer.json()["detail"]
    assert "--out" not in answer.text
    (own_runs / "reviews" / ".lock").unlink()
    (own_runs / "reviews" / ".lock").mkdir()
    is_problem(client.delete(RUN), 409, own_runs)
