"""The command that does jobs."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated

import typer


def worker(
    runs: Annotated[
        Path | None,
        typer.Option("--runs", metavar="DIR", help="Folder whose subfolders are runs."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of this worker among its like; the first free one if not given."),
    ] = None,
    attached: Annotated[
        bool, typer.Option("--attached", help="Stop once standard input is closed.")
    ] = False,
) -> None:
    """Do the jobs that the API accepts."""
    from service.jobs.worker import work
    from service.service_settings import ServiceSettings

    # A queue, since an event must not be set by a signal's handler.
    stop: SimpleQueue[None] = SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.put(None))
    if attached:
        threading.Thread(target=_stop_with_input, args=(stop,), daemon=True).start()
    work(ServiceSettings.told(runs=runs), name, stop.get)


def _stop_with_input(stop: SimpleQueue[None]) -> None:
    from service.jobs.own_processes import until_input_ends

    until_input_ends()
    stop.put(None)
