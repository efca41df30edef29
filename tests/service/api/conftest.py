"""A service over a copy of the small run, and a client of it in this process."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response

from service.api.app import create_app
from service.run_library import RunLibrary
from service.service_settings import ServiceSettings
from service.views.run_view import RunView

BASE_URL = "http://127.0.0.1:8765"
RUN = "reviews"


def settings_over(runs: Path, **told: object) -> ServiceSettings:
    """Settings of a service that no worker serves and that limits no rate."""
    return ServiceSettings.told(
        runs=runs, job_workers=0, requests_per_minute=0, log_level="ERROR", **told
    )


def is_problem(answer: Response, status: int, runs: Path) -> None:
    """Check that an answer is a problem document without a path or a traceback."""
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance"}
    assert problem["type"].startswith("urn:neuroscribe:problem:")
    assert problem["status"] == status
    assert problem["detail"]
    tells_nothing(answer.text, runs)


def tells_nothing(text: str, runs: Path) -> None:
    """Check that a text names no folder of the server and shows no traceback."""
    for secret in (str(runs), str(runs.resolve()), "Traceback", "site-packages", 'File "'):
        assert secret not in text


@pytest.fixture(scope="session")
def api_runs(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small run; no test may change the run."""
    runs = tmp_path_factory.mktemp("api-runs")
    shutil.copytree(small_run, runs / RUN)
    return runs


@pytest.fixture(scope="session")
def api(api_runs: Path) -> FastAPI:
    """The application over it."""
    return create_app(settings_over(api_runs))


@pytest.fixture(scope="session")
def client(api: FastAPI) -> Iterator[TestClient]:
    """Asks it."""
    with TestClient(api, base_url=BASE_URL) as opened:
        yield opened


@pytest.fixture(scope="session")
def oracle(api_runs: Path) -> RunView:
    """What the answers must be made of."""
    return RunLibrary(api_runs, 1).open(RUN)


@pytest.fixture
def own_runs(small_run: Path, tmp_path: Path) -> Path:
    """A folder with a copy of the small run that the test may change."""
    shutil.copytree(small_run, tmp_path / "runs" / RUN)
    return tmp_path / "runs"


@pytest.fixture
def served(own_runs: Path) -> Iterator[Callable[..., TestClient]]:
    """Starts a service over `own_runs` with settings of the test's own."""
    opened: list[TestClient] = []

    def start(**told: object) -> TestClient:
        http = TestClient(create_app(settings_over(own_runs, **told)), base_url=BASE_URL)
        opened.append(http.__enter__())
        return opened[-1]

    yield start
    for each in opened:
        each.__exit__(None, None, None)
