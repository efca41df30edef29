"""What forms of the pages do: edits that are refused where they are stale, jobs that start once."""

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from service.api.state import ServiceState
from service.jobs.records import EvaluateJob, RebuildJob, RunJob

pytestmark = pytest.mark.slow

RUN = "hostile"
ROOT = f"/runs/{RUN}"
SEE_OTHER, CONFLICT, UNPROCESSABLE = 303, 409, 422


@pytest.fixture
def descriptor(own_pages: TestClient) -> str:
    """The identifier of a kept descriptor."""
    found = state_of(own_pages).runs.open(RUN).descriptors(search="", kept=True, offset=0, limit=9)
    return next(each.id for each in found.items if not each.locked)


@pytest.fixture
def edit(own_pages: TestClient) -> Callable[..., tuple[int, str, str]]:
    """Sends an edit; gives its status, where it leads and what it says."""

    def send(etag: str, **fields: str) -> tuple[int, str, str]:
        answer = own_pages.post(
            f"{ROOT}/descriptors/edit", data={"etag": etag, **fields}, follow_redirects=False
        )
        return answer.status_code, answer.headers.get("Location", ""), answer.text

    return send


def state_of(client: TestClient) -> ServiceState:
    app: object = client.app
    found: ServiceState = app.state.service  # type: ignore[attr-defined]
    return found


def shown_etag(client: TestClient, descriptor: str) -> str:
    text = client.get(f"{ROOT}/descriptors/{quote(descriptor)}").text
    found = re.search(r'name="etag" value="([^"]+)"', text)
    assert found is not None
    return found[1]


Edit = Callable[..., tuple[int, str, str]]


def test_an_edit_is_kept_and_waits(own_pages: TestClient, descriptor: str, edit: Edit) -> None:
    etag = shown_etag(own_pages, descriptor)
    status, to, _ = edit(etag, kind="rename", descriptor=descriptor, text="quite another")
    assert status == SEE_OTHER
    page = own_pages.get(to).text
    assert "Renamed." in page
    assert "1 edit waits" in page
    view = state_of(own_pages).runs.open(RUN)
    assert view.descriptors(search="", kept=None, offset=0, limit=1).pending_edits == 1


def test_of_two_edits_made_for_the_same_catalog_one_is_refused(
    own_pages: TestClient, descriptor: str, edit: Edit
) -> None:
    etag = shown_etag(own_pages, descriptor)
    assert edit(etag, kind="lock", descriptor=descriptor)[0] == SEE_OTHER
    status, _, page = edit(etag, kind="rename", descriptor=descriptor, text="quite another")
    assert status == CONFLICT
    assert "Someone else edited this catalog" in page
    assert "rename it to “quite another”" in page
    fresh = shown_etag(own_pages, descriptor)
    assert edit(fresh, kind="rename", descriptor=descriptor, text="quite another")[0] == SEE_OTHER


def test_every_kind_of_edit(own_pages: TestClient, descriptor: str, edit: Edit) -> None:
    view = state_of(own_pages).runs.open(RUN)
    kept = view.descriptors(search="", kept=True, offset=0, limit=9).items
    other = next(each.id for each in kept if each.id != descriptor)
    wanted: list[dict[str, str]] = [
        {"kind": "seed", "text": "<i>broken</i> zip"},
        {"kind": "lock", "descriptor": descriptor},
        {"kind": "merge", "descriptor": descriptor, "other": other, "text": "parcels and post"},
        {"kind": "ban", "descriptor": kept[-1].id},
    ]
    for number, fields in enumerate(wanted, start=1):
        status, _, page = edit(shown_etag(own_pages, descriptor), **fields)
        assert status == SEE_OTHER, page
        found = view.descriptors(search="", kept=None, offset=0, limit=1)
        assert found.pending_edits == number


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "rename", "text": "a b c d e f g h"}, "more than"),
        ({"kind": "rename", "text": ""}, "text"),
        ({"kind": "unlock"}, "is not locked"),
        ({"kind": "explode"}, "kind"),
        ({}, "kind"),
    ],
)
def test_an_edit_that_cannot_be_made_says_why(
    own_pages: TestClient, descriptor: str, edit: Edit, fields: dict[str, str], words: str
) -> None:
    status, _, page = edit(shown_etag(own_pages, descriptor), descriptor=descriptor, **fields)
    assert status == UNPROCESSABLE
    assert words in page


def test_matching_again_starts_one_job_however_often_it_is_sent(own_pages: TestClient) -> None:
    sent = [
        own_pages.post(f"{ROOT}/rebuild", data={"key": "a" * 32}, follow_redirects=False)
        for _ in range(2)
    ]
    assert [answer.status_code for answer in sent] == [SEE_OTHER, SEE_OTHER]
    assert sent[0].headers["Location"] == sent[1].headers["Location"]
    jobs = state_of(own_pages).jobs.list()
    assert [job.spec for job in jobs] == [RebuildJob(run=RUN)]
    page = own_pages.get(sent[0].headers["Location"]).text
    assert "Waiting for a worker" in page
    assert "Cancel the job" in page
    cancelled = own_pages.post(f"/jobs/{jobs[0].id}/cancel")
    assert "cancelled" in cancelled.text


def test_a_run_is_started_with_what_was_chosen(own_pages: TestClient) -> None:
    fields = {"run": "mine", "corpus": "sample", "proposers": "keyphrase", "limit": "100"}
    answer = own_pages.post("/start", data=fields, follow_redirects=False)
    assert answer.status_code == SEE_OTHER
    (job,) = state_of(own_pages).jobs.list()
    assert isinstance(job.spec, RunJob)
    assert job.run == "mine"
    told = job.spec.settings
    assert (told.corpus, told.proposers, told.reading.limit) == ("sample", ("keyphrase",), 100)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"run": RUN}, "already"),
        ({"run": "../up"}, "run"),
        ({"run": "new", "corpus": "/etc/passwd"}, "corpus"),
        ({"run": "new", "corpus": "upload:0123456789abcdef"}, "there is no upload"),
        ({"run": "new", "corpus": "file"}, "the file was not sent"),
        ({"run": "new", "model": "somebody/evil"}, "model"),
        ({"run": "new", "proposers": ["openai:gpt"]}, "proposers"),
        ({"run": "new", "proposers": []}, "proposers"),
        ({"run": "new", "limit": "<b>"}, "limit"),
    ],
)
def test_a_run_that_cannot_start_says_why(
    own_pages: TestClient, fields: dict[str, str | list[str]], words: str
) -> None:
    told = {"corpus": "sample", "proposers": ["keyphrase"], **fields}
    answer = own_pages.post("/start", data=told)
    assert answer.status_code == UNPROCESSABLE
    alert = answer.text.split('role="alert"')[1].split("</div>")[0]
    assert words in alert
    assert "<b>" not in alert
    assert not state_of(own_pages).jobs.list()


def test_protocols_are_chosen_from_those_there_are(own_pages: TestClient) -> None:
    wrong = own_pages.post(f"{ROOT}/evaluate", data={"protocols": ["nonsense"]})
    assert wrong.status_code == UNPROCESSABLE
    own_pages.post(f"{ROOT}/evaluate", data={"protocols": ["controls", "controls"]})
    (job,) = state_of(own_pages).jobs.list()
    assert isinstance(job.spec, EvaluateJob)
    assert job.spec.protocols == ("controls",)


def test_another_sites_form_is_refused(own_pages: TestClient) -> None:
    answer = own_pages.post(f"{ROOT}/rebuild", data={}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert not state_of(own_pages).jobs.list()
