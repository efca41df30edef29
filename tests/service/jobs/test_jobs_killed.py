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
PLACES = (
    "corpus",
    "embed",
    "extract",
    "propose",
    "catalog",
    "match",
    "exemplars",
    "evaluate-label_recovery",
    "evaluate-stability",
    "report",
)
OF_JOBS = {"embed", "catalog"}
"""Where the process of the job is killed, not its worker; a third time would be too many."""

Wait = Callable[[Callable[[], bool]], None]
Finished = Callable[[JobQueue, list[Job]], list[Job]]


def contents(out: Path) -> dict[str, bytes]:
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name not in UNSTABLE}


def job_processes(workspace: Path, worker: int | None = None) -> list[int]:
    """The processes of jobs, of one worker or of all."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().decode()
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        is_ours = "service.jobs.job_process" in command and str(workspace.absolute()) in command
        if is_ours and worker in {None, parent}:
            found.append(int(entry.name))
    return found


@pytest.mark.parametrize(
    ("service_settings", "places"),
    [("sqlite", PLACES), ("postgresql", PLACES[1::3])],
    indirect=["service_settings"],
    ids=["sqlite", "postgresql"],
)
def test_job_that_is_killed_in_the_middle_ends_as_if_it_had_not_been(
    service_settings: ServiceSettings,
    places: tuple[str, ...],
    queue: JobQueue,
    small_settings: RunSettings,
    small_run: Path,
    workers: Any,
    wait_until: Wait,
    finished: Finished,
) -> None:
    """The worker comes back by its own name or by another, in turn."""
    generator = random.Random(6)
    settings = service_settings
    jobs = [
        queue.submit(RunJob(run="run", settings=small_settings)),
        queue.submit(EvaluateJob(run="run", protocols=("label_recovery",))),
    ]
    worker: subprocess.Popen[bytes] = workers.start(settings, "--name", "worker-0")
    for number, stage in enumerate(places, 1):
        wait_until(lambda stage=stage: _works_beyond(settings, stage))  # type: ignore[misc]
        time.sleep(generator.uniform(0.0, 0.1))
        if stage in OF_JOBS:
            # Not the one that is about to end since its own worker was killed.
            wait_until(lambda own=worker.pid: bool(job_processes(settings.workspace, own)))  # type: ignore[misc]
            [process] = job_processes(settings.workspace, worker.pid)
            os.kill(process, signal.SIGKILL)
            wait_until(lambda gone=process: gone not in job_processes(settings.workspace))  # type: ignore[misc]
        else:
            worker.kill()
            worker.wait()
            worker = workers.start(settings, "--name", f"worker-{number // 2}")
    ended = finished(queue, jobs)
    assert [job.state for job in ended] == [JobState.DONE] * 2
    assert job_processes(settings.workspace) == []
    assert contents(settings.runs / "run") == contents(small_run)
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
    job = queue.submit(RunJob(run="run", settings=small_settings))
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


def test_worker_that_is_told_to_stop_leaves_its_job_to_another(
    sqlite_settings: ServiceSettings,
    sqlite_queue: JobQueue,
    small_settings: RunSettings,
    workers: Any,
    wait_until: Wait,
    finished: Finished,
) -> None:
    settings, queue = sqlite_settings, sqlite_queue
    first = workers.start(settings, "--name", "first")
    job = queue.submit(RunJob(run="run", settings=small_settings))
    wait_until((settings.runs / "run" / "stages" / "corpus.json").exists)
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 0
    assert job_processes(settings.workspace) == []
    assert queue.get(job.id).state is JobState.RUNNING
    workers.start(settings, "--name", "second")
    [done] = finished(queue, [job])
    assert done.state is JobState.DONE
    assert done.attempts == 2
    assert "first is gone; 1 jobs of it go on" in workers.log()
    assert "Traceback" not in workers.log()


def _works_beyond(settings: ServiceSettings, stage: str) -> bool:
    stages = settings.runs / "run" / "stages"
    has_come = any((stages / f"{stage}{end}").exists() for end in (".started", ".json"))
    return has_come and bool(job_processes(settings.workspace))
