"""A run on a Ray cluster of two nodes has the bytes of a run in one process, come what may."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import InputError
from indexer.storage import read_json
from neurons.reading import ExtractionSettings
from service.engines import opened_engine
from service.pipeline import run_pipeline
from service.settings import RunSettings

ray: Any = pytest.importorskip("ray", reason="needs the extra `ray`")

pytestmark = [
    pytest.mark.usefixtures("one_torch_thread"),
    pytest.mark.slow,
    # Ray leaves the log files of the processes it starts for the garbage collector to close.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]

UNSTABLE = {"timings.json", ".lock"}


def settings_for(corpus: Path) -> RunSettings:
    return RunSettings(
        corpus=str(corpus),
        proposers=("keyphrase",),
        extraction=ExtractionSettings(window_sentences=8),
    )


def contents(out: Path) -> dict[str, bytes]:
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name not in UNSTABLE}


def workers() -> list[int]:
    """Processes of Ray that work on a portion at this moment."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            title = (folder / "cmdline").read_bytes() if folder.name.isdecimal() else b""
        except OSError:
            continue
        if title.startswith(b"ray::answer"):
            found.append(int(folder.name))
    return found


class Killer(threading.Thread):
    """Kills one worker once some windows are written; `killed_at` says how many there were."""

    def __init__(self, journal: Path) -> None:
        super().__init__(daemon=True)
        self.killed_at: int | None = None
        self._journal = journal

    def run(self) -> None:
        end = time.monotonic() + 300
        while self.killed_at is None and time.monotonic() < end:
            time.sleep(0.005)
            done = read_json(self._journal)["windows_done"] if self._journal.exists() else 0
            for worker in workers() if done >= 2 else []:
                os.kill(worker, signal.SIGKILL)
                self.killed_at = done
                return


def test_a_run_whose_worker_is_killed_has_the_bytes_of_a_local_one(
    two_ray_nodes: Any, review_corpus: Path, tmp_path: Path
) -> None:
    settings = settings_for(review_corpus)
    local = run_pipeline(settings, tmp_path / "local")
    killer = Killer(tmp_path / "ray" / "activations" / "journal.json")
    killer.start()
    with opened_engine(f"ray:{two_ray_nodes.address}", "cpu") as engine:
        spread = run_pipeline(settings, tmp_path / "ray", engine=engine)
    killer.join()
    windows = -(-local.results["corpus"]["sentences"] // 8)
    assert killer.killed_at is not None
    assert 2 <= killer.killed_at < windows
    assert spread.recomputed == local.recomputed
    expected = contents(tmp_path / "local")
    found = contents(tmp_path / "ray")
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []


@pytest.mark.parametrize("written", ["spark", "rays", "local:1"])
def test_an_unknown_engine_is_refused(written: str) -> None:
    with (
        pytest.raises(InputError, match=f"--engine {written}: expected local, ray"),
        opened_engine(written, "cpu"),
    ):
        pass
