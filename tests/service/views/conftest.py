"""A folder of runs, for tests that may change them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from service.run_library import RunLibrary
from service.views.run_view import RunView


@pytest.fixture(scope="module")
def opened(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> RunView:
    """The small run, opened; no test may change its files."""
    runs = tmp_path_factory.mktemp("opened")
    shutil.copytree(small_run, runs / "small")
    return RunLibrary(runs, 2).open("small")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """An empty folder for runs."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def add_run(small_run: Path, runs: Path) -> Callable[[str], Path]:
    """Puts a copy of the small run among the runs."""

    def add(name: str) -> Path:
        return Path(shutil.copytree(small_run, runs / name))

    return add
