"""Jobs done by real workers, several at once, on either database."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import BackendError, InputError
from service.jobs.job_files import JobFiles
from service.jobs.job_queue import JobQueue, prepare_database
from service.jobs.own_processes import own_environment
from service.jobs.records import (
    CatalogJob,
    EvaluateJob,
    ExplainJob,
    Job,
    JobState,
    RebuildJob,
    RunJob,
)
from service.jobs.worker_processes import WorkerProcesses
from service.run_directory import RunDirectory
from service.service_settings import ServiceSettings
from service.settings import RunSettings

pytestmark = pytest.mark.slow

Wait = Callable[[Callable[[], bool]], None]
Finished = Callable[[JobQueue, list[Job]], list[Job]]


def logged(settings: ServiceSettings, job: Job) -> list[dict[str, Any]]:
    log = JobFiles.of(settings.workspace, job.id).log
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def begins(settings: ServiceSettings, job: Job) -> int:
    return sum("job begins" in line["event"] for line in logged(settings, job))


def run_processes(settings: ServiceSettings) -> list[int]:
    """Processes that do jobs of this service now."""
    place = str(settings.workspace.absolute())
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().decode() if entry.name.isdigit() else ""
        except (FileNotFoundError, ProcessLookupError):
            continue
        if "service.jobs.job_process" in command and place in command:
            found.append(int(entry.name))
    return found


def test_jobs_of_every_kind_on_one_run(
    sqlite_settings: ServiceSettings,
    sqlite_queue: JobQueue,
    small_settings: RunSettings,
    workers: Any,
    finished: Finished,
    wait_until: Wait,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-seen-anywhere")
    settings, queue = sqlite_settings, sqlite_queue
    jobs = [
        queue.submit(CatalogJob(run="a", settings=small_settings)),
        queue.submit(ExplainJob(run="a")),
        queue.submit(RebuildJob(run="a")),
        queue.submit(EvaluateJob(run="b")),
    ]
    assert {job.state for job in jobs} == {JobState.QUEUED}
    workers.start(settings)
    seen = set()

    def told_of_neurons() -> bool:
        progress = queue.get(jobs[1].id).progress
        seen.add(None if progress is None else progress.stage)
        return queue.get(jobs[1].id).state.is_over

    wait_until(told_of_neurons)
    assert len(seen) > 2
    catalog, explained, rebuilt, failed = finished(queue, jobs)
    assert catalog.result is not None
    assert catalog.result["complete"] is False
    assert "extract" not in catalog.result["recomputed"]
    assert explained.result is not None
    assert explained.result["complete"] is True
    assert "catalog" in explained.result["reused"]
    assert rebuilt.result is not None
    assert rebuilt.result["matched"] is True
    assert failed.state is JobState.FAILED
    assert failed.problem is not None
    assert failed.problem.error == "NotFoundError"
    assert failed.problem.message.startswith("there is no run 'b'")
    for job in (catalog, explained, rebuilt, failed):
        assert (job.attempts, begins(settings, job)) == (1, 1)
        assert job.created_at is not None
        assert job.started_at is not None
        assert job.finished_at is not None
        for line in logged(settings, job):
            assert (line["job"], line["run"]) == (job.id, job.run)
    assert any(line.get("stage") == "match" for line in logged(settings, explained))
    assert "Traceback" in logged(settings, failed)[-1]["exception"]
    RunDirectory.open(settings.runs / "a")
    files = [path for path in settings.runs.rglob("*") if path.is_file()]
    assert not [path for path in files if b"sk-not-to-be-seen" in path.read_bytes()]
    assert "Traceback" not in workers.log()


def test_many_clients_and_workers_do_each_job_once(
    service_settings: ServiceSettings, workers: Any, finished: Finished, open_queue: Any
) -> None:
    settings = service_settings.model_copy(update={"jobs_at_once": 2})
    for _ in range(2):
        workers.start(settings)
    accepted: list[Job] = []

    def client(number: int) -> None:
        with open_queue(settings) as queue:
            accepted.extend(queue.submit(RebuildJob(run=f"r{number}")) for _ in range(3))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job.id for job in accepted}) == 9
    with open_queue(settings) as queue:
        jobs = finished(queue, accepted)
        assert sorted(job.id for job in queue.list()) == sorted(job.id for job in accepted)
    assert {job.state for job in jobs} == {JobState.FAILED}
    assert [begins(settings, job) for job in jobs] == [1] * 9
    by_run = Counter(job.run for job in jobs)
    assert by_run == {"r0": 3, "r1": 3, "r2": 3}


def test_running_job_is_cancelled_and_a_new_one_goes_on(
    sqlite_settings: ServiceSettings,
    sqlite_queue: JobQueue,
    small_settings: RunSettings,
    workers: Any,
    finished: Finished,
    wait_until: Wait,
) -> None:
    settings, queue = sqlite_settings, sqlite_queue
    workers.start(settings)
    job = queue.submit(RunJob(run="a", settings=small_settings))
    embedded = settings.runs / "a" / "stages" / "embed.json"
    wait_until(embedded.exists)
    cancelled = queue.cancel(job.id)
    assert cancelled.state is JobState.RUNNING
    [cancelled] = finished(queue, [job])
    assert run_processes(settings) == []
    assert cancelled.state is JobState.CANCELLED
    RunDirectory.create(settings.runs / "a").close()
    assert cancelled.finished_at is not None
    [again] = finished(queue, [queue.submit(RunJob(run="a", settings=small_settings))])
    assert again.state is JobState.DONE
    assert again.result is not None
    assert "embed" in again.result["reused"]
    assert queue.get(job.id).state is JobState.CANCELLED
    assert begins(settings, job) == 1


def test_job_waits_for_the_run_that_somebody_writes(
    sqlite_settings: ServiceSettings,
    sqlite_queue: JobQueue,
    small_run: Path,
    workers: Any,
    finished: Finished,
    wait_until: Wait,
) -> None:
    settings, queue = sqlite_settings, sqlite_queue
    shutil.copytree(small_run, settings.runs / "a")
    held = RunDirectory.create(settings.runs / "a")
    job = queue.submit(EvaluateJob(run="a", protocols=("label_recovery",), again=True))
    workers.start(settings)
    wait_until(lambda: workers.log().count("another process is writing") >= 2)
    assert queue.get(job.id).state is JobState.RUNNING
    held.close()
    [done] = finished(queue, [job])
    assert done.state is JobState.DONE
    assert done.result is not None
    assert done.result["figures"] > 100
    assert "Traceback" not in workers.log()


def test_outcome_that_was_written_is_not_worked_for_again(
    sqlite_settings: ServiceSettings, sqlite_queue: JobQueue, workers: Any, finished: Finished
) -> None:
    """As when a worker is killed between the end of the process and the end of the step."""
    job = sqlite_queue.submit(RebuildJob(run="a"))
    files = JobFiles.of(sqlite_settings.workspace, job.id)
    files.write_result({"matched": True})
    workers.start(sqlite_settings)
    [done] = finished(sqlite_queue, [job])
    assert done.result == {"matched": True}
    assert not files.log.exists()


def test_database_that_goes_down_loses_nothing(
    postgres: Any, tmp_path: Path, workers: Any, finished: Finished, open_queue: Any
) -> None:
    url = postgres.url("down")
    settings = ServiceSettings.told(runs=tmp_path / "runs", database_url=url)
    settings.workspace.mkdir(parents=True)
    prepare_database(settings.database)
    with open_queue(settings) as queue:
        job = queue.submit(RebuildJob(run="a"))
        workers.start(settings)
        finished(queue, [job])
        postgres.stop()
        try:
            assert not queue.healthy()
            for ask in (lambda: queue.submit(RebuildJob(run="b")), queue.list):
                with pytest.raises(BackendError, match=r"does not answer .* accepted are kept"):
                    ask()
            with pytest.raises(BackendError, match="does not answer"):
                prepare_database(settings.database)
        finally:
            postgres.start()
        assert queue.healthy()
        assert queue.get(job.id).state is JobState.FAILED
        # The worker that lived through it goes on by itself.
        [later] = finished(queue, [queue.submit(RebuildJob(run="c"))])
        assert later.state is JobState.FAILED
        assert [each.run for each in queue.list()] == ["c", "a"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://root@127.0.0.1/jobs", "cannot be kept in 'mysql'"),
        ("not a url", "cannot be used"),
        ("postgresql+psycopg://u:secret-word@127.0.0.1:1", "names no database"),
    ],
)
def test_impossible_database_is_refused_in_words(url: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        prepare_database(url)
    assert "postgresql+psycopg://USER:PASSWORD@HOST:PORT/NAME" in str(refused.value)
    assert "secret-word" not in str(refused.value)


def test_settings_reach_workers_whole_and_jobs_without_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ServiceSettings.told(
        runs=tmp_path,
        database_url="postgresql+psycopg://u:secret@h/d",
        models=("bundled", "a"),
        opened_runs=9,
        log_level="ERROR",
    )
    for name, value in own_environment(told).items():
        monkeypatch.setenv(name, value)
    assert ServiceSettings.told() == told
    environment = own_environment(told, without={"database_url"})
    assert not [name for name, value in environment.items() if "secret" in value]


def test_workers_of_a_service_live_as_long_as_it_and_are_replaced(
    sqlite_settings: ServiceSettings, sqlite_queue: JobQueue, finished: Finished, wait_until: Wait
) -> None:
    settings = sqlite_settings.model_copy(update={"job_workers": 1})
    with WorkerProcesses(settings) as processes:
        finished(sqlite_queue, [sqlite_queue.submit(RebuildJob(run="a"))])
        [before] = processes.ids
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: processes.ids not in ([before], []))
        [after] = processes.ids
        [job] = finished(sqlite_queue, [sqlite_queue.submit(RebuildJob(run="b"))])
        assert job.state is JobState.FAILED
    assert not Path(f"/proc/{after}").exists()
