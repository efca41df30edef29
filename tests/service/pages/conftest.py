"""A service over a run of hostile texts, and a client of its pages."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.catalog_rebuild import rebuild_catalog
from service.edit_outcome import edit_catalog
from service.pipeline import run_pipeline
from service.run_library import RunLibrary
from service.service_settings import ServiceSettings
from service.settings import RunSettings
from service.views.records import NeuronFilter
from service.views.run_view import RunView

BASE_URL = "http://127.0.0.1:8765"
RUN = "hostile"
MARKUP = "<script>alert(1)</script>"
ATTACKS = (
    MARKUP,
    "\"><img src=x onerror='alert(2)'>",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "</title></textarea></script><b>&amp; \u202e\u2028",
    "javascript:alert(3) ]]> <!-- -->",
)
PHRASE = "buy<b>now</b>x onclick"


@pytest.fixture(scope="session")
def page_runs(
    small_settings: RunSettings,
    review_rows: list[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder with a run whose sentences, labels and descriptors are markup."""
    folder = tmp_path_factory.mktemp("page-runs")
    corpus = folder / "corpus.jsonl"
    rows = [
        {**row, "text": f"{row['text']} {ATTACKS[number % len(ATTACKS)]}"}
        for number, row in enumerate(review_rows)
    ]
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    told = small_settings.model_dump(mode="json") | {"corpus": str(corpus)}
    told["reading"] = {"segment": "none"}
    run = folder / "runs" / RUN
    run_pipeline(RunSettings.model_validate(told), run)
    edit_catalog(run, lambda catalog: [catalog.seed(PHRASE, [rows[0]["id"]])], dry_run=False)
    rebuild_catalog(run)
    return folder / "runs"


@pytest.fixture
def own_pages(page_runs: Path, tmp_path: Path) -> Iterator[TestClient]:
    """A service over a copy of the run, which the test may change."""
    shutil.copytree(page_runs / RUN, tmp_path / "runs" / RUN)
    with TestClient(create_app(_settings(tmp_path / "runs")), base_url=BASE_URL) as client:
        yield client


@pytest.fixture(scope="session")
def pages(page_runs: Path) -> Iterator[TestClient]:
    """A client of the pages; no test may change the run."""
    with TestClient(create_app(_settings(page_runs)), base_url=BASE_URL) as client:
        yield client


@pytest.fixture(scope="session")
def hostile(page_runs: Path) -> RunView:
    """What pages of the run are made of."""
    return RunLibrary(page_runs, 1).open(RUN)


@pytest.fixture(scope="session")
def page_paths(pages: TestClient, hostile: RunView) -> list[str]:
    """The address of every kind of page."""
    descriptors = hostile.descriptors(search="", kept=None, offset=0, limit=200).items
    described = hostile.tails(NeuronFilter(described=True), offset=0, limit=3).items
    silent = hostile.tails(NeuronFilter(described=False), offset=0, limit=3).items
    neurons = [each.neuron for each in (*described, *silent)]
    root = f"/runs/{RUN}"
    rows = "\n".join(json.dumps({"text": each, MARKUP: each}) for each in ATTACKS)
    sent = pages.post(f"/v1/uploads?name={quote('<i>')}.jsonl", content=rows)
    return [
        *("/", "/start", "/jobs", "/login", root),
        *(f"{root}/{name}" for name in ("neurons", "descriptors", "map", "text", "evaluation")),
        f"{root}/search",
        f"{root}/search?q={quote(MARKUP)}",
        f"{root}/neurons?layer=1&site=ffn&tail=%2B&described=yes&order=score&minimum_score=0.1",
        f"{root}/neurons?descriptor={quote(descriptors[0].id)}",
        f"{root}/descriptors?search={quote('<b>')}&kept=yes",
        f"{root}/evaluation?protocol=controls",
        f"{root}/delete",
        f"/?deleted={quote(MARKUP)}",
        f"/start?upload={sent.json()['id']}",
        *(f"{root}/neurons/{address}" for address in neurons),
        f"{root}/neurons/{neurons[0]}?beside={neurons[-1]}&beside_run={RUN}",
        *(f"{root}/descriptors/{quote(each.id)}" for each in (descriptors[0], descriptors[-1])),
    ]


def _settings(runs: Path) -> ServiceSettings:
    return ServiceSettings.told(runs=runs, job_workers=0, requests_per_minute=0, log_level="ERROR")
