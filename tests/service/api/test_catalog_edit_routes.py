"""Edits over HTTP: kept once, refused to whoever has not seen the last one."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from descriptors.edit_file import read_edits
from service.catalog_editing import EditableCatalog
from service.catalog_etag import catalog_etag
from service.run_directory import RunDirectory
from service.views.run_view import RunView

RUN = "/v1/runs/reviews"


@pytest.fixture
def editor(served: Callable[..., TestClient]) -> TestClient:
    """A client of a service whose run the test may change."""
    return served()


def edit(client: TestClient, wish: dict[str, Any], etag: str | None, **params: Any) -> Response:
    """Ask for an edit."""
    headers = {} if etag is None else {"If-Match": f'"{etag}"'}
    answer: Response = client.post(f"{RUN}/edits", json=wish, headers=headers, params=params)
    return answer


def etag_of(client: TestClient) -> str:
    """What the next edit must name."""
    etag: str = client.get(f"{RUN}/edits").json()["catalog_etag"]
    return etag


def test_every_kind_of_edit_by_id_and_by_phrase(editor: TestClient, own_runs: Path) -> None:
    kept = EditableCatalog.open(own_runs / "reviews").descriptors
    first, second, third = [each for each in kept if each.kept][:3]
    wishes = [
        {"kind": "seed", "text": "battery life"},
        {"kind": "rename", "descriptor": first.id, "text": "renamed by a test"},
        {"kind": "lock", "descriptor": second.text},
        {"kind": "unlock", "descriptor": second.id},
        {"kind": "merge", "descriptors": [second.id, third.text], "text": "screen or sound"},
        {"kind": "ban", "descriptor": "renamed by a test"},
    ]
    for place, wish in enumerate(wishes, start=1):
        answer = edit(editor, wish, etag_of(editor))
        assert answer.status_code == 200, answer.text
        outcome = answer.json()
        assert (outcome["run"], outcome["dry_run"]) == ("reviews", False)
        assert outcome["pending"] == place
        assert [each["kind"] for each in outcome["edits"]] == [wish["kind"]]
    kept_edits = read_edits(own_runs / "reviews")
    assert [each.kind.value for each in kept_edits] == [wish["kind"] for wish in wishes]
    page = editor.get(f"{RUN}/edits", params={"limit": 4}).json()
    assert (page["total"], page["pending"], len(page["items"])) == (6, 6, 4)
    rest = editor.get(f"{RUN}/edits", params={"cursor": page["next_cursor"]}).json()
    assert [*page["items"], *rest["items"]] == [e.model_dump(mode="json") for e in kept_edits]
    assert editor.get(f"{RUN}/descriptors").json()["pending_edits"] == 6


def test_a_dry_run_tells_and_keeps_nothing(editor: TestClient, own_runs: Path) -> None:
    before = etag_of(editor)
    answer = edit(editor, {"kind": "seed", "text": "battery life"}, before, dry_run=True)
    assert answer.json()["dry_run"] is True
    assert [each["text"] for each in answer.json()["changed"]] == ["battery life"]
    assert read_edits(own_runs / "reviews") == []
    assert etag_of(editor) == before


def test_an_edit_must_name_the_catalog(editor: TestClient, own_runs: Path) -> None:
    answer = edit(editor, {"kind": "seed", "text": "battery life"}, None)
    assert answer.status_code == 428
    assert answer.json()["type"] == "urn:neuroscribe:problem:PreconditionRequired"
    assert read_edits(own_runs / "reviews") == []


def test_an_edit_of_what_has_changed_is_refused(editor: TestClient) -> None:
    before = etag_of(editor)
    assert edit(editor, {"kind": "seed", "text": "battery life"}, before).status_code == 200
    answer = edit(editor, {"kind": "seed", "text": "screen size"}, before)
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:neuroscribe:problem:StaleError"
    now = answer.headers["etag"].strip('"')
    assert now == etag_of(editor) != before
    assert edit(editor, {"kind": "seed", "text": "screen size"}, now).status_code == 200


def test_of_edits_at_once_one_is_kept(editor: TestClient, own_runs: Path) -> None:
    """Each round: several threads with one ETag, and one edit more."""
    for place in range(5):
        etag = etag_of(editor)
        statuses: list[tuple[int, str]] = []
        start = threading.Barrier(4)

        def ask(number: int, place: int = place, etag: str = etag) -> None:
            start.wait()  # noqa: B023 - the thread ends within the round
            wish = {"kind": "seed", "text": f"phrase {'abcde'[place]} {'wxyz'[number]}"}
            answer = edit(editor, wish, etag)
            told = answer.headers.get("etag", "")
            statuses.append((answer.status_code, told))  # noqa: B023 - likewise

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Those that came too late are told the new state, and not that a file was locked.
        now = f'"{etag_of(editor)}"'
        assert sorted(statuses) == [(200, ""), (409, now), (409, now), (409, now)]
        assert len(read_edits(own_runs / "reviews")) == place + 1


def test_while_a_job_writes_the_run_nothing_is_edited(editor: TestClient, own_runs: Path) -> None:
    etag = etag_of(editor)
    directory = RunDirectory.create(own_runs / "reviews")
    try:
        answer = edit(editor, {"kind": "seed", "text": "battery life"}, etag)
    finally:
        directory.close()
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:neuroscribe:problem:BusyError"
    assert "GET /v1/jobs?run=reviews" in answer.json()["detail"]
    assert "--out" not in answer.json()["detail"]
    assert edit(editor, {"kind": "seed", "text": "battery life"}, etag).status_code == 200


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"kind": "rename", "descriptor": "no such phrase", "text": "x y"}, 422),
        ({"kind": "seed", "text": "!!!"}, 422),
        ({"kind": "seed", "text": "battery life", "sentences": ["no such id"]}, 422),
        ({"kind": "merge", "descriptors": ["a"], "text": "b"}, 422),
        ({"kind": "unlock", "descriptor": "\x00"}, 422),
        ({"kind": "drop table"}, 422),
        ({"kind": "seed", "text": "x", "extra": 1}, 422),
        ({"kind": "seed", "text": "w" * 10_000}, 422),
        ([], 422),
        ("<script>", 422),
    ],
    ids=str,
)
def test_impossible_edits_are_refused(
    editor: TestClient, own_runs: Path, wish: Any, status: int
) -> None:
    answer = edit(editor, wish, etag_of(editor))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert read_edits(own_runs / "reviews") == []


def test_a_catalog_without_the_rest_of_a_run_can_be_edited(
    editor: TestClient, own_runs: Path, oracle: RunView
) -> None:
    """As a job of kind `catalog` leaves it."""
    path = own_runs / "reviews"
    assert catalog_etag(path) == oracle.catalog_etag
    (path / "manifest.json").unlink()
    (path / "explanations.parquet").unlink()
    assert (
        edit(editor, {"kind": "seed", "text": "battery life"}, etag_of(editor)).status_code == 200
    )
    assert [each.kind for each in read_edits(path)] == ["seed"]


def test_a_run_whose_catalog_is_gone_is_no_mistake_of_the_client(
    editor: TestClient, own_runs: Path
) -> None:
    etag = etag_of(editor)
    (own_runs / "reviews" / "descriptors.parquet").unlink()
    wish = {"kind": "seed", "text": "battery life"}
    for answer in (editor.get(f"{RUN}/edits"), edit(editor, wish, etag)):
        assert answer.status_code == 409
        assert "--" not in answer.json()["detail"]
