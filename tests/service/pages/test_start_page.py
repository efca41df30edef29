"""The form that starts a run: what is in an upload, which fields are read, refusals at fields."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from descriptors.readers import read_rows
from service.api.app import create_app
from service.api.state import ServiceState
from service.jobs.records import RunJob
from service.service_settings import ServiceSettings

TABLE = (
    "number,review,stars,<b>odd</b>\n"
    '1,"The battery <script>died</script>, alas.",1,x\n'
    "2,Great value. I would buy it again.,5,y\n"
)
CHOSEN: dict[str, str | list[str]] = {"run": "mine", "proposers": "keyphrase"}


@pytest.fixture
def form(tmp_path: Path) -> Iterator[TestClient]:
    """A service without runs; its client follows no redirect."""
    settings = ServiceSettings.told(
        runs=tmp_path, job_workers=0, requests_per_minute=0, log_level="ERROR"
    )
    with TestClient(
        create_app(settings), base_url="http://127.0.0.1:8765", follow_redirects=False
    ) as client:
        yield client


def state_of(client: TestClient) -> ServiceState:
    app: object = client.app
    found: ServiceState = app.state.service  # type: ignore[attr-defined]
    return found


def upload(client: TestClient, name: str, content: str) -> str:
    answer = client.post(f"/v1/uploads?name={name}", content=content.encode())
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def started(client: TestClient, **fields: str | list[str]) -> RunJob:
    answer = client.post("/start", data={**CHOSEN, **fields})
    assert answer.status_code == 303, answer.text
    (job,) = state_of(client).jobs.list()
    assert isinstance(job.spec, RunJob)
    return job.spec


def texts_of(job: RunJob) -> list[str]:
    """What a worker would read."""
    return [each.text for each in read_rows(job.settings.corpus, job.settings.reading.mapping)]


def test_the_rows_of_an_upload_are_shown_as_text(form: TestClient) -> None:
    identifier = upload(form, "own.csv", TABLE)
    whole = form.get(f"/start?upload={identifier}").text
    part = form.get(f"/start/fields?upload={identifier}").text
    for page in (whole, part):
        assert "What is in own.csv" in page
        assert "The battery &lt;script&gt;died&lt;/script&gt;, alas." in page
        assert "<script>died" not in page
        assert '<option value="review" selected>' in page
        assert 'value="&lt;b&gt;odd&lt;/b&gt;"' in page
    assert f'value="upload:{identifier}" data-upload="{identifier}" checked' in whole
    assert "What is in" not in form.get("/start").text


def test_the_chosen_fields_are_read(form: TestClient) -> None:
    identifier = upload(form, "own.csv", TABLE)
    job = started(
        form,
        corpus=f"upload:{identifier}",
        fields_of=identifier,
        text_field="review",
        id_field="number",
        label_fields=["stars", "<b>odd</b>"],
    )
    rows = list(read_rows(job.settings.corpus, job.settings.reading.mapping))
    assert [each.id for each in rows] == ["1", "2"]
    assert rows[0].text == "The battery <script>died</script>, alas."
    assert rows[0].labels == ("stars:1", "<b>odd</b>:x")
    assert job.settings.reading.mapping.document is None


def test_further_settings_are_taken(form: TestClient) -> None:
    job = started(
        form, corpus="sample", segment="none", focus="price", protocols=["controls", "cosy"]
    )
    assert job.settings.reading.segment == "none"
    assert job.settings.generation.prompts.focus == "price"
    assert job.settings.evaluation.protocols == ("controls", "cosy")


def test_plain_text_needs_no_choice(form: TestClient) -> None:
    identifier = upload(form, "own.txt", "One line.\nAnother one.\n")
    told = {"corpus": f"upload:{identifier}", "fields_of": identifier, "text_field": "text"}
    assert texts_of(started(form, **told)) == ["One line.", "Another one."]


def test_labels_that_are_not_ticked_are_not_read(form: TestClient) -> None:
    identifier = upload(form, "own.csv", "text,labels\nOne line.,good\n")
    told = {"corpus": f"upload:{identifier}", "fields_of": identifier, "text_field": "text"}
    job = started(form, **told)
    assert next(read_rows(job.settings.corpus, job.settings.reading.mapping)).labels == ()


def test_an_upload_whose_fields_were_not_shown(form: TestClient) -> None:
    """It starts where the usual field is there, and asks otherwise: a guess must be seen first."""
    usual = upload(form, "usual.csv", "text,labels\nOne line.,good\n")
    unusual = upload(form, "unusual.csv", TABLE)
    answer = form.post("/start", data={**CHOSEN, "corpus": f"upload:{unusual}"})
    assert answer.status_code == 422
    assert 'id="why-text_field">choose which field of unusual.csv' in answer.text
    assert '<option value="review" selected>' in answer.text
    assert not state_of(form).jobs.list()
    # Fields that were chosen for another upload are not taken for this one's.
    told = {"corpus": f"upload:{usual}", "fields_of": unusual, "text_field": "review"}
    assert texts_of(started(form, **told)) == ["One line."]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("run", "../up", "should match"),
        ("corpus", "upload:0123456789abcdef", "there is no upload"),
        ("model", "somebody/evil", "this service allows"),
        ("proposers", "openai:gpt", "this service allows"),
        ("seed", "-1", "greater than or equal to 0"),
        ("limit", "<b>", "valid integer"),
        ("segment", "words", "sentence"),
        ("focus", "x" * 400, "at most 300"),
        ("protocols", "nonsense", "label_recovery"),
    ],
)
def test_a_refusal_stands_at_its_field(
    form: TestClient, field: str, value: str, words: str
) -> None:
    answer = form.post("/start", data={**CHOSEN, "corpus": "sample", field: value})
    assert answer.status_code == 422
    _, _, after = answer.text.partition(f'id="at-{field}"')
    place = after.split('id="at-')[0]
    assert 'aria-invalid="true"' in place
    assert f'aria-describedby="why-{field}' in place
    assert words in place.split(f'id="why-{field}"')[1].split("</p>")[0]
    assert answer.text.count('aria-invalid="true"') == 1
    assert "<b>" not in answer.text
    assert f'<a href="#at-{field}">' in answer.text
    assert not state_of(form).jobs.list()


def test_an_upload_that_is_gone_is_told(form: TestClient) -> None:
    for path in ("/start?upload=0123456789abcdef", "/start/fields?upload=../../etc"):
        assert form.get(path).status_code == 404
