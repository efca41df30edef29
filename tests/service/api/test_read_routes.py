"""Routes that read: their answers are those of the run, page by page, and 304 the second time."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.run_library import RunLibrary
from service.views.records import NeuronFilter, NeuronOrder
from service.views.run_view import RunView

RUN = "/v1/runs/reviews"


def pages(client: TestClient, path: str, **params: Any) -> Iterator[dict[str, Any]]:
    """Every page of a list."""
    cursor = None
    while True:
        asked = {**params, "cursor": cursor} if cursor else params
        answer = client.get(path, params=asked)
        assert answer.status_code == 200, answer.text
        yield answer.json()
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return


def items(client: TestClient, path: str, **params: Any) -> list[dict[str, Any]]:
    """The items of all pages."""
    return [item for page in pages(client, path, **params) for item in page["items"]]


def dumped(records: Any) -> list[dict[str, Any]]:
    return [each.model_dump(mode="json") for each in records]


def test_runs_are_listed_and_shown(client: TestClient, api_runs: Path) -> None:
    card = RunLibrary(api_runs, 1).card("reviews").model_dump(mode="json")
    listed = client.get("/v1/runs").json()
    assert listed == {"items": [card], "total": 1, "next_cursor": None}
    assert client.get(RUN).json() == card


def test_overview_and_layers(client: TestClient, oracle: RunView) -> None:
    assert client.get(f"{RUN}/overview").json() == oracle.overview().model_dump(mode="json")
    assert client.get(f"{RUN}/layers").json() == oracle.layer_map().model_dump(mode="json")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"described": "true", "order": "score"},
        {"layer": 1, "site": "ffn", "tail": "+"},
        {"minimum_score": 0.7},
        {"reason": "no_descriptor_beats_null"},
    ],
    ids=str,
)
def test_tails_are_listed_by_pages(
    client: TestClient, oracle: RunView, given: dict[str, Any]
) -> None:
    expected = oracle.tails(NeuronFilter.model_validate(given), offset=0, limit=10_000)
    found = list(pages(client, f"{RUN}/neurons", **given, limit=70))
    assert [item for page in found for item in page["items"]] == dumped(expected.items)
    assert {page["total"] for page in found} == {expected.total}
    assert all(len(page["items"]) == 70 for page in found[:-1])


def test_tails_of_a_descriptor(client: TestClient, oracle: RunView) -> None:
    kept = oracle.descriptors(search="", kept=True, offset=0, limit=1).items[0]
    wanted = NeuronFilter(descriptor=kept.id, order=NeuronOrder.SCORE)
    expected = oracle.tails(wanted, offset=0, limit=200)
    assert expected.total > 0
    found = client.get(f"{RUN}/neurons", params={"descriptor": kept.id, "order": "score"})
    assert found.json()["items"] == dumped(expected.items)[:50]


def test_a_neuron_is_what_the_view_says_also_when_it_is_kept(
    client: TestClient, oracle: RunView
) -> None:
    expected = oracle.neuron("L1.ffn.3").model_dump(mode="json")
    for _ in range(3):
        answer = client.get(f"{RUN}/neurons/L1.ffn.3")
        assert answer.json() == expected
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["etag"] == f'"{oracle.etag}"'
    assert client.get(f"{RUN}/neurons/L1.ffn.4").json()["neuron"] == "L1.ffn.4"


def test_a_concept_in_words(client: TestClient, oracle: RunView) -> None:
    asked = {"q": "the battery is bad", "n_descriptors": 3, "n_neurons": 2}
    expected = oracle.concept("the battery is bad", n_descriptors=3, n_neurons=2)
    found = client.get(f"{RUN}/concepts", params=asked).json()
    assert len(found["descriptors"]) == 3
    assert found == expected.model_dump(mode="json")


def test_a_text(client: TestClient, oracle: RunView) -> None:
    text = "The battery broke after two days 😀."
    asked = {"run": "reviews", "text": text, "n_neurons": 4}
    found = client.post("/v1/explain", json=asked).json()
    assert found == oracle.text(text, n_neurons=4).model_dump(mode="json")
    assert len(found["neurons"]) == 4


def test_descriptors_and_their_sentences(client: TestClient, oracle: RunView) -> None:
    expected = oracle.descriptors(search="", kept=None, offset=0, limit=1000)
    assert items(client, f"{RUN}/descriptors", limit=4) == dumped(expected.items)
    page = client.get(f"{RUN}/descriptors", params={"kept": "false", "limit": 1}).json()
    assert page["total"] == sum(not each.kept for each in expected.items)
    assert (page["catalog_etag"], page["pending_edits"]) == (oracle.catalog_etag, 0)
    first = expected.items[0]
    searched = client.get(f"{RUN}/descriptors", params={"search": first.text[1:]}).json()
    assert first.id in [each["id"] for each in searched["items"]]
    answer = client.get(f"{RUN}/descriptors/{first.id}").json()
    assert answer == oracle.descriptor(first.id).model_dump(mode="json")
    sentences = oracle.sentences(first.id, offset=0, limit=10_000)
    found = items(client, f"{RUN}/descriptors/{first.id}/sentences", limit=20)
    assert found == dumped(sentences.items)
    assert len(found) == first.n_sentences


def test_figures_by_filters(client: TestClient, oracle: RunView) -> None:
    every = oracle.evaluation()
    assert items(client, f"{RUN}/evaluation", limit=33) == dumped(every)
    chosen = next(each for each in every if each.variant)
    names = ("protocol", "variant", "metric", "split")
    wanted = {name: getattr(chosen, name) for name in names}
    alike = [each for each in every if all(getattr(each, n) == wanted[n] for n in names)]
    assert items(client, f"{RUN}/evaluation", **wanted) == dumped(alike)
    assert items(client, f"{RUN}/evaluation", protocol="none such") == []


@pytest.mark.parametrize(
    "path",
    [
        *("/overview", "/layers", "/neurons?limit=3", "/neurons/L0.hidden.1", "/concepts?q=day"),
        *("/descriptors", "/edits", "/evaluation"),
    ],
)
def test_an_answer_at_hand_is_not_sent_again(client: TestClient, path: str) -> None:
    first = client.get(RUN + path)
    etag = first.headers["etag"]
    assert "no-cache" in first.headers["cache-control"]
    for named in (etag, f'W/{etag}, "other"', "*"):
        again = client.get(RUN + path, headers={"If-None-Match": named})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    for other in ('"other"', etag.strip('"'), ""):
        assert client.get(RUN + path, headers={"If-None-Match": other}).status_code == 200


@pytest.mark.parametrize("table", ["explanations", "descriptors", "evaluation", "neurons"])
def test_tables_say_the_same_in_each_format(client: TestClient, table: str) -> None:
    import pyarrow.parquet as pq

    answers = {
        kind: client.get(f"{RUN}/export/{table}.{kind}") for kind in ("csv", "jsonl", "parquet")
    }
    for kind, answer in answers.items():
        assert answer.status_code == 200
        name = f'attachment; filename="reviews-{table}.{kind}"'
        assert answer.headers["content-disposition"] == name
    lines = [json.loads(line) for line in answers["jsonl"].text.splitlines()]
    cells = list(csv.DictReader(io.StringIO(answers["csv"].text)))
    rows = pq.read_table(io.BytesIO(answers["parquet"].content)).to_pylist()
    assert rows == lines
    assert len(cells) == len(lines) > 0
    assert list(cells[0]) == list(lines[0])


def test_nothing_of_an_export_stays(client: TestClient, api: FastAPI) -> None:
    assert client.get(f"{RUN}/export/neurons.csv").status_code == 200
    workspace = api.state.service.settings.workspace
    assert list(workspace.glob("export-*")) == []


def test_the_report_cannot_run_anything(client: TestClient, api: FastAPI) -> None:
    answer = client.get(f"{RUN}/report")
    report = api.state.service.runs.path("reviews") / "report.html"
    assert answer.text == report.read_text(encoding="utf-8")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script-src" not in policy
    assert len(answer.headers.get_list("content-security-policy")) == 1
