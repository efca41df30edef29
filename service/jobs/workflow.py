"""The durable workflow that does a job in a process of its own.

A worker that is killed leaves its jobs to the next one that takes its name. The job's process ends
with its worker, so that a job is never done by two at once.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from dbos import DBOS

from service.jobs.job_files import JobFiles
from service.jobs.job_queue import WORKFLOW
from service.jobs.records import JOB_SPEC, JobProblem

_SECONDS_TO_STOP = 10.0


class JobFailedError(Exception):
    """A job's process said why it failed; `name` is the kind of error."""


def register(workspace: Path, runs: Path) -> None:
    """Have DBOS know the workflow; before it is launched."""

    @DBOS.step(name="do", preemptible=True)
    async def do(job_id: str, spec: dict[str, Any]) -> dict[str, Any]:
        files = JobFiles.of(workspace, job_id)
        if files.outcome() is None:
            files.write_spec(JOB_SPEC.validate_python(spec))
            await _in_a_process(files, runs)
        outcome = files.outcome()
        if isinstance(outcome, JobProblem):
            raise JobFailedError(f"{outcome.error}: {outcome.message}")
        assert outcome is not None
        return outcome

    @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=50)
    async def job(spec: dict[str, Any]) -> dict[str, Any]:
        job_id = DBOS.workflow_id
        assert job_id is not None
        return await do(job_id, spec)


async def _in_a_process(files: JobFiles, runs: Path) -> None:
    files.folder.mkdir(parents=True, exist_ok=True)
    with files.log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service.jobs.job_process", str(files.folder), str(runs)),
            stdin=asyncio.subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            await asyncio.wait_for(process.wait(), _SECONDS_TO_STOP)
            raise
    if files.outcome() is None:
        files.write_problem(
            JobProblem(error="RunError", message=f"the job's process ended with code {code}")
        )
