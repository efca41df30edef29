"""A run that is killed goes on to the bytes of a run that was left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from service.pipeline import STAGES

SCRIPT = Path(__file__).with_name("killed_runs.py")
UNSTABLE = {"timings.json", ".lock"}

pytestmark = pytest.mark.slow


def command(action: str, place: Path, corpus: Path, model: Path) -> list[str]:
    return [sys.executable, str(SCRIPT), action, str(place), str(corpus), str(model)]


def environment() -> dict[str, str]:
    """One thread, so that every process adds up numbers in the same order."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    root = str(Path(__file__).parents[2])
    return {**os.environ, **dict.fromkeys(names, "1"), "PYTHONPATH": root}


def contents(out: Path) -> dict[str, bytes]:
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name not in UNSTABLE}


def test_killed_at_every_write_and_rename_resumes_to_the_same_bytes(
    tmp_path: Path, review_corpus: Path, tiny_model: Callable[[str], Path]
) -> None:
    done = subprocess.run(
        command("chain", tmp_path, review_corpus, tiny_model("bert")),
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    points = json.loads(done.stdout)
    for stage in STAGES:
        assert f"rename stages/{stage}.json" in points
    for written in (
        "corpus.parquet",
        "index/embeddings.npy",
        "index/sentences.faiss",
        "activations/L1.ffn.npy",
        "activations/manifest.json",
        "proposals/groups.jsonl",
        "proposals/proposals.jsonl",
        "descriptors.parquet",
        "membership.npz",
        "neurons.parquet",
        "explanations.parquet",
        "neuron_groups.json",
        "exemplars.jsonl",
        "evaluation.json",
        "report.html",
        "settings.json",
        "manifest.json",
    ):
        assert f"rename {written}" in points
    assert "write index/embeddings.npy.partial" in points
    assert "rewrite activations/L1.hidden.npy.partial" in points
    assert points.count("rename activations/journal.json") == 3
    # The second half redid a finished run with other settings.
    assert points.count("rename membership.npz") == 2
    assert points.count("rename manifest.json") == 2
    described = json.loads((tmp_path / "disturbed" / "stages" / "match.json").read_text())["result"]
    assert described["described_positive"] + described["described_negative"] > 0


def test_killed_from_outside_at_any_moment_resumes_to_the_same_bytes(
    tmp_path: Path, review_corpus: Path, tiny_model: Callable[[str], Path]
) -> None:
    """Whatever a process is doing then: waiting, computing, writing half a file."""
    generator = random.Random(5)
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    arguments = (review_corpus, tiny_model("bert"))
    subprocess.run(command("once", alone, *arguments), check=True, env=environment())
    for stage in ("embed", "extract", "propose", "evaluate"):
        process = subprocess.Popen(command("once", killed, *arguments), env=environment())
        started = killed / "stages" / f"{stage}.started"
        finished = killed / "stages" / f"{stage}.json"
        while process.poll() is None and not started.exists() and not finished.exists():
            time.sleep(0.002)
        time.sleep(generator.uniform(0.0, 0.1))
        process.kill()
        assert process.wait() in {-signal.SIGKILL, 0}
    assert not (killed / "manifest.json").exists()
    subprocess.run(command("once", killed, *arguments), check=True, env=environment())
    assert contents(killed) == contents(alone)
