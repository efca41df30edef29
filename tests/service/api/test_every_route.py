"""Every operation of the OpenAPI document, asked hostile things: none is forgotten, none breaks."""

import copy
import json
import re
import shutil
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response

from service.api.app import create_app
from service.client_operations import OPERATIONS
from service.service_settings import ServiceSettings
from tests.service.api.conftest import BASE_URL, settings_over

WORDS = [
    *("", " ", "-1", "9" * 30, "9223372036854775808", "1e400", "NaN", "-Infinity", "null", "true"),
    *("..", "../../etc/passwd", "%00", "a%00b", "%0d%0aX:y", "%ff%fe", "%ed%a0%80", "x" * 4000),
    *("[1]", "{}", "<script>", "' OR 1=1 --", "*", "%25s", "\u0661", "\U0001f600", "\u202e"),
]
VALUES: list[Any] = [
    *(None, True, 0, -1, 2**63, 10**40, 1e308, 0.5, float("nan"), float("-inf")),
    *("", " ", "\0", "a\0b", "\ud800", "x" * 3000, "x" * 200_000, "=cmd|' /C calc'!A0", "../../x"),
    *("upload:../../x", "hf:../../x", [], {}, [[]], [None], {"a": 1}, ["x"] * 5000),
]
RAW = {
    "nothing": b"",
    "cut off": b'{"kind":',
    "no text": b"\0" * 100,
    "not UTF-8": b'{"run":"\xff"}',
    "another encoding": '{"run":"a"}'.encode("utf-16"),
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "a number of 900,000 digits": b'{"run":' + b"9" * 900_000 + b"}",
    "50,000 names": json.dumps({str(n): n for n in range(50_000)}).encode(),
    "10 MB": b'{"run":"' + b"x" * 10_000_000 + b'"}',
}
LONGEST_PROBLEM = 40_000


@pytest.fixture(scope="module")
def walked(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service over a run that is walked over."""
    runs = tmp_path_factory.mktemp("walked")
    shutil.copytree(small_run, runs / "reviews")
    with TestClient(
        create_app(settings_over(runs)), base_url=BASE_URL, raise_server_exceptions=False
    ) as client:
        yield client


@pytest.fixture(scope="module")
def names(walked: TestClient) -> dict[str, str]:
    """What is there."""
    job = walked.post("/v1/jobs", json={"kind": "rebuild", "run": "reviews"}).json()
    walked.post(f"/v1/jobs/{job['id']}/cancel")
    upload = walked.post("/v1/uploads?name=a.txt", content=b"one\ntwo\n").json()
    descriptors = walked.get("/v1/runs/reviews/descriptors?limit=1").json()["items"]
    return {
        "run": "reviews",
        "address": "L1.ffn.3",
        "descriptor": descriptors[0]["id"],
        "job": job["id"],
        "upload": upload["id"],
        "table": "explanations",
        "table_format": "csv",
    }


def is_answered(answer: Response) -> None:
    """Check that a request was answered, or refused by a problem that is not itself a burden."""
    told = (answer.request.method, str(answer.request.url)[:200], answer.text[:500])
    assert answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR, told
    if answer.status_code >= HTTPStatus.BAD_REQUEST and answer.request.method != "HEAD":
        assert answer.headers["content-type"] == "application/problem+json", told
        assert set(answer.json()) == {"type", "title", "status", "detail", "instance"}, told
        assert len(answer.content) < LONGEST_PROBLEM, told
        assert "Traceback" not in answer.text, told


def described(client: TestClient, operation_id: str) -> dict[str, Any]:
    """What the document says of an operation."""
    operation = OPERATIONS[operation_id]
    document: dict[str, Any] = client.get("/openapi.json").json()
    found: dict[str, Any] = document["paths"][operation.path][operation.method.lower()]
    assert found["operationId"] == operation_id
    return found


def examples_of(told: dict[str, Any]) -> list[Any]:
    """The bodies that the document shows for an operation."""
    content = told.get("requestBody", {}).get("content", {}).get("application/json", {})
    return [
        *(each["value"] for each in content.get("examples", {}).values()),
        *content.get("schema", {}).get("examples", []),
    ]


def spoilt(example: Any) -> Iterator[Any]:
    """A body with each of its parts replaced by each value, left out, and with a name too many."""
    for place in places(example):
        for value in VALUES:
            yield changed(example, place, value) if place else value
    yield {**example, "__proto__": 1}
    for name in example:
        yield {key: value for key, value in example.items() if key != name}


def places(content: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    if isinstance(content, dict | list):
        keys = list(content) if isinstance(content, dict) else range(len(content))
        for key in keys:
            yield from places(content[key], (*place, key))


def changed(content: Any, place: tuple[Any, ...], value: Any) -> Any:
    new = copy.deepcopy(content)
    part = new
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return new


def test_the_walk_is_over_every_operation(api: FastAPI) -> None:
    document = api.openapi()
    found = {
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
    }
    own_pages = {"is_alive", "is_ready", "read_metrics"}
    assert found - own_pages == set(OPERATIONS) - own_pages


@pytest.mark.parametrize("operation_id", sorted(OPERATIONS))
def test_names_and_bodies_have_examples(api: FastAPI, operation_id: str) -> None:
    operation = OPERATIONS[operation_id]
    told = api.openapi()["paths"][operation.path][operation.method.lower()]
    for each in told.get("parameters", []):
        is_choice = "enum" in each["schema"] or "$ref" in each["schema"]
        if each["in"] == "path" and not is_choice:
            (shown, *_) = each["schema"]["examples"]
            assert re.fullmatch(each["schema"]["pattern"], shown)
    if "application/json" in told.get("requestBody", {}).get("content", {}):
        assert examples_of(told)
    problem = api.openapi()["components"]["schemas"]["Problem"]
    assert set(problem["examples"][0]) == set(problem["properties"])


@pytest.mark.slow
@pytest.mark.parametrize("operation_id", sorted(OPERATIONS))
def test_hostile_paths_and_parameters(
    walked: TestClient, names: dict[str, str], operation_id: str
) -> None:
    operation, told = OPERATIONS[operation_id], described(walked, operation_id)
    parameters = told.get("parameters", [])
    needed = {
        each["name"]: "a.exe"
        for each in parameters
        if each["in"] == "query" and each.get("required")
    }
    example = next(iter(examples_of(told)), None)

    def ask(path: str, query: dict[str, str], **headers: str) -> None:
        asked = "&".join(f"{name}={quote(word, safe='%')}" for name, word in query.items())
        is_answered(
            walked.request(operation.method, f"{path}?{asked}", json=example, headers=headers)
        )

    for each in parameters:
        for word in WORDS:
            if each["in"] == "path":
                given = {**names, each["name"]: quote(word, safe="%")}
                if word or operation.method != "DELETE":
                    ask(operation.path.format(**given), needed)
            elif operation.method == "DELETE":
                continue
            elif each["in"] == "query":
                ask(operation.path.format(**names), {**needed, each["name"]: word})
            elif word.isascii() and word.isprintable():
                ask(operation.path.format(**names), needed, **{each["name"]: word})
    if operation.method != "DELETE":
        ask(operation.path.format(**names), {**needed, "nosuch": "1"})


@pytest.mark.slow
@pytest.mark.parametrize("operation_id", sorted(OPERATIONS))
def test_hostile_bodies(walked: TestClient, names: dict[str, str], operation_id: str) -> None:
    operation, told = OPERATIONS[operation_id], described(walked, operation_id)
    if operation.method != "POST":
        pytest.skip("it takes no body")
    path = operation.path.format(**names)
    headers = {"Content-Type": "application/json", "If-Match": '"stale"'}
    for body in RAW.values():
        for media in ("application/json", "text/plain", "multipart/form-data", ""):
            sent = {**headers, "Content-Type": media}
            is_answered(walked.post(path, content=body, headers=sent))
    for example in examples_of(told):
        for body in spoilt(example):
            is_answered(walked.post(path, content=json.dumps(body).encode(), headers=headers))


@pytest.mark.parametrize("operation_id", sorted(OPERATIONS))
def test_head_and_options_and_methods_that_are_not_taken(
    walked: TestClient, names: dict[str, str], operation_id: str
) -> None:
    operation = OPERATIONS[operation_id]
    document = walked.get("/openapi.json").json()
    own = {method.upper() for method in document["paths"][operation.path]}
    allowed = own | {"OPTIONS"} | ({"HEAD"} if "GET" in own else set())
    path = operation.path.format(**names)
    options = walked.options(path)
    assert (options.status_code, options.content) == (204, b"")
    assert set(options.headers["allow"].split(", ")) == allowed
    refused = walked.put(path)
    assert refused.status_code == 405
    assert set(refused.headers["allow"].split(", ")) == allowed
    assert refused.headers["allow"] in refused.json()["detail"]
    head = walked.head(path, params={"q": "day"} if "concepts" in path else {})
    assert head.content == b""
    if "GET" in own:
        assert head.status_code == 200
        assert head.headers["content-type"]
    else:
        assert head.status_code == 405


def test_head_tells_what_get_tells(walked: TestClient, names: dict[str, str]) -> None:
    for path in ("/v1/runs", "/v1/runs/reviews/neurons/L1.ffn.3", "/v1/runs/reviews/report", "/"):
        head, get = walked.head(path), walked.get(path)
        for name in ("etag", "content-length", "content-type", "cache-control"):
            assert head.headers.get(name) == get.headers.get(name), (path, name)
    etag = walked.head("/v1/runs/reviews/overview").headers["etag"]
    again = walked.head("/v1/runs/reviews/overview", headers={"If-None-Match": etag})
    assert again.status_code == 304
    assert walked.head("/v1/runs/nosuch").status_code == 404
    assert walked.head("/v1/nosuch").status_code == walked.options("/v1/nosuch").status_code == 404


def test_head_does_not_wait_for_a_job_that_goes_on(walked: TestClient) -> None:
    job = walked.post("/v1/jobs", json={"kind": "explain", "run": "waiting"}).json()
    answer = walked.head(f"/v1/jobs/{job['id']}/events")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    walked.post(f"/v1/jobs/{job['id']}/cancel")


def test_head_needs_the_key_that_get_needs(own_runs: Path) -> None:
    settings: ServiceSettings = settings_over(own_runs, authentication="required")
    with TestClient(create_app(settings), base_url=BASE_URL) as client:
        for method in ("HEAD", "OPTIONS"):
            assert client.request(method, "/v1/runs").status_code == 401
        assert client.head("/healthz").status_code == 200
