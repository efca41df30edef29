"""Every operation of the API while PostgreSQL is stopped, and after it is back."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.client_operations import OPERATIONS
from service.service_settings import ServiceSettings

BASE_URL = "http://127.0.0.1:8765"
REBUILD = {"kind": "rebuild", "run": "reviews"}


@pytest.mark.slow
def test_every_operation_says_so_and_nothing_is_lost(
    postgres: Any, small_run: Path, tmp_path: Path, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    shutil.copytree(small_run, tmp_path / "runs" / "reviews")
    settings = ServiceSettings.told(
        runs=tmp_path / "runs",
        database_url=postgres.url(f"api_{time.time_ns()}"),
        job_workers=0,
        requests_per_minute=0,
    )
    with TestClient(create_app(settings), base_url=BASE_URL) as client:
        job = client.post("/v1/jobs", json=REBUILD, headers={"Idempotency-Key": "before-it"}).json()
        names = {"run": "reviews", "address": "L1.ffn.3", "descriptor": "x", "job": job["id"]}
        names |= {"upload": "0" * 16, "table": "neurons", "table_format": "csv"}
        postgres.stop()
        try:
            # What was asked of the database last is believed for some seconds.
            wait_until(lambda: client.get("/v1/runs").status_code == 503)
            for operation in OPERATIONS.values():
                asked = operation.path.format(**names)
                answer = client.request(operation.method, asked, json=REBUILD)
                assert answer.status_code == 503, (operation, answer.text)
                assert answer.json()["type"] == "urn:neuroscribe:problem:BackendError"
                assert "once it is back" in answer.json()["detail"]
            assert client.get("/readyz").status_code == 503
            assert client.get("/healthz").status_code == 200
        finally:
            postgres.start()
        wait_until(lambda: client.get("/readyz").status_code == 200)
        again = client.post("/v1/jobs", json=REBUILD, headers={"Idempotency-Key": "before-it"})
        assert again.json() == job
        assert client.get("/v1/jobs").json()["items"] == [job]
        assert client.get("/v1/runs/reviews/overview").status_code == 200
