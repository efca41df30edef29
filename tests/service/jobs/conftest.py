"""Places where jobs are done: folders of runs, databases, and workers as processes of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.jobs.job_queue import JobQueue, prepare_database
from service.jobs.own_processes import own_command, own_environment
from service.jobs.records import Job
from service.service_settings import ServiceSettings

PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Postgres:
    """A server on loopback, run by an unprivileged user."""

    folder: Path
    port: int

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://tester@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off"
        self._control("start", "-o", options, "-l", str(self.folder / "log"))

    def stop(self) -> None:
        self._control("stop", "-m", "immediate")

    def _control(self, *arguments: str) -> None:
        as_user("pg_ctl", "-w", "-D", str(self.folder / "data"), *arguments)


def as_user(*command: str) -> None:
    """Run a command that refuses to be run by root."""
    user = ("runuser", "-u", "nobody", "--") if os.getuid() == 0 else ()
    # To a file: the server keeps the output open, and a pipe would never end.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run([*user, *command], stdout=output, stderr=output, cwd="/", check=False)
        output.seek(0)
        assert done.returncode == 0, output.read().decode()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of the tests' own."""
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("no initdb and pg_ctl on this machine")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    if os.getuid() == 0:
        shutil.chown(folder, "nobody")
    server = Postgres(folder, port)
    try:
        as_user("initdb", "-D", str(folder / "data"), "-U", "tester", "-A", "trust", "--no-sync")
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def service_settings(request: pytest.FixtureRequest, tmp_path: Path) -> ServiceSettings:
    """A service with an empty folder of runs, on either database."""
    url = None
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        url = server.url(f"jobs_{time.time_ns()}")
    return made_ready(ServiceSettings.told(runs=tmp_path / "runs", database_url=url))


@pytest.fixture
def sqlite_settings(tmp_path: Path) -> ServiceSettings:
    """The same on SQLite."""
    return made_ready(ServiceSettings.told(runs=tmp_path / "runs"))


def made_ready(settings: ServiceSettings) -> ServiceSettings:
    settings.workspace.mkdir(parents=True)
    prepare_database(settings.database)
    return settings


@contextmanager
def opened(settings: ServiceSettings) -> Iterator[JobQueue]:
    queue = JobQueue(settings.database, settings.workspace)
    try:
        yield queue
    finally:
        queue.close()


@pytest.fixture
def open_queue() -> Callable[[ServiceSettings], object]:
    """Opens the queue of a service, as a context."""
    return opened


@pytest.fixture
def queue(service_settings: ServiceSettings) -> Iterator[JobQueue]:
    """The jobs of a service, on either database."""
    with opened(service_settings) as found:
        yield found


@pytest.fixture
def sqlite_queue(sqlite_settings: ServiceSettings) -> Iterator[JobQueue]:
    """The same on SQLite."""
    with opened(sqlite_settings) as found:
        yield found


class Workers:
    """Worker processes that a test starts and kills."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, settings: ServiceSettings, *options: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                own_command("service.cli", "worker", "--attached", *options),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=own_environment(settings),
            )
        self._processes.append(process)
        return process

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def end(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            process.wait(30)
            assert process.stdin is not None
            process.stdin.close()


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    """Starts workers, which end with the test."""
    found = Workers(tmp_path / "workers.log")
    try:
        yield found
    finally:
        found.end()
        sys.stderr.write(found.log())


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Waits until something holds, for a while."""

    def wait(holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.05)

    return wait


@pytest.fixture
def finished(
    wait_until: Callable[[Callable[[], bool]], None],
) -> Callable[[JobQueue, list[Job]], list[Job]]:
    """Waits until jobs are over; what became of them."""

    def wait(queue: JobQueue, jobs: list[Job]) -> list[Job]:
        wait_until(lambda: all(queue.get(job.id).state.is_over for job in jobs))
        return [queue.get(job.id) for job in jobs]

    return wait
