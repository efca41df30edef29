"""The Python client against the OpenAPI document, and against a running service."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import neuroscribe
from indexer.errors import (
    BackendError,
    BusyError,
    InputError,
    NeuroscribeError,
    NotFoundError,
    RunError,
    StaleError,
)
from service.api.edit_requests import BanRequest, SeedRequest
from service.client import Client
from service.client_operations import OPERATIONS
from service.client_requests import error_of
from service.export import Table
from service.jobs.records import JobKind, JobState, RebuildJob
from service.run_directory import RunDirectory
from service.table_files import TableFormat
from service.views.records import NeuronFilter
from service.views.run_view import RunView

BASE_URL = "http://127.0.0.1:8765"
NOT_OF_THE_API = {"is_alive", "is_ready", "read_metrics"}


class Recorder(httpx2.BaseTransport):
    """Hands requests on to an application in this process, and notes them with their answers."""

    def __init__(self, app: TestClient) -> None:
        self._transport = app._transport
        self.seen: list[tuple[httpx2.Request, httpx2.Response]] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self._transport.handle_request(request)
        self.seen.append((request, response))
        return response


@pytest.fixture
def recorder(served: Callable[..., TestClient]) -> Recorder:
    """Notes what a client asks a service of its own."""
    return Recorder(served())


@pytest.fixture
def asking(recorder: Recorder) -> Iterator[Client]:
    """A client of that service."""
    with Client(BASE_URL, transport=recorder) as opened:
        yield opened


def use_everything(client: Client, tmp_path: Path) -> None:
    """Call every method once, with every argument it has."""
    run = next(client.list_runs()).name
    client.get_run(run)
    client.get_overview(run)
    client.get_layer_map(run)
    address = next(client.list_neurons(run, NeuronFilter(described=True, minimum_score=0.5))).neuron
    client.get_neuron(run, address)
    client.find_concept(run, "battery", n_descriptors=2, n_neurons=3)
    descriptor = next(client.list_descriptors(run, kept=True)).id
    client.get_descriptor(run, descriptor)
    assert list(client.list_sentences(run, descriptor))
    client.explain_text(run, "The battery broke.", n_neurons=2)
    assert list(client.list_figures(run, protocol="controls", split="test"))
    wish = SeedRequest(kind="seed", text="battery life")
    client.edit_descriptors(run, wish, if_match=client.catalog_etag(run), dry_run=True)
    client.edit_descriptors(run, wish, if_match=client.catalog_etag(run))
    assert [edit.kind for edit in client.list_edits(run)] == ["seed"]
    for table_format in TableFormat:
        client.export_run(run, Table.NEURONS, table_format, tmp_path / f"neurons.{table_format}")
    client.get_report(run, tmp_path / "report.html")
    job = client.submit_job(RebuildJob(run=run), idempotency_key="a-key-of-mine")
    assert client.submit_job(RebuildJob(run=run), idempotency_key="a-key-of-mine").id == job.id
    assert client.get_job(job.id).state is JobState.QUEUED
    assert client.read_log(job.id, offset=0).lines == ()
    client.cancel_job(job.id)
    assert client.wait(job.id).state is JobState.CANCELLED
    listed = client.list_jobs(run=run, kind=JobKind.REBUILD, state=JobState.CANCELLED)
    assert [each.id for each in listed] == [job.id]
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("one text\nanother text\n")
    upload = client.upload(corpus)
    assert [each.id for each in client.list_uploads()] == [upload.id]
    assert client.get_upload(upload.id, n_rows=1).preview.rows == ({"text": "one text"},)
    client.delete_upload(upload.id)
    client.delete_run(run)


def test_every_operation_has_a_method(api: FastAPI) -> None:
    documented = {
        operation["operationId"]: (method.upper(), path)
        for path, methods in api.openapi()["paths"].items()
        for method, operation in methods.items()
        if "health" not in operation.get("tags", ())
    }
    asked = {name: (each.method, each.path) for name, each in OPERATIONS.items()}
    assert asked == documented
    assert all(callable(getattr(Client, name)) for name in OPERATIONS)


def test_what_the_client_sends_and_reads_is_documented(
    asking: Client, recorder: Recorder, api: FastAPI, tmp_path: Path
) -> None:
    use_everything(asking, tmp_path)
    document = api.openapi()
    used = set()
    for request, response in recorder.seen:
        operation = documented(document, request)
        used.add(operation["operationId"])
        declared = {each["name"] for each in operation["parameters"] if each["in"] == "query"}
        assert set(request.url.params) <= declared
        headers = {each["name"].lower() for each in operation["parameters"]}
        for name in ("if-match", "idempotency-key", "accept"):
            if request.headers.get(name, "*/*") != "*/*":
                assert name in headers
        answer = operation["responses"][str(response.status_code)]
        if response.status_code != 204:
            sent = response.headers["content-type"].partition(";")[0]
            assert sent in answer["content"]
    assert used == set(OPERATIONS)


def documented(document: dict[str, Any], request: httpx2.Request) -> dict[str, Any]:
    """The operation of the document that a request asks for."""
    found: list[dict[str, Any]] = [
        methods[request.method.lower()]
        for path, methods in document["paths"].items()
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), request.url.path)
        and request.method.lower() in methods
    ]
    assert found, request.url
    operation = found[0]
    return {"parameters": [], **operation}


def test_answers_are_the_records_of_the_document(api: FastAPI) -> None:
    """Of each method that answers with one record, its name is that of the documented schema."""
    document = api.openapi()
    for name, operation in OPERATIONS.items():
        told = document["paths"][operation.path][operation.method.lower()]["responses"]
        success = next(answer for status, answer in told.items() if status.startswith("2"))
        schema = success.get("content", {}).get("application/json", {}).get("schema", {})
        answered = Client.__dict__[name].__annotations__["return"]
        if "$ref" in schema and not answered.startswith("Iterator"):
            assert schema["$ref"].rpartition("/")[2] == answered, name


def test_lists_ask_for_pages_as_they_are_read(
    asking: Client, recorder: Recorder, oracle: RunView
) -> None:
    every = oracle.tails(NeuronFilter(), offset=0, limit=10_000)
    assert every.total > 200
    listed = asking.list_neurons("reviews")
    first = next(listed)
    assert len(recorder.seen) == 1
    assert (first, *listed) == every.items
    assert len(recorder.seen) == 1 + (every.total - 1) // 200


def test_problems_are_raised_as_the_errors_they_were(asking: Client, own_runs: Path) -> None:
    for kind, ask in (
        (NotFoundError, lambda: asking.get_run("nosuch")),
        (NotFoundError, lambda: asking.get_neuron("reviews", "L9.ffn.0")),
        (NotFoundError, lambda: asking.get_job("nosuch")),
        (InputError, lambda: asking.get_neuron("reviews", "not a neuron?")),
        (InputError, lambda: asking.find_concept("reviews", "")),
        (StaleError, lambda: edit(asking, "an old one")),
    ):
        with pytest.raises(NeuroscribeError) as raised:
            ask()
        assert type(raised.value) is kind
    directory = RunDirectory.create(own_runs / "reviews")
    try:
        with pytest.raises(BusyError, match="another process"):
            asking.delete_run("reviews")
    finally:
        directory.close()


def edit(client: Client, etag: str) -> object:
    wish = BanRequest(kind="ban", descriptor="battery")
    return client.edit_descriptors("reviews", wish, if_match=etag)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((404, NotFoundError), (409, RunError), (413, InputError), (418, InputError)),
        *((429, BackendError), (500, BackendError), (503, BackendError)),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"type": 1}', b"\xff"])
def test_an_answer_without_a_problem_is_an_error_too(
    status: int, kind: type[NeuroscribeError], body: bytes
) -> None:
    error = error_of(status, body)
    assert type(error) is kind
    assert str(status) in str(error)


def test_an_unknown_problem_keeps_its_words() -> None:
    body = {"type": "urn:neuroscribe:problem:RateError", "detail": "too many; wait 3 s"}
    error = error_of(429, json.dumps(body).encode())
    assert type(error) is BackendError
    assert str(error) == "too many; wait 3 s"


def test_a_service_that_is_not_there() -> None:
    client = Client("http://127.0.0.1:9", timeout=2)
    with client, pytest.raises(BackendError, match="neuroscribe serve"):
        client.get_run("reviews")


def test_a_broken_download_leaves_no_file(asking: Client, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        asking.export_run("nosuch", Table.NEURONS, TableFormat.CSV, tmp_path / "neurons.csv")
    assert list(tmp_path.glob("neurons*")) == []


def test_a_key_is_sent() -> None:
    seen = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers["authorization"])
        return httpx2.Response(404)

    client = Client(BASE_URL, "ns_key", transport=httpx2.MockTransport(answer))
    with client, pytest.raises(NotFoundError):
        client.get_run("reviews")
    assert seen == ["Bearer ns_key"]


def test_it_is_public() -> None:
    assert neuroscribe.Client is Client
