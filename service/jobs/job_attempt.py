"""One attempt at a job: a process of its own, which ends when the attempt does."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
from asyncio.subprocess import Process
from contextlib import suppress
from datetime import UTC, datetime

from indexer.errors import BusyError
from service.jobs.job_files import JobFiles
from service.jobs.job_process import RUN_IS_BUSY
from service.jobs.own_processes import own_command, own_environment
from service.jobs.records import JobProblem
from service.service_settings import ServiceSettings

_MOST_DEATHS = 3
_LAST_WORDS = 2000
_KEPT_FROM_JOBS = frozenset({"database_url"})


class ProcessKilledError(Exception):
    """The process of a job was killed from outside; the next one goes on from its stages."""


async def attempt(files: JobFiles, settings: ServiceSettings) -> None:
    """Have a process do the job until it has an outcome; the process never outlives this call.

    Raises:
        BusyError: another process does the job or writes its run; it works later.
        ProcessKilledError: the process was killed, not for the last time.
    """
    _check_run_is_free(settings, files)
    with files.held() as lock, files.printed.open("ab") as printed:
        process = await asyncio.create_subprocess_exec(
            *own_command("service.jobs.job_process", str(files.folder)),
            stdin=asyncio.subprocess.PIPE,
            stdout=printed,
            stderr=printed,
            env=own_environment(settings, without=_KEPT_FROM_JOBS),
            # Held until the process is gone, even if this one goes first.
            pass_fds=(lock,),
            start_new_session=True,
        )
    try:
        code = await process.wait()
    finally:
        await _end(process)
    if files.outcome() is None:
        _judge(files, code)


def _check_run_is_free(settings: ServiceSettings, files: JobFiles) -> None:
    """Spare a process that could only find the run locked."""
    path = settings.runs / files.spec().run / ".lock"
    try:
        lock = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BusyError(f"another process is writing {path.parent}") from error
    finally:
        os.close(lock)


async def _end(process: Process) -> None:
    """End a process and what it started; at once, since finished stages are kept in any case."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    assert process.stdin is not None
    process.stdin.close()
    while process.returncode is None:
        # The worker may be told to stop meanwhile; what is killed needs but a moment.
        with suppress(asyncio.CancelledError):
            await process.wait()


def _judge(files: JobFiles, code: int) -> None:
    """Why a process ended without an outcome, and whether another may try."""
    if code == RUN_IS_BUSY:
        raise BusyError("another process is writing the run")
    printed = files.printed.read_bytes()[-_LAST_WORDS:].decode("utf-8", "replace")
    _note(files, f"the process ended with code {code}", printed)
    if code >= 0:
        message = f"the job's process ended with code {code} and no result; its log tells more"
        files.write_problem(JobProblem(error="RunError", message=message))
        return
    deaths = files.count_death()
    name = signal.Signals(-code).name
    if deaths < _MOST_DEATHS:
        raise ProcessKilledError(f"the job's process was killed by {name}")
    message = (
        f"the job's process was killed by {name}, the {deaths} times it was tried; mostly for want "
        "of memory: give a smaller reading.limit or fewer extraction.sites. "
        "Finished stages are kept; the same job goes on from them"
    )
    files.write_problem(JobProblem(error="RunError", message=message))


def _note(files: JobFiles, event: str, printed: str) -> None:
    line = {
        "event": event,
        "level": "error",
        "timestamp": datetime.now(UTC).isoformat(),
        "job": files.folder.name,
        "printed": printed,
    }
    with files.log.open("a", encoding="utf-8") as log:
        log.write(json.dumps(line, ensure_ascii=False) + "\n")
