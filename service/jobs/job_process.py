"""The process of one job: reads what it is told, does it, writes what came of it.

`python -m service.jobs.job_process FOLDER RUNS`, with a pipe as standard input: it stops when the
other end closes, that is, when its worker ends in whatever way.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

from indexer.errors import NeuroscribeError
from service.jobs.job_files import JobFiles
from service.jobs.records import (
    CatalogJob,
    EvaluateJob,
    ExplainJob,
    JobProblem,
    JobSpec,
    RebuildJob,
    RunJob,
)

_ORPHANED = 4


def do_job(spec: JobSpec, runs: Path) -> dict[str, Any]:
    """Do what a job is told; returns what the command of the same name would print as JSON.

    Raises:
        NeuroscribeError: it cannot be done.
    """
    from service.catalog_rebuild import rebuild_catalog
    from service.evaluation import evaluate_run
    from service.pipeline import run_pipeline
    from service.run_directory import RunDirectory
    from service.settings import RunSettings

    out = runs / spec.run
    match spec:
        case RunJob():
            done = run_pipeline(spec.settings, out, update=spec.update)
        case CatalogJob():
            done = run_pipeline(spec.settings, out, update=spec.update, until="catalog")
        case ExplainJob():
            with_settings = RunSettings.model_validate(RunDirectory(out, None).settings())
            done = run_pipeline(with_settings, out)
        case RebuildJob():
            return rebuild_catalog(out).model_dump(mode="json")
        case EvaluateJob():
            figures = evaluate_run(out, protocols=spec.protocols or None, again=spec.again)
            return {"figures": len(figures)}
    return done.model_dump(mode="json", include={"complete", "reused", "recomputed", "results"})


def main(folder: Path, runs: Path) -> int:
    """Do the job of `folder`."""
    threading.Thread(target=_end_with_worker, daemon=True).start()
    files = JobFiles(folder)
    try:
        files.write_result(do_job(files.spec(), runs))
    except NeuroscribeError as error:
        files.write_problem(JobProblem(error=type(error).__name__, message=str(error)))
    return 0


def _end_with_worker() -> None:
    sys.stdin.buffer.read()
    os._exit(_ORPHANED)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
