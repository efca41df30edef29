"""The command that serves the API with its pages."""

from __future__ import annotations

import signal
import socket
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.command_output import print_json
from service.failures import ExitCode

if TYPE_CHECKING:
    from service.service_settings import ServiceSettings

_BACKLOG = 2048


class AuthenticationName(StrEnum):
    """Whether an API key is asked for."""

    AUTO = "auto"
    REQUIRED = "required"
    OFF = "off"


class LogFormatName(StrEnum):
    """How log lines look."""

    JSON = "json"
    CONSOLE = "console"


def serve(
    runs: Annotated[
        Path | None,
        typer.Option("--runs", metavar="DIR", help="Folder whose subfolders are runs."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 for a free one.")] = None,
    job_workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that do jobs; 0 for none.")
    ] = None,
    jobs_at_once: Annotated[
        int | None, typer.Option(min=1, help="Jobs that one of them does at the same time.")
    ] = None,
    authentication: Annotated[
        AuthenticationName | None,
        typer.Option(help="Whether an API key is asked for; off only where no one else reaches."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings in TOML; default: neuroscribe.toml if there."),
    ] = None,
    log_format: Annotated[LogFormatName | None, typer.Option(help="How log lines look.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the settings in force; start nothing.")
    ] = False,
) -> None:
    """Serve the API and the web pages over a folder of runs.

    Every setting can also be told by a NEUROSCRIBE_* variable or the file; flags come first.
    """
    from service.service_settings import ServiceSettings

    settings = ServiceSettings.told(
        runs=runs,
        host=host,
        port=port,
        job_workers=job_workers,
        jobs_at_once=jobs_at_once,
        authentication=None if authentication is None else authentication.value,
        config=config,
        log_format=None if log_format is None else log_format.value,
    )
    if dry_run:
        print_json(_planned(settings))
        return
    _check_keys(settings)
    with _listening(settings) as listener:
        _serve_on(listener, settings)


def _serve_on(listener: socket.socket, settings: ServiceSettings) -> None:
    """Serve until told to stop.

    Raises:
        typer.Exit: the service could not start.
    """
    from service.api.app import create_app
    from service.api.http_server import ServiceServer
    from service.api.logs import set_up_logs
    from service.jobs.worker_processes import WorkerProcesses

    set_up_logs(settings)
    server = ServiceServer(create_app(settings), settings)

    def stop(*_: object) -> None:
        # Before uvicorn listens to signals, and after it has ended: it then raises the one that
        # stopped it again, and a service that was told to stop has not failed.
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with WorkerProcesses(settings):
        typer.echo(f"neuroscribe serves {settings.runs} at {_url(listener)}")
        server.run(sockets=[listener])
    if not server.started:
        raise typer.Exit(ExitCode.STAGE_FAILED)


def _check_keys(settings: ServiceSettings) -> None:
    """Refuse to start where that would let anyone in, or no one.

    Raises:
        InputError: it would.
        BackendError: the database cannot be reached.
    """
    from service.api.access import require_startable
    from service.api.key_tables import KeyDatabase
    from service.api.keys import KeyStore

    settings.workspace.mkdir(parents=True, exist_ok=True)
    database = KeyDatabase(settings.database)
    try:
        database.prepare()
        require_startable(settings, KeyStore(database))
    finally:
        database.close()


def _listening(settings: ServiceSettings) -> socket.socket:
    """A socket at the address of the settings.

    Raises:
        InputError: the address is not of this machine, or in use.
    """
    from indexer.errors import InputError

    where = f"{settings.host} port {settings.port}"
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"cannot listen on {where}: {error}; another --port or --host may work"
        ) from error


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, host)  # noqa: S104 - compared
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"


def _planned(settings: ServiceSettings) -> dict[str, Any]:
    """The settings in force, secrets masked, and what would be started."""
    from sqlalchemy.engine import make_url

    shown = settings.model_dump(mode="json")
    shown["database_url"] = make_url(settings.database).render_as_string(hide_password=True)
    return {
        "settings": shown,
        "starts": {
            "listens_on": f"{settings.host}:{settings.port}",
            "job_workers": settings.job_workers,
            "jobs_at_once": settings.job_workers * settings.jobs_at_once,
        },
    }
