"""Keys, sessions and counts of jobs on SQLite and PostgreSQL, also while the database is away."""

from threading import Thread
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from indexer.errors import BackendError
from service.api.app import create_app
from service.api.key_records import Scope
from service.api.key_tables import KeyDatabase
from service.api.keys import KeyStore
from service.service_settings import ServiceSettings

JOB = {"kind": "run", "run": "one", "settings": {"corpus": "sample", "proposers": ["keyphrase"]}}


def keyed(client: TestClient) -> tuple[KeyStore, dict[str, str]]:
    app = client.app
    assert isinstance(app, FastAPI)
    keys: KeyStore = app.state.service.keys
    made = keys.create("bob", Scope.ADMIN)
    return keys, {"x-api-key": made.secret.get_secret_value()}


def asking(settings: ServiceSettings) -> TestClient:
    required = settings.model_copy(update={"authentication": "required"})
    return TestClient(create_app(required), base_url="http://localhost", follow_redirects=False)


def test_many_prepare_at_once(service_settings: ServiceSettings) -> None:
    failed: list[BackendError] = []

    def prepare() -> None:
        database = KeyDatabase(service_settings.database)
        try:
            database.prepare()
        except BackendError as error:
            failed.append(error)
        finally:
            database.close()

    threads = [Thread(target=prepare) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_keys_sessions_and_counts(service_settings: ServiceSettings) -> None:
    with asking(service_settings) as client:
        keys, headers = keyed(client)
        jobs = [client.post("/v1/jobs", json=JOB, headers=headers) for _ in range(2)]
        assert [job.status_code for job in jobs] == [202, 202]
        client.post(f"/v1/jobs/{jobs[0].json()['id']}/cancel", headers=headers)
        counts = client.get("/metrics", headers=headers).text
        assert 'neuroscribe_jobs{state="queued"} 1.0' in counts
        assert 'neuroscribe_jobs{state="cancelled"} 1.0' in counts
        assert client.post("/login", data={"key": headers["x-api-key"]}).status_code == 303
        assert client.get("/v1/jobs").status_code == 200
        (key,) = keys.list()
        assert key.used_at is not None
        keys.revoke(key.id)
        assert client.get("/v1/jobs").status_code == 401
        assert client.get("/v1/jobs", headers=headers).status_code == 401


@pytest.mark.slow
@pytest.mark.parametrize("service_settings", ["postgresql"], indirect=True)
def test_a_database_that_is_away_for_a_while(
    postgres: Any, service_settings: ServiceSettings
) -> None:
    with asking(service_settings) as client:
        keys, headers = keyed(client)
        assert client.post("/v1/jobs", json=JOB, headers=headers).status_code == 202
        postgres.stop()
        try:
            keys._keys.clear()  # what passing seconds do
            for path in ("/v1/runs", "/v1/jobs", "/readyz"):
                answer = client.get(path, headers=headers)
                assert answer.status_code == 503
                assert "tester" not in answer.text
            assert client.get("/healthz").status_code == 200
        finally:
            postgres.start()
        assert client.get("/readyz").status_code == 200
        assert len(client.get("/v1/jobs", headers=headers).json()["items"]) == 1
