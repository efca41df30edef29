"""The folder of a job, and what waits in it for whom."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from indexer.errors import BusyError, InputError, RunError
from indexer.progress import Count, observed
from indexer.progress_bar import ProgressBar, counted
from service.jobs.job_files import JobFiles
from service.jobs.job_process import do_job, problem_of
from service.jobs.job_stages import stages_of_job
from service.jobs.progress_file import ProgressFile
from service.jobs.records import (
    CatalogJob,
    EvaluateJob,
    ExplainJob,
    JobProblem,
    JobProgress,
    JobSpec,
    RebuildJob,
    RunJob,
)
from service.jobs.secrets_hidden import SecretsHidden
from service.jobs.worker_slots import WorkerSlots
from service.settings import RunSettings


def test_outcome_is_what_was_written(tmp_path: Path) -> None:
    files = JobFiles.of(tmp_path, "a")
    assert files.outcome() is None
    assert files.progress() is None
    files.write_result({"figures": 3})
    assert files.outcome() == {"figures": 3}
    problem = JobProblem(error="RunError", message="the disk is full")
    files.write_problem(problem)
    assert files.outcome() == problem
    files.write_spec(RebuildJob(run="r"))
    assert files.spec() == RebuildJob(run="r")
    assert [files.count_death() for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[1]", b"NaN", b'{"a": 1}', b"\xff\x00"], ids=str
)
def test_damaged_files_hide_no_job(tmp_path: Path, content: bytes) -> None:
    """Progress is written again with the next step, an outcome by doing the job again."""
    files = JobFiles.of(tmp_path, "a")
    files.folder.mkdir(parents=True)
    (files.folder / "progress.json").write_bytes(content)
    (files.folder / "outcome.json").write_bytes(content)
    assert files.progress() is None
    assert files.outcome() is None
    files.write_result({})
    assert files.outcome() == {}


@pytest.mark.parametrize("is_begun", [False, True], ids=["run", "explain"])
def test_job_whose_upload_was_deleted_says_so(
    tmp_path: Path, small_run: Path, small_settings: RunSettings, is_begun: bool
) -> None:
    corpus = tmp_path / ".neuroscribe" / "uploads" / "0123456789abcdef" / "content.txt"
    settings = small_settings.model_copy(update={"corpus": str(corpus)})
    spec: JobSpec = RunJob(run="r", settings=settings)
    if is_begun:
        shutil.copytree(small_run, tmp_path / "r")
        kept = tmp_path / "r" / "settings.json"
        kept.write_text(kept.read_text().replace('"corpus": "sample"', f'"corpus": "{corpus}"'))
        spec = ExplainJob(run="r")
    with pytest.raises(InputError, match="upload:0123456789abcdef") as refusal:
        do_job(spec, tmp_path)
    assert str(tmp_path) not in str(refusal.value)
    assert "deleted" in str(refusal.value)


def test_job_is_held_by_one(tmp_path: Path) -> None:
    files = JobFiles.of(tmp_path, "a")
    assert not files.is_held
    with files.held():
        assert files.is_held
        with pytest.raises(BusyError, match="another process"), files.held():
            pass
        assert files.is_held
    assert not files.is_held


class Told:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.counts: list[Count] = []

    def stage_begins(self, name: str) -> None:
        raise AssertionError(name)

    def counted(self, count: Count) -> None:
        self.counts.append(count)


def test_observed_bars_count_for_the_observer_and_draw_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = Told()
    with observed(told):
        with ProgressBar(total=3, initial=1, desc="ask", unit="request") as bar:
            bar.update(2)
        assert list(counted([7, 8], desc="look", unit="row")) == [7, 8]
        assert list(counted(iter([7]), desc="unsure", unit="row", disable=True)) == [7]
        assert list(counted(iter([7]), desc="unsure", unit="row")) == [7]
    assert capsys.readouterr().err == ""
    assert told.counts[0] == Count("ask", 1, 3)
    assert Count("ask", 3, 3) in told.counts
    assert Count("look", 2, 2) in told.counts
    assert told.counts[-1] == Count("unsure", 1, None)
    n_told = len(told.counts)
    with ProgressBar(total=1, desc="drawn", unit="row") as bar:
        bar.update()
    assert "drawn: 100%" in capsys.readouterr().err
    assert len(told.counts) == n_told


def test_progress_reaches_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = JobFiles.of(tmp_path, "a")
    files.folder.mkdir(parents=True)
    known: dict[str, str] = {}
    progress = ProgressFile(files, ["corpus", "embed"], known)
    caplog.set_level(logging.INFO)
    with progress.written(), observed(progress):
        progress.stage_begins("embed")
        progress.stage_begins("human")
        with ProgressBar(total=10, desc="embed") as bar:
            bar.update(4)
    assert known == {"stage": "human"}
    assert "stage embed begins" in caplog.text
    told = JobProgress(stage="human", number=2, n_stages=2, doing="embed", done=4, total=10)
    assert files.progress() == told


def test_stages_of_a_job_are_those_it_goes_through(
    small_run: Path, small_settings: RunSettings, run_stages: tuple[str, ...], tmp_path: Path
) -> None:
    assert stages_of_job(RunJob(run="a", settings=small_settings), tmp_path) == run_stages
    assert stages_of_job(ExplainJob(run="run"), small_run) == run_stages
    catalog = stages_of_job(CatalogJob(run="a", settings=small_settings), tmp_path)
    assert catalog == run_stages[: run_stages.index("catalog") + 1]
    told = EvaluateJob(run="run", protocols=("planted",))
    assert stages_of_job(told, small_run) == ("evaluate-planted", "evaluate", "report")
    rebuilt = stages_of_job(RebuildJob(run="run"), small_run)
    assert set(run_stages) - set(rebuilt) == {
        *run_stages[: run_stages.index("catalog")],
        "statistics",
    }
    other = '{"format_version": 1, "settings": {"corpus": 3, "model": []}}'
    (tmp_path / "settings.json").write_text(other)
    with pytest.raises(RunError, match=r"another version.*begin another run"):
        stages_of_job(ExplainJob(run="a"), tmp_path)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RunError("the disk is full"), "the disk is full"),
        (MemoryError(), "out of memory; give a smaller --limit or fewer --site"),
        (FileNotFoundError(2, "No such file", "x"), "[Errno 2] No such file: 'x'"),
        (
            ZeroDivisionError("division by zero"),
            "unexpected ZeroDivisionError: division by zero "
            "(a fault of neuroscribe; the job's log shows where)",
        ),
    ],
)
def test_problem_is_said_in_words(error: Exception, words: str) -> None:
    assert problem_of(error) == JobProblem(error=type(error).__name__, message=words)


def test_secrets_of_the_environment_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    assert problem_of(RunError("401: sk-0123456789 is wrong")).message == "401: [hidden] is wrong"
    hidden = SecretsHidden({"HF_TOKEN": "abcdefgh", "SHORT_KEY": "abc", "HOME": "/home/abcdefg"})
    assert hidden.within("abcdefgh abc /home/abcdefg") == "[hidden] abc /home/abcdefg"


def test_workers_have_names_of_their_own(tmp_path: Path) -> None:
    slots = WorkerSlots(tmp_path / "workers")
    with slots.taken(None) as first, slots.taken(None) as second, slots.taken("mine") as own:
        assert (first, second, own) == ("worker-0", "worker-1", "mine")
        for name in (first, own):
            with slots.of_the_gone(name) as gone:
                assert not gone
        with slots.of_the_gone("worker-7") as gone:
            assert gone
        with pytest.raises(BusyError, match="another worker is named 'mine'"), slots.taken("mine"):
            pass
    with slots.of_the_gone("mine") as gone:
        assert gone
    with slots.taken(None) as again:
        assert again == "worker-0"
