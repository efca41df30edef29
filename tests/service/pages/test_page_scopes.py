"""What holders of keys see: nothing to write with where the key may only read."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.key_records import Scope
from service.api.state import ServiceState
from service.folder_lock import lock_folder
from service.jobs.records import ExplainJob
from service.service_settings import ServiceSettings
from service.views.run_cards import SETTINGS

pytestmark = pytest.mark.slow

RUN = "hostile"
READING_FORM = f'<form id="live" action="/runs/{RUN}/text" method="post"'
DELETING = f'action="/runs/{RUN}/delete"'
SEE_OTHER, FORBIDDEN, NOT_FOUND, CONFLICT = 303, 403, 404, 409


@pytest.fixture(scope="module")
def locked(page_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service that asks for keys, with a pending edit and a job that waits."""
    runs = tmp_path_factory.mktemp("locked")
    shutil.copytree(page_runs / RUN, runs / RUN)
    settings = ServiceSettings.told(
        runs=runs,
        job_workers=0,
        requests_per_minute=0,
        log_level="ERROR",
        authentication="required",
    )
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8765") as client:
        yield client


def state_of(client: TestClient) -> ServiceState:
    app: object = client.app
    found: ServiceState = app.state.service  # type: ignore[attr-defined]
    return found


def key(client: TestClient, scope: Scope) -> dict[str, str]:
    made = state_of(client).keys.create(f"<i>{scope}</i>", scope)
    return {"Authorization": f"Bearer {made.secret.get_secret_value()}", "Accept": "text/html"}


def posts(text: str) -> int:
    """How many forms of a page write."""
    return text.count('method="post"') - text.count(READING_FORM)


def test_who_may_only_read_sees_nothing_to_write_with(
    locked: TestClient, page_paths: list[str]
) -> None:
    job = state_of(locked).jobs.submit(ExplainJob(run=RUN))
    reader, writer, admin = (key(locked, scope) for scope in Scope)
    seen = 0
    for path in (*page_paths, f"/jobs/{job.id}"):
        if path.startswith(("/login", "/start?")):
            continue
        read, written = (locked.get(path, headers=each).text for each in (reader, writer))
        assert posts(read) == 0, path
        assert 'href="/start"' not in read, path
        assert 'href="/start"' in written, path
        assert f"/runs/{RUN}/delete" not in written or path.endswith("/delete"), path
        assert DELETING not in written
        seen += posts(written)
    # Starting, cancelling, evaluating, and edits of two pages of descriptors.
    assert seen > 8
    assert DELETING in locked.get(f"/runs/{RUN}/delete", headers=admin).text
    assert f"/runs/{RUN}/delete" in locked.get(f"/runs/{RUN}", headers=admin).text
    state_of(locked).jobs.cancel(job.id)


def test_deleting_asks_for_the_scope(locked: TestClient) -> None:
    for scope in (Scope.READ, Scope.WRITE):
        answer = locked.post(f"/runs/{RUN}/delete", headers=key(locked, scope))
        assert answer.status_code == FORBIDDEN
        assert RUN in state_of(locked).runs.names()


def test_who_is_signed_in_is_told_and_can_leave(locked: TestClient) -> None:
    secret = key(locked, Scope.READ)["Authorization"].removeprefix("Bearer ")
    origin = {"Origin": "http://127.0.0.1:8765"}
    page = locked.post("/login", data={"key": secret, "next": "/jobs"}, headers=origin).text
    assert "&lt;i&gt;read&lt;/i&gt;" in page
    assert 'action="/logout"' in page
    left = locked.post("/logout", headers=origin)
    assert 'action="/logout"' not in left.text
    assert 'href="/start"' not in left.text
    assert locked.get("/jobs", follow_redirects=False).status_code == SEE_OTHER


def test_every_page_leads_to_the_reference(pages: TestClient) -> None:
    assert 'href="/docs"' in pages.get("/").text
    assert pages.get("/docs").status_code == 200


def test_a_run_is_deleted_after_a_question(own_pages: TestClient) -> None:
    runs = state_of(own_pages).runs
    asked = own_pages.get(f"/runs/{RUN}/delete").text
    assert DELETING in asked
    assert RUN in runs.names()
    held = lock_folder(runs.path(RUN), SETTINGS, frozenset())
    refused = own_pages.post(f"/runs/{RUN}/delete")
    assert refused.status_code == CONFLICT
    assert "Not deleted." in refused.text
    assert str(runs.folder) not in refused.text
    os.close(held)
    answer = own_pages.post(f"/runs/{RUN}/delete", follow_redirects=False)
    assert answer.status_code == SEE_OTHER
    assert "hostile is deleted." in own_pages.get(answer.headers["Location"]).text
    assert runs.names() == []
    assert own_pages.get(f"/runs/{RUN}").status_code == NOT_FOUND
    assert own_pages.post(f"/runs/{RUN}/delete").status_code == NOT_FOUND
