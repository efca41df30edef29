"""Jobs and uploads over HTTP, as far as they go without a worker."""

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.jobs.records import JOB_SPEC, JobSpec

REBUILD = {"kind": "rebuild", "run": "reviews"}


@pytest.fixture
def client(served: Callable[..., TestClient]) -> TestClient:
    """A client of a service whose jobs are those of the test."""
    return served(upload_bytes=1000)


def submitted(client: TestClient, spec: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = client.post("/v1/jobs", json=spec, headers=headers)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def test_pages_of_jobs_hold_while_others_are_added(client: TestClient) -> None:
    jobs = [submitted(client, {"kind": "explain", "run": f"run-{n}"})["id"] for n in range(5)]
    first = client.get("/v1/jobs", params={"limit": 2}).json()
    submitted(client, REBUILD)
    second = client.get("/v1/jobs", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    third = client.get("/v1/jobs", params={"limit": 2, "cursor": second["next_cursor"]}).json()
    found = [each["id"] for page in (first, second, third) for each in page["items"]]
    assert sorted(found) == sorted(jobs)
    assert third["next_cursor"] is None


def test_jobs_by_run_kind_and_state(client: TestClient) -> None:
    explain = submitted(client, {"kind": "explain", "run": "a"})
    rebuild = submitted(client, REBUILD)
    client.post(f"/v1/jobs/{rebuild['id']}/cancel")

    def ids(**params: str) -> list[str]:
        return [each["id"] for each in client.get("/v1/jobs", params=params).json()["items"]]

    assert ids(run="a") == ids(kind="explain") == ids(state="queued") == [explain["id"]]
    assert ids(state="cancelled") == ids(run="reviews", kind="rebuild") == [rebuild["id"]]
    assert ids(run="a", state="cancelled") == []


def test_a_key_starts_one_job_also_at_once(client: TestClient) -> None:
    ids: list[str] = []
    key = {"Idempotency-Key": "some-key-1"}
    threads = [
        threading.Thread(target=lambda: ids.append(submitted(client, REBUILD, **key)["id"]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 4
    assert len(set(ids)) == 1
    other = client.post("/v1/jobs", json={"kind": "explain", "run": "a"}, headers=key)
    assert other.status_code == 422
    assert len(client.get("/v1/jobs").json()["items"]) == 1


def test_a_job_is_told_until_it_is_over(client: TestClient) -> None:
    job = submitted(client, REBUILD)
    path = f"/v1/jobs/{job['id']}"
    timer = threading.Timer(0.7, lambda: client.post(f"{path}/cancel"))
    timer.start()
    answer = client.get(f"{path}/events")
    timer.join()
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [each.split("\n") for each in answer.text.strip().split("\n\n")]
    assert {name for name, _ in events} == {"event: job"}
    told = [json.loads(data.removeprefix("data: ")) for _, data in events]
    assert [each["state"] for each in told] == ["queued", "cancelled"]
    lines = client.get(f"{path}/events", headers={"Accept": "application/x-ndjson"})
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in lines.text.splitlines()] == [client.get(path).json()]
    assert client.post(f"{path}/cancel").status_code == 422


def test_a_job_and_its_log_name_no_folder(client: TestClient, own_runs: Path) -> None:
    upload = client.post("/v1/uploads?name=a.txt", content=b"one\ntwo\n").json()
    settings = {"corpus": f"upload:{upload['id']}", "proposers": ["keyphrase"]}
    job = submitted(client, {"kind": "run", "run": "new", "settings": settings})
    assert job["spec"]["settings"]["corpus"] == settings["corpus"]
    spec: JobSpec = JOB_SPEC.validate_python(job["spec"])
    assert spec.run == "new"
    log = own_runs / ".neuroscribe" / "jobs" / job["id"] / "log.jsonl"
    log.parent.mkdir(parents=True)
    lines = [json.dumps({"event": f"read {own_runs}/.neuroscribe/x {n}"}) for n in range(3)]
    log.write_text("\n".join(lines) + "\n" + '{"event": "half')
    part = client.get(f"/v1/jobs/{job['id']}/log").json()
    assert [json.loads(line)["event"] for line in part["lines"]] == [
        f"read .neuroscribe/x {n}" for n in range(3)
    ]
    again = client.get(f"/v1/jobs/{job['id']}/log", params={"offset": part["next_offset"]})
    assert again.json()["lines"] == []
    assert str(own_runs) not in client.get("/v1/jobs").text + client.get("/v1/uploads").text


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("a.exe", b"MZ", 422),
        ("a.jsonl", b"not json\n", 422),
        ("a.csv.gz", b"not gzip", 422),
        ("../../a.txt", b"one\n", 201),
        ("<b>.txt", b"one\n", 201),
        ("a.txt", b"", 422),
        ("a.txt", b"x" * 1001, 413),
        ("", b"one", 422),
    ],
)
def test_uploads_are_checked(
    client: TestClient, own_runs: Path, name: str, content: bytes, status: int
) -> None:
    answer = client.post("/v1/uploads", params={"name": name}, content=content)
    assert answer.status_code == status, answer.text
    assert str(own_runs) not in answer.text
    total = client.get("/v1/uploads").json()["total"]
    assert total == (1 if status == 201 else 0)


def test_an_upload_without_a_length_is_limited_too(client: TestClient) -> None:
    answer = client.post("/v1/uploads?name=a.txt", content=iter([b"x" * 600, b"x" * 600]))
    assert answer.status_code == 413
    problem = answer.json()
    assert problem["type"] == "urn:neuroscribe:problem:BodyError"
    assert "more than 1,000 bytes" in problem["detail"]
    assert "compressed" in problem["detail"]
    assert client.get("/v1/uploads").json()["items"] == []


def test_pages_of_uploads_hold_while_others_come_and_go(client: TestClient) -> None:
    sent = [
        client.post(f"/v1/uploads?name={n}.txt", content=b"one\n").json()["id"] for n in range(5)
    ]
    first = client.get("/v1/uploads", params={"limit": 2}).json()
    client.post("/v1/uploads?name=new.txt", content=b"one\n")
    client.delete(f"/v1/uploads/{first['items'][0]['id']}")
    second = client.get("/v1/uploads", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    third = client.get("/v1/uploads", params={"limit": 2, "cursor": second["next_cursor"]}).json()
    found = [each["id"] for page in (first, second, third) for each in page["items"]]
    assert found == sent[::-1]
    assert third["next_cursor"] is None


@pytest.mark.parametrize(
    ("name", "content"),
    [("upload.json", b"null"), ("upload.json", b'{"a": 1}'), ("upload.json", b"\xff")],
    ids=str,
)
def test_a_damaged_upload_can_only_be_deleted(
    client: TestClient, own_runs: Path, name: str, content: bytes
) -> None:
    upload = client.post("/v1/uploads?name=a.txt", content=b"one\n").json()["id"]
    (own_runs / ".neuroscribe" / "uploads" / upload / name).write_bytes(content)
    spec = {"kind": "run", "run": "new", "settings": {"corpus": f"upload:{upload}"}}
    for answer in (client.get(f"/v1/uploads/{upload}"), client.post("/v1/jobs", json=spec)):
        assert answer.status_code == 409, answer.text
        assert str(own_runs) not in answer.text
    assert client.get("/v1/uploads").json()["items"] == []
    assert client.delete(f"/v1/uploads/{upload}").status_code == 204
    assert client.get(f"/v1/uploads/{upload}").status_code == 404


@pytest.mark.parametrize("how", ["removed", "a folder"])
def test_an_upload_without_its_content_is_refused(
    client: TestClient, own_runs: Path, how: str
) -> None:
    upload = client.post("/v1/uploads?name=a.txt", content=b"one\n").json()["id"]
    path = own_runs / ".neuroscribe" / "uploads" / upload / "content.txt"
    path.unlink()
    if how == "a folder":
        path.mkdir()
    spec = {"kind": "run", "run": "new", "settings": {"corpus": f"upload:{upload}"}}
    for answer in (client.get(f"/v1/uploads/{upload}"), client.post("/v1/jobs", json=spec)):
        assert answer.status_code == 409, answer.text
        assert "send it again" in answer.json()["detail"]
    assert client.delete(f"/v1/uploads/{upload}").status_code == 204


def test_a_log_that_cannot_be_read_is_a_problem(client: TestClient, own_runs: Path) -> None:
    job = submitted(client, REBUILD)["id"]
    (own_runs / ".neuroscribe" / "jobs" / job / "log.jsonl").mkdir(parents=True)
    answer = client.get(f"/v1/jobs/{job}/log")
    assert answer.status_code == 409
    assert str(own_runs) not in answer.text


def test_a_log_does_not_tell_where_python_is_installed(client: TestClient, own_runs: Path) -> None:
    job = submitted(client, REBUILD)["id"]
    log = own_runs / ".neuroscribe" / "jobs" / job / "log.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({"event": f"loads {sys.prefix}/lib/model"}) + "\n")
    (line,) = client.get(f"/v1/jobs/{job}/log").json()["lines"]
    assert json.loads(line)["event"] == "loads lib/model"
