"""The commands that run the service: the API with its pages, and the processes that do jobs."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

RunsOption = Annotated[
    Path | None, typer.Option("--runs", metavar="DIR", help="Folder whose subfolders are runs.")
]


def serve(
    runs: RunsOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    job_workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that do jobs; 0 for none.")
    ] = None,
) -> None:
    """Serve the API and the web pages over a folder of runs."""
    import uvicorn

    from service.api.app import create_app
    from service.service_settings import ServiceSettings

    settings = ServiceSettings.told(runs=runs, host=host, port=port, job_workers=job_workers)
    workers = [
        subprocess.Popen(  # noqa: S603 - our own command
            [
                sys.executable,
                "-m",
                "service.cli",
                "worker",
                "--runs",
                str(settings.runs),
                "--name",
                f"worker-{number}",
            ],
            stdin=subprocess.PIPE,
        )
        for number in range(settings.job_workers)
    ]
    try:
        uvicorn.run(create_app(settings), host=settings.host, port=settings.port)
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait()


def worker(
    runs: RunsOption = None,
    name: Annotated[str, typer.Option(help="Name of this worker among its like.")] = "worker-0",
) -> None:
    """Do the jobs that the API accepts."""
    from service.jobs.worker import work
    from service.service_settings import ServiceSettings

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    work(ServiceSettings.told(runs=runs), name, stop)
