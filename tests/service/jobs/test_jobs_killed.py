"""Workers and the processes of their jobs killed again and again: no job is lost, none is wrong."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.jobs.job_files import JobFiles
from service.jobs.job_queue import JobQueue
from service.jobs.records import EvaluateJob, Job, JobState, RunJob
from service.service_settings import ServiceSettings
from service.settings import RunSettings

pytestmark = pytest.mark.slow

UNSTABLE = {"timings.json", ".lock"}
KILLS = "WJWJWJWWWW"
"""Workers and processes of jobs; of the latter no more than a job survives."""

Wait = Callable[[Callable[[], bool]], None]
Finished = Callable[[JobQueue, list[Job]], list[Job]]


def contents(out: Path) -> dict[str, bytes]:
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name not in UNSTABLE}


def job_processes(workspace: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().decode() if entry.name.isdigit() else ""
        except (FileNotFoundError, ProcessLookupError):
            continue
        if "service.jobs.job_process" in command and str(workspace.absolute()) in command:
            found.append(int(entry.name))
    return found


def test_jobs_that_are_killed_ten_times_end_as_if_they_had_not_been(
    service_settings: ServiceSettings,
    queue: JobQueue,
    small_settings: RunSettings,
    small_run: Path,
    workers: Any,
    wait_until: Wait,
    finished: Finished,
) -> None:
    generator = random.Random(6)
    settings = service_settings
    jobs = [
        queue.submit(RunJob(run="a", settings=small_settings)),
        queue.submit(EvaluateJob(run="a", protocols=("label_recovery",))),
        queue.submit(RunJob(run="b", settings=small_settings)),
    ]
    worker: subprocess.Popen[bytes] = workers.start(settings)
    killed = 0
    for victim in KILLS:
        wait_until(lambda: bool(job_processes(settings.workspace)) or _over(queue, jobs))
        time.sleep(generator.uniform(0.0, 4.0))
        processes = job_processes(settings.workspace)
        if victim == "W":
            worker.kill()
            worker.wait()
            worker = workers.start(settings)
        elif processes:
            os.kill(processes[0], signal.SIGKILL)
        killed += victim == "W" or bool(processes)
    assert killed >= len(KILLS) - 1
    ended = finished(queue, jobs)
    assert [job.state for job in ended] == [JobState.DONE] * 3
    assert job_processes(settings.workspace) == []
    for run in ("a", "b"):
        assert contents(settings.runs / run) == contents(small_run)
    for job in ended:
        log = JobFiles.of(settings.workspace, job.id).log.read_text(encoding="utf-8")
        assert log.count('"event": "done"') == 1


def test_job_whose_process_is_always_killed_fails_with_a_reason(
    sqlite_settings: ServiceSettings,
    sqlite_queue: JobQueue,
    small_settings: RunSettings,
    workers: Any,
    wait_until: Wait,
) -> None:
    settings, queue = sqlite_settings, sqlite_queue
    job = queue.submit(RunJob(run="a", settings=small_settings))
    workers.start(settings)
    for _ in range(3):
        wait_until(lambda: bool(job_processes(settings.workspace)))
        for process in job_processes(settings.workspace):
            os.kill(process, signal.SIGKILL)
        wait_until(lambda: not job_processes(settings.workspace))
    wait_until(lambda: queue.get(job.id).state.is_over)
    problem = queue.get(job.id).problem
    assert problem is not None
    assert problem.error == "RunError"
    assert (
        "killed by SIGKILL, the 3 times it was tried; mostly for want of memory" in problem.message
    )
    assert workers.log().count("Traceback") == 0


def test_jobs_of_a_worker_that_does_not_come_back_are_taken_over(
    sqlite_settings: ServiceSettings,
    sqlite_queue: JobQueue,
    small_settings: RunSettings,
    workers: Any,
    wait_until: Wait,
    finished: Finished,
) -> None:
    settings, queue = sqlite_settings, sqlite_queue
    first = workers.start(settings, "--name", "first")
    job = queue.submit(RunJob(run="a", settings=small_settings))
    wait_until((settings.runs / "a" / "stages" / "corpus.json").exists)
    workers.start(settings, "--name", "second")
    wait_until(lambda: '"worker": "second"' in workers.log())
    first.kill()
    first.wait()
    [done] = finished(queue, [job])
    assert done.state is JobState.DONE
    assert done.attempts == 2
    assert "first is gone; 1 jobs of it go on" in workers.log()


def test_worker_that_is_told_to_stop_leaves_its_job_to_the_next(
    sqlite_settings: ServiceSettings,
    sqlite_queue: JobQueue,
    small_settings: RunSettings,
    workers: Any,
    wait_until: Wait,
    finished: Finished,
) -> None:
    settings, queue = sqlite_settings, sqlite_queue
    worker = workers.start(settings)
    job = queue.submit(RunJob(run="a", settings=small_settings))
    wait_until((settings.runs / "a" / "stages" / "corpus.json").exists)
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0
    assert time.monotonic() - began < 10
    assert job_processes(settings.workspace) == []
    assert queue.get(job.id).state is JobState.RUNNING
    assert "Traceback" not in workers.log()
    workers.start(settings)
    [done] = finished(queue, [job])
    assert done.state is JobState.DONE


def _over(queue: JobQueue, jobs: list[Job]) -> bool:
    return all(queue.get(job.id).state.is_over for job in jobs)
