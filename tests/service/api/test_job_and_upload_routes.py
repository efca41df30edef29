"""Jobs and uploads over HTTP, as far as they go without a worker."""

import json
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
    assert answer.status_code in {413, 422}
    assert client.get("/v1/uploads").json()["items"] == []
