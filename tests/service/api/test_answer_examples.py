"""Every answer of the API has an example in the OpenAPI document, and each is such an answer."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pydantic import TypeAdapter

from service.api.answer_examples import EXAMPLES_FILE
from service.client_operations import OPERATIONS
from service.jobs.records import Job

JSON = "application/json"
WITHOUT_EXAMPLE = {"application/vnd.apache.parquet", "text/html"}
"""Bytes, and a page of half a megabyte."""
OF_A_MACHINE = ("/tmp", "/home", "/root", "/usr", "/work", "site-packages")


def answers(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The operation, media type and description of each successful answer with a body."""
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, told in operation["responses"].items():
                if status.startswith("2"):
                    for media_type, content in told.get("content", {}).items():
                        yield operation["operationId"], media_type, content


def test_every_answer_has_an_example_and_no_example_is_left_over(api: FastAPI) -> None:
    found = {(name, kind): "example" in told for name, kind, told in answers(api.openapi())}
    assert {key for key, has_one in found.items() if not has_one and key[1] == JSON} == set()
    assert {kind for (_, kind), has_one in found.items() if not has_one} == WITHOUT_EXAMPLE
    written = json.loads(EXAMPLES_FILE.read_text(encoding="utf-8"))
    kept = {(name, kind) for name, kinds in written.items() for kind in kinds}
    assert kept == {key for key, has_one in found.items() if has_one}
    without = {"delete_run", "delete_upload", "get_report"}
    assert {name for name, _ in kept} > set(OPERATIONS) - without


def test_examples_of_json_are_what_the_models_write(api: FastAPI) -> None:
    document = api.openapi()
    examples = {name: told["example"] for name, kind, told in answers(document) if kind == JSON}
    routes = [each for each in api.routes if isinstance(each, APIRoute)]
    models = {each.name: each.response_model for each in routes}
    for name, example in examples.items():
        model = TypeAdapter(models[name])
        assert model.dump_python(model.validate_python(example), mode="json") == example, name


def test_events_of_a_job_are_jobs(api: FastAPI) -> None:
    texts = {kind: told for name, kind, told in answers(api.openapi()) if name == "follow_job"}
    lines = texts["application/x-ndjson"]["example"].splitlines()
    assert [Job.model_validate_json(line).state for line in lines] == ["queued", "done"]
    events = "".join(f"event: job\ndata: {line}\n\n" for line in lines)
    assert texts["text/event-stream"]["example"] == events


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_export_has_the_columns_of_its_example(
    client: TestClient, api: FastAPI, kind: str
) -> None:
    media_type = {"csv": "text/csv", "jsonl": "application/x-ndjson"}[kind]
    (shown,) = (
        told["example"]
        for name, media, told in answers(api.openapi())
        if (name, media) == ("export_run", media_type)
    )
    answer = client.get(f"/v1/runs/reviews/export/explanations.{kind}")
    assert answer.status_code == HTTPStatus.OK
    first, found = shown.splitlines()[0], answer.text.splitlines()[0]
    if kind == "jsonl":
        assert list(json.loads(first)) == list(json.loads(found))
    else:
        assert first == found


def test_examples_tell_nothing_of_a_machine() -> None:
    text = EXAMPLES_FILE.read_text(encoding="utf-8")
    assert [each for each in OF_A_MACHINE if each in text] == []
