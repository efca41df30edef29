"""schemathesis asks everything that the OpenAPI document allows, and much that it does not."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.python.asgi import HOST, shutdown_lifespans
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service.api.app import create_app
from service.client_operations import OPERATIONS
from service.run_library import RunLibrary
from service.service_settings import ServiceSettings

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "5"))
"""Of each operation and way of making them; more are for a long check by hand."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def fuzzed(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """A running application over a run of its own."""
    runs = tmp_path_factory.mktemp("fuzzed")
    shutil.copytree(small_run, runs / "reviews")
    told = {"job_workers": 0, "requests_per_minute": 0, "authentication": "off"}
    app = create_app(ServiceSettings.told(runs=runs, allowed_hosts=(HOST,), **told))
    # Starts the application; it runs until schemathesis is told to stop what it started.
    schemathesis.openapi.from_asgi("/openapi.json", app)
    yield app
    shutdown_lifespans()


@pytest.fixture(scope="module")
def names(fuzzed: FastAPI) -> dict[str, str]:
    """Values of path parameters that name what is there."""
    library: RunLibrary = fuzzed.state.service.runs
    descriptor = library.open("reviews").descriptors(search="", kept=True, offset=0, limit=1)
    client = TestClient(fuzzed, base_url=f"http://{HOST}")
    job = client.post("/v1/jobs", json={"kind": "rebuild", "run": "reviews"}).json()
    upload = client.post("/v1/uploads?name=a.txt", content=b"one\ntwo\n").json()
    return {
        "run": "reviews",
        "address": "L1.ffn.3",
        "descriptor": descriptor.items[0].id,
        "job": job["id"],
        "upload": upload["id"],
    }


@pytest.mark.slow
@pytest.mark.parametrize("operation_id", sorted(OPERATIONS))
@pytest.mark.parametrize("found", [True, False], ids=["of what is there", "of anything"])
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_answers_are_as_documented(
    fuzzed: FastAPI,
    names: dict[str, str],
    operation_id: str,
    found: bool,
    mode: GenerationMode,
) -> None:
    """No fault of the server, and no status, media type or body but those of the document."""
    operation = schemathesis.openapi.from_asgi("/openapi.json", fuzzed).find_operation_by_id(
        operation_id
    )
    own = [each.name for each in operation.path_parameters]
    # What is there must stay, and a job that no worker does is told of for ever.
    keeps = operation.method != "delete" and operation_id != "follow_job"
    given_names: dict[str, Any] = {name: names[name] for name in own if name in names}
    if found and not (keeps and given_names):
        pytest.skip("it would remove what is there, or names nothing")
    checks = [*CHECKS, negative_data_rejection] if mode is GenerationMode.NEGATIVE else CHECKS
    paths = {"path_parameters": given_names} if found else {}

    @given(case=operation.as_strategy(generation_mode=mode, **paths))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=EXAMPLES < 10,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Case) -> None:
        case.call_and_validate(checks=checks)

    try:
        ask()
    except Unsatisfiable:
        pytest.skip("nothing of it can be wrong")
