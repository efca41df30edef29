"""Exit codes, one line on stderr, JSON alone on stdout; every command's plumbing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from indexer.errors import BackendError, InputError, RunError
from service import cli
from service.failures import ExitCode, failure_of
from service.options import RunOptions, default_out, settings_from
from service.settings import RunSettings

# Where the tests run in the background of a shell, children would start with interrupts ignored.
MAIN = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from service.cli import main; main()"
)
COMMANDS = ("run", "plan", "explain", "evaluate", "report", "export", "doctor")
CATALOG_COMMANDS = (
    *("build", "rebuild", "show", "seed", "rename", "merge", "ban", "lock", "unlock"),
    *("export", "import"),
)


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """The exit code and the one line on stderr; nothing may be on stdout."""
    code = cli.run_command(arguments)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("neuroscribe: error: ")
    return code, captured.err


def test_option_defaults_are_those_of_the_settings() -> None:
    assert settings_from(RunOptions(corpus="sample")) == RunSettings(corpus="sample")


def test_every_option_reaches_its_setting() -> None:
    settings = settings_from(
        RunOptions(
            corpus="mine.csv",
            model="m",
            encoder="e",
            seed=7,
            device="cpu",
            site=["hidden"],
            pooling="mean",
            unsafe_weights=True,
            text_field="body",
            id_field="key",
            labels_field=["stars", "topic"],
            document_field="thread",
            segment="none",
            splits="60/20/20",
            limit=9,
            encoding="latin-1",
        )
    )
    assert (settings.corpus, settings.model, settings.encoder) == ("mine.csv", "m", "e")
    assert (settings.seed, settings.reading.seed, settings.device) == (7, 7, "cpu")
    assert settings.extraction.sites == ("hidden",)
    assert settings.extraction.pooling == "mean"
    assert settings.unsafe_weights
    mapping = settings.reading.mapping
    assert (mapping.text, mapping.id, mapping.document) == ("body", "key", "thread")
    assert mapping.labels == ("stars", "topic")
    assert settings.reading.segment == "none"
    assert str(settings.reading.fractions) == "60/20/20"
    assert (settings.reading.limit, settings.reading.encoding) == (9, "latin-1")


@pytest.mark.parametrize(
    ("corpus", "model", "name"),
    [
        ("sample", "bundled", "sample-bundled"),
        ("/data/my reviews.jsonl.gz", "org/bert-base", "my-reviews-bert-base"),
        ("hf:user/news", "/models/tiny/", "user-news-tiny"),
        ("../x/..csv", "bundled", "run-bundled"),
    ],
)
def test_default_run_folder(corpus: str, model: str, name: str) -> None:
    assert default_out(RunOptions(corpus=corpus, model=model)) == Path("runs") / name


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seed", "-1"], "--seed: found -1"),
        (["--limit", "0"], "--limit: found 0"),
        (["--site", "attn"], "--site: found 'attn'"),
        (["--splits", "50/50"], "split '50/50' is not usable"),
        (["--proposer", "keyphrase", "--proposer", "keyphrase"], "--proposer: found"),
        (["--pooling", "sum"], "'--pooling'"),
        (["--seed", "many"], "'--seed'"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_bad_options_are_named(
    capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    code, line = failed(capsys, "run", "--corpus", "sample", *options)
    assert code == ExitCode.BAD_INPUT
    assert said in line


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run"], 2, "--corpus"),
        (["rum"], 2, "rum"),
        (["explain", "L0.ffn.1"], 2, "--run"),
        (["explain", "x", "--run", "nowhere"], 2, "not a run"),
        (["explain", "x", "--run", "nowhere", "--text", "--concept"], 2, "only one of"),
        (["plan", "--corpus", "missing.csv"], 2, "missing.csv"),
        (["plan", "--corpus", "sample", "--model", "./missing"], 2, "./missing"),
    ],
)
def test_bad_usage_and_input(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    found, line = failed(capsys, *arguments)
    assert (found, said in line) == (code, True), line


def test_no_command_shows_the_help_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_command([]) == ExitCode.BAD_INPUT
    captured = capsys.readouterr()
    assert captured.out == ""
    assert all(command in captured.err for command in (*COMMANDS, "catalog"))


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_command(["--version"]) == ExitCode.DONE
    assert capsys.readouterr().out.startswith("neuroscribe 0.")


@pytest.mark.parametrize(
    "command",
    [*((name,) for name in COMMANDS), *(("catalog", name) for name in CATALOG_COMMANDS)],
    ids=" ".join,
)
def test_every_command_has_help(
    capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    assert cli.run_command([*command, "--help"]) == ExitCode.DONE
    shown = capsys.readouterr().out
    assert "--json" in shown
    assert "--quiet" in shown


def _validation_error() -> ValidationError:
    try:
        RunSettings(corpus="x", seed="many")
    except ValidationError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("wrong\nfield"), 2),
        (BackendError("hub down"), 3),
        (RunError("damaged"), 3),
        (OSError(28, "No space left on device"), 3),
        (MemoryError(), 3),
        (_validation_error(), 3),
        (ZeroDivisionError("a fault"), 3),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_kind_of_error_has_its_code_and_one_line(error: BaseException, code: int) -> None:
    failure = failure_of(error)
    assert failure.code == code
    assert failure.message
    assert "\n" not in failure.message


def test_debug_variable_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROSCRIBE_DEBUG", "1")
    with pytest.raises(InputError):
        cli.run_command(["explain", "x", "--run", "nowhere"])


def test_json_is_alone_on_stdout_and_bars_are_silent_without_a_terminal(tmp_path: Path) -> None:
    done = _neuroscribe("plan", "--corpus", "sample", "--limit", "200", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    planned = json.loads(done.stdout)
    assert planned["texts"] == 200
    assert planned["lm_requests"] == 0
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_interrupt_answers_130_with_one_line(tmp_path: Path) -> None:
    corpus = tmp_path / "endless.txt"
    os.mkfifo(corpus)
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "plan", "--corpus", str(corpus)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(),
    )
    with corpus.open("w"):
        # Opening succeeds once the command has begun to read, and then it waits for text.
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED, err
    assert out == ""
    assert err.splitlines() == [f"neuroscribe: error: {failure_of(KeyboardInterrupt()).message}"]


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -c '{MAIN}' plan --help | head -n 1; exit \"${{PIPESTATUS[0]}}\"",
        shell=True,
        executable="/bin/bash",
        cwd=tmp_path,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == ExitCode.DONE


def _environment() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}


def _neuroscribe(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", MAIN, *arguments],
        cwd=cwd,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
