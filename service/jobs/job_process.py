"""The process of one job: reads what it is told, does it, writes what came of it.

`python -m service.jobs.job_process FOLDER`, told the settings of the service by variables, with a
pipe as standard input: it ends when the other end closes, that is, when its worker ends in
whatever way. A signal ends it at once; finished stages are kept, and the next one goes on.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from indexer.errors import BusyError, InputError, NeuroscribeError
from service.jobs.job_files import JobFiles
from service.jobs.own_processes import until_input_ends
from service.jobs.records import (
    CatalogJob,
    EvaluateJob,
    ExplainJob,
    JobProblem,
    JobSpec,
    RebuildJob,
    RunJob,
)
from service.public_names import UPLOAD_PREFIX, public_reference
from service.settings import RunSettings

RUN_IS_BUSY = 75
"""The code with which a process says that it should be tried again later."""

_ORPHANED = 4

logger = logging.getLogger(__name__)


def do_job(spec: JobSpec, runs: Path) -> dict[str, Any]:
    """Do what a job is told; returns what the command of the same name would print as JSON.

    Raises:
        NeuroscribeError: it cannot be done.
    """
    from service.catalog_rebuild import rebuild_catalog
    from service.evaluation import evaluate_run
    from service.jobs.job_stages import settings_of

    out = runs / spec.run
    match spec:
        case RunJob():
            return _run(spec.settings, out, update=spec.update)
        case CatalogJob():
            return _run(spec.settings, out, update=spec.update, until="catalog")
        case ExplainJob():
            return _run(settings_of(out), out)
        case RebuildJob():
            return rebuild_catalog(out, progress=True).model_dump(
                mode="json", include={"reused", "recomputed", "catalog", "matched"}
            )
        case EvaluateJob():
            told = spec.protocols or None
            figures = evaluate_run(out, protocols=told, again=spec.again, progress=True)
            return {"figures": len(figures)}


def _run(
    settings: RunSettings, out: Path, *, update: bool = False, until: str | None = None
) -> dict[str, Any]:
    from service.pipeline import run_pipeline

    _check_upload_is_there(settings.corpus)
    done = run_pipeline(settings, out, update=update, until=until, progress=True)
    return done.model_dump(mode="json", include={"complete", "reused", "recomputed", "results"})


def _check_upload_is_there(corpus: str) -> None:
    """Say what has become of an upload that was deleted while its job waited.

    Raises:
        InputError: it is gone.
    """
    reference = public_reference(corpus)
    if reference != corpus and reference.startswith(UPLOAD_PREFIX) and not Path(corpus).exists():
        raise InputError(
            f"{reference}, which the job was to read, has been deleted; send the corpus again and "
            "start a job that names the new upload"
        )


def main(folder: Path) -> int:
    """Do the job of `folder`."""
    threading.Thread(target=_end_with_worker, daemon=True).start()
    from indexer.progress import observed
    from service.jobs.job_stages import stages_of_job
    from service.jobs.json_log import log_json
    from service.jobs.progress_file import ProgressFile
    from service.service_settings import ServiceSettings

    settings = ServiceSettings.told()
    files = JobFiles(folder)
    spec = files.spec()
    known: dict[str, Any] = {"job": folder.name, "run": spec.run}
    log_json(logging.FileHandler(files.log), settings.log_level, lambda: known)
    logger.info("%s job begins in process %d", spec.kind.value, os.getpid())
    try:
        progress = ProgressFile(files, stages_of_job(spec, settings.runs / spec.run), known)
        with observed(progress), progress.written():
            result = do_job(spec, settings.runs)
    except BusyError as error:
        logger.info("put off: %s", error)
        return RUN_IS_BUSY
    # The boundary of the process: whatever went wrong, the job's user is told so.
    except Exception as error:
        problem = problem_of(error)
        logger.error("failed: %s", problem.message, exc_info=error)
        files.write_problem(problem)
        return 0
    files.write_result(result)
    logger.info("done")
    return 0


def problem_of(error: Exception) -> JobProblem:
    """Why a job failed, in words."""
    from service.failures import failure_of
    from service.jobs.secrets_hidden import SecretsHidden

    kind = type(error).__name__
    if isinstance(error, NeuroscribeError):
        message = str(error)
    elif isinstance(error, (MemoryError, OSError)):
        message = failure_of(error).message
    else:
        message = f"unexpected {kind}: {error} (a fault of neuroscribe; the job's log shows where)"
    return JobProblem(error=kind, message=SecretsHidden().within(message))


def _end_with_worker() -> None:
    until_input_ends()
    if os.getpgid(0) == os.getpid():
        # With what it started itself, such as the engine of vLLM.
        os.killpg(0, signal.SIGKILL)
    os._exit(_ORPHANED)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
