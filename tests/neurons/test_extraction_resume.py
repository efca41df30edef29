from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from indexer.arrays import IntArray
from indexer.storage import read_json
from neurons.extraction import extract
from neurons.reading import ExtractionSettings
from neurons.subject import SubjectModel

SLOW_EXTRACTION = """
import sys, time
from pathlib import Path
from neurons.extraction import extract
from neurons.reading import ExtractionSettings
from neurons.subject import SubjectModel

class SlowTexts:
    def __len__(self):
        return 60
    def texts_at(self, rows):
        time.sleep(0.1)
        return [f"the battery broke again {row} " + "very good " * (row % 7) for row in rows]

subject = SubjectModel.load(sys.argv[1], "cpu")
settings = ExtractionSettings(window_sentences=3, token_budget=64)
extract(subject, SlowTexts(), Path(sys.argv[2]), settings, "key")
"""


class ManyTexts:
    """The texts of `SLOW_EXTRACTION`, noting which rows are read."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __len__(self) -> int:
        return 60

    def texts_at(self, rows: IntArray) -> list[str]:
        self.rows.extend(rows.tolist())
        return [f"the battery broke again {row} " + "very good " * (row % 7) for row in rows]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.slow
def test_a_killed_extraction_continues_to_the_same_bytes(
    tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    subject = SubjectModel.load(str(tiny_model("bert")), "cpu")
    settings = ExtractionSettings(window_sentences=3, token_budget=64)
    report = extract(subject, ManyTexts(), tmp_path / "undisturbed", settings, "key")

    folder = tmp_path / "killed"
    journal = folder / "journal.json"
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_EXTRACTION, subject.name, str(folder)],
        env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
    )
    try:
        deadline = time.monotonic() + 60
        while not journal.exists() or read_json(journal)["windows_done"] < 4:
            assert process.poll() is None, "the extraction ended before it could be killed"
            assert time.monotonic() < deadline, "the extraction does not proceed"
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()

    done = read_json(journal)["windows_done"]
    assert 4 <= done < 20
    assert not (folder / "manifest.json").exists()
    rest = ManyTexts()
    assert extract(subject, rest, folder, settings, "key") == report
    assert rest.rows == list(range(3 * done, 60))
    assert contents(folder) == contents(tmp_path / "undisturbed")
