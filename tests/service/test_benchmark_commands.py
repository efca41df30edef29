"""`neuroscribe benchmark` as it is typed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from service import cli
from service.benchmark_commands import benchmark
from service.failures import ExitCode


@pytest.fixture
def command() -> None:
    """The command where the command line does not have it."""
    if not any(
        each.callback and each.callback.__name__ == "benchmark"
        for each in cli.app.registered_commands
    ):
        cli.app.command()(benchmark)


@pytest.fixture
def suite_file(tiny_model: Callable[[str], Path], tmp_path: Path) -> Path:
    """A suite on a tiny model, one of whose data sets is not there."""
    folder = str(tiny_model("bert"))
    told = {
        "corpora": [
            {"name": "reviews", "source": "sample", "limit": 240},
            {"name": "gone", "source": "gone.jsonl"},
        ],
        "models": [folder],
        "encoder": folder,
        "proposers": ["keyphrase"],
        "matchers": ["ours", "exemplar_counts"],
        "protocols": [],
        "device": "cpu",
        "run": {
            "group_sources": ["embeddings"],
            "membership": {"false_discovery_rate": 0.9},
            "matching": {"null_quantile": 0.6, "minimum_discover": 3, "minimum_auroc": 0.5},
        },
    }
    path = tmp_path / "suite.json"
    path.write_text(json.dumps(told), encoding="utf-8")
    return path


@pytest.mark.usefixtures("command")
def test_a_failure_is_told_and_gives_the_exit_code(
    suite_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench"
    typed = ["benchmark", "--suite", str(suite_file), "--out", str(out), "--quiet"]
    assert cli.run_command([*typed, "--json"]) == ExitCode.STAGE_FAILED
    answer = json.loads(capsys.readouterr().out)
    assert [run["reason"] == "" for run in answer["runs"]] == [True, False]
    assert {row["matcher"] for row in answer["rows"]} == {"ours", "exemplar_counts"}
    assert Path(answer["table"]).is_file()
    # What is done is taken over, and read out for a person.
    assert cli.run_command(typed) == ExitCode.STAGE_FAILED
    shown = capsys.readouterr().out
    assert "failed: gone" in shown
    assert "1 were taken over" in shown
    assert str(out / "RESULTS.md") in shown
    assert cli.run_command([*typed, "--corpus", "reviews"]) == ExitCode.DONE
    assert "failed" not in capsys.readouterr().out


@pytest.mark.usefixtures("command")
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "give data sets with --corpus"),
        (["--suite", "nowhere.json"], "there is no such file"),
        (["--corpus", "sample", "--matcher", "mine"], "unknown: mine"),
        (["--corpus", "sample", "--site", "attn"], "sites.0"),
        (["--corpus", "sample", "--limit", "0"], "--limit"),
        (["--corpus", "sample", "--corpus", "sample"], "of the same name"),
    ],
)
def test_bad_usage(
    options: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench"
    assert cli.run_command(["benchmark", "--out", str(out), *options]) == ExitCode.BAD_INPUT
    captured = capsys.readouterr()
    assert complaint in captured.err
    assert captured.err.count("\n") == 1
    assert not out.exists()
