"""The workers that a service starts for itself, and keeps going."""

from __future__ import annotations

import logging
import subprocess
import threading
from typing import Self

from service.jobs.own_processes import own_command, own_environment
from service.service_settings import ServiceSettings

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_PAUSE_SECONDS = 2.0
_STOP_SECONDS = 20.0


class WorkerProcesses:
    """As many worker processes as the settings say, from `with` until its end.

    One that ends is started again. All end with this process, in whatever way it ends.

    Args:
        settings: of the service; the workers are told all of them.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._keeper = threading.Thread(target=self._keep, name="workers", daemon=True)

    def __enter__(self) -> Self:
        self._processes = [self._start() for _ in range(self._settings.job_workers)]
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._keeper.join()
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            _await_end(process)

    @property
    def ids(self) -> list[int]:
        """The process ids of those that are running now."""
        return [process.pid for process in self._processes if process.poll() is None]

    def _keep(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            for place, process in enumerate(self._processes):
                code = process.poll()
                if code is None:
                    continue
                logger.error(
                    "worker process %d ended with %d; another is started", process.pid, code
                )
                _close_input(process)
                # One that cannot start at all must not be tried without a pause.
                if self._stopping.wait(_PAUSE_SECONDS):
                    return
                self._processes[place] = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own command
            own_command("service.cli", "worker", "--attached"),
            stdin=subprocess.PIPE,
            env=own_environment(self._settings),
        )


def _await_end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        logger.error("worker process %d did not stop in %g s; killed", process.pid, _STOP_SECONDS)
        process.kill()
        process.wait()
    _close_input(process)


def _close_input(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
