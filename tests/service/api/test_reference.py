"""The reference of the API as a page."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.reference import reference_of, type_of
from service.service_settings import ServiceSettings


def test_the_page_tells_every_operation_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    app = create_app(ServiceSettings.told(runs=tmp_path))
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        page = client.get("/docs")
    assert page.status_code == 200
    document = app.openapi()
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"<code>{method.upper()} {path}</code>" in page.text
    for name in document["components"]["schemas"]:
        assert f'id="schema-{name}"' in page.text
    # Of a request, of an answer in JSON, and of one in lines.
    for example in ("they never sent", "review0120-4", "event: job\ndata: "):
        assert example.lower() in page.text.lower()
    assert "A <em>run</em> is a folder" in page.text
    assert "*" not in re.sub(r"<code>.*?</code>", "", page.text, flags=re.DOTALL)
    assert not re.search(r"(src|href)=\"(https?:)?//", page.text)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "anything"),
        ({"type": "string"}, "string"),
        ({"type": "string", "format": "date-time"}, "date-time"),
        ({"$ref": "#/components/schemas/Job"}, "Job"),
        ({"type": "array", "items": {"type": "integer"}}, "list of integer"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"enum": ["+", "-"], "type": "string"}, '"+", "-"'),
        ({"const": "run"}, '"run"'),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "object of number"),
    ],
)
def test_types_in_words(schema: dict[str, object], words: str) -> None:
    assert type_of(schema) == words


def test_a_document_that_says_little() -> None:
    found = reference_of(
        {"info": {"title": "t", "version": "1"}, "paths": {"/a": {"get": {"responses": {}}}}}
    )
    assert [each.path for group in found.groups for each in group.operations] == ["/a"]
    assert found.schemas == ()
