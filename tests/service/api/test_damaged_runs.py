"""Every file of a run damaged in turn: what needs it is refused with a reason, nothing breaks."""

import random
import shutil
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from http import HTTPStatus
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from service.api.app import create_app
from service.client_operations import OPERATIONS
from tests.service.api.conftest import BASE_URL, is_problem, settings_over, tells_nothing

READ = {
    *("activations/L0.ffn.npy", "activations/manifest.json", "catalog_edits.jsonl"),
    *("corpus.parquet", "descriptors.parquet", "evaluation.json", "explanations.parquet"),
    *("lexical.json", "manifest.json", "membership.npz", "neuron_groups.json", "neurons.parquet"),
    *("report.html", "settings.json", "stages/catalog.json", "stages/report.json", ".lock"),
}
"""What an answer may depend on; of the other files no answer is to take notice."""

UNNOTICED = {
    # An empty file of edits has none; the lock is a lock whatever is in it.
    *(("catalog_edits.jsonl", how) for how in ("removed", "emptied")),
    *((".lock", how) for how in ("removed", "emptied", "cut to half", "garbage", "JSON too deep")),
    # Without it nobody can tell whether the report is as it was written.
    *(("stages/report.json", how) for how in ("removed", "a folder")),
    # It marks the folder of a run; what it says is in the manifest as well.
    *(("settings.json", how) for how in ("emptied", "cut to half", "garbage", "JSON too deep")),
    # Both are computed or left out where they are missing, as in runs of older versions.
    *((name, "removed") for name in ("lexical.json", "neuron_groups.json", "neurons.parquet")),
}


def garbage(path: Path) -> None:
    path.write_bytes(random.Random(0).randbytes(path.stat().st_size))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "removed": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "cut to half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "garbage": garbage,
    "JSON too deep": lambda path: path.write_bytes(b"[" * 100_000),
    "a folder": folder,
}


@pytest.fixture(scope="module")
def damaged(
    small_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TestClient, Path, str]]:
    """A service, the whole run that is copied, and the id of a descriptor that has an edit."""
    runs = tmp_path_factory.mktemp("damaged")
    whole = Path(shutil.copytree(small_run, runs / "whole"))
    with TestClient(
        create_app(settings_over(runs)), base_url=BASE_URL, raise_server_exceptions=False
    ) as client:
        listed = client.get("/v1/runs/whole/descriptors?kept=true&limit=1").json()
        edited = lock(client, "whole", listed["items"][0]["id"])
        assert edited.status_code == HTTPStatus.OK
        yield client, whole, listed["items"][0]["id"]


def lock(client: TestClient, run: str, descriptor: str) -> Response:
    edit = {"kind": "lock", "descriptor": descriptor}
    return client.post(f"/v1/runs/{run}/edits", json=edit, headers={"If-Match": "*"})


def asked(client: TestClient, run: str, descriptor: str) -> Iterator[Response]:
    """The answer of everything that can be asked about a run; last it is deleted."""
    names = {"run": run, "address": "L1.ffn.3", "descriptor": descriptor, "table_format": "jsonl"}
    for operation in OPERATIONS.values():
        if operation.method == "GET" and operation.path.startswith("/v1/runs"):
            tables = ("explanations", "descriptors", "evaluation", "neurons")
            for table in tables if "{table}" in operation.path else ("",):
                query = {"q": "day"} if operation.path.endswith("/concepts") else {}
                yield client.get(operation.path.format(**names, table=table), params=query)
    yield client.post("/v1/explain", json={"run": run, "text": "The battery is bad."})
    yield lock(client, run, descriptor)
    yield client.delete(f"/v1/runs/{run}")


@pytest.mark.slow
@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_file_is_a_problem_and_no_fault(
    damaged: tuple[TestClient, Path, str], how: str
) -> None:
    client, whole, descriptor = damaged
    files = {path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.is_file()}
    assert files >= READ
    for number, name in enumerate(sorted(files if how == "garbage" else READ)):
        copy = Path(shutil.copytree(whole, whole.parent / f"{how.split()[-1]}-{number}"))
        DAMAGES[how](copy / name)
        answers = list(asked(client, copy.name, descriptor))
        refused = [each for each in answers if each.status_code >= HTTPStatus.BAD_REQUEST]
        for each in refused:
            assert each.status_code in {404, 409}, (name, each.url, each.text[:300])
            is_problem(each, each.status_code, whole.parent)
        tells_nothing("".join(each.text for each in answers), whole.parent)
        is_read = name in READ or fnmatch(name, "activations/*.npy")
        assert bool(refused) == (is_read and (name, how) not in UNNOTICED), name
        shutil.rmtree(copy, ignore_errors=True)


def test_a_report_that_is_not_as_it_was_written_is_not_shown(
    served: Callable[..., TestClient], own_runs: Path
) -> None:
    client = served()
    report = own_runs / "reviews" / "report.html"
    whole = report.read_bytes()
    report.write_bytes(whole[:1000])
    answer = client.get("/v1/runs/reviews/report")
    is_problem(answer, 409, own_runs)
    assert "report.html of run reviews is not as it was written" in answer.json()["detail"]
    report.write_bytes(whole)
    assert client.get("/v1/runs/reviews/report").content == whole


def test_a_run_that_cannot_be_locked_is_no_fault_of_who_edits(
    served: Callable[..., TestClient], own_runs: Path
) -> None:
    client = served()
    (own_runs / "reviews" / ".lock").unlink()
    (own_runs / "reviews" / ".lock").mkdir()
    found = client.get("/v1/runs/reviews/descriptors?limit=1").json()["items"][0]["id"]
    for answer in (lock(client, "reviews", found), client.delete("/v1/runs/reviews")):
        is_problem(answer, 409, own_runs)
        assert "cannot lock reviews: Is a directory" in answer.json()["detail"]
