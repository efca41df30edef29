from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from neurons.reading import ExtractionSettings, LongTexts
from neurons.subject_files import Precision
from service.cli import run_command
from service.finished_run import FinishedRun
from service.options import RunOptions, settings_from


def test_the_defaults_are_float32_and_truncation() -> None:
    assert settings_from(RunOptions(corpus="sample")).extraction == ExtractionSettings()


def test_precision_and_windows_reach_the_extraction() -> None:
    options = RunOptions(corpus="sample", precision="bfloat16", long_texts="window")
    found = settings_from(options).extraction
    assert found.precision is Precision.BFLOAT16
    assert found.long_texts is LongTexts.WINDOW


@pytest.mark.parametrize(
    ("option", "value"), [("--precision", "int8"), ("--long-texts", "drop"), ("--engine", "spark")]
)
def test_other_values_are_refused_before_anything_is_written(
    option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run_command(["run", "--corpus", "sample", "--out", str(out), option, value]) == 2
    assert value in capsys.readouterr().err
    assert not out.exists()


def test_a_run_in_windows_and_bfloat16_is_read_and_explained_so(
    tiny_model: Callable[[str], Path],
    review_corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model, out = str(tiny_model("bert")), tmp_path / "run"
    command = ["run", "--corpus", str(review_corpus), "--model", model, "--encoder", model]
    command += ["--proposer", "keyphrase", "--groups", "embeddings", "--segment", "none"]
    command += ["--precision", "bfloat16", "--long-texts", "window", "--out", str(out), "--json"]
    assert run_command(command) == 0, capsys.readouterr().err
    extracted = json.loads(capsys.readouterr().out)["results"]["extract"]
    # The model reads 32 tokens, and most reviews have more.
    assert extracted["windowed_sentences"] > 100
    assert (extracted["truncated_sentences"], extracted["truncated_tokens"]) == (0, 0)
    manifest = json.loads((out / "activations" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["parity"]["precision"] == "bfloat16"
    assert 0 < manifest["parity"]["float32_difference"] < 0.1
    run = FinishedRun(out, "cpu")
    assert run.subject.precision is Precision.BFLOAT16
