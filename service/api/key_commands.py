"""`neuroscribe keys`: API keys of a service, made where its database can be reached."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.command_output import print_json
from service.failures import ExitCode

if TYPE_CHECKING:
    from service.api.key_records import ApiKey, NewKey
    from service.api.keys import KeyStore

keys_app = typer.Typer(
    name="keys",
    help="API keys of a service. A running service knows of a change within some seconds.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


class ScopeName(StrEnum):
    """The scopes of keys, each with those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


RunsOption = Annotated[
    Path | None, typer.Option("--runs", metavar="DIR", help="Folder whose subfolders are runs.")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings of the service, in TOML.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
KeyArgument = Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")]


@dataclass(frozen=True)
class _Columns:
    """A line of the list of keys."""

    id: str
    scope: str
    state: str
    created: str
    expires: str
    used: str
    name: str


@keys_app.callback()
def _common(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), file=sys.stderr)
        raise typer.Exit(ExitCode.BAD_INPUT)


@keys_app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is.")],
    scope: Annotated[
        ScopeName,
        typer.Option(help="read; write: jobs, uploads, edits too; admin: deleting runs too."),
    ] = ScopeName.READ,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="Days until it ends.")] = None,
    runs: RunsOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Make a key, and show it this once."""
    from service.api.key_records import Scope

    with _opened(runs, config, make=True) as keys:
        lasting = None if days is None else timedelta(days=days)
        made = keys.create(name, Scope(scope.value), lasting=lasting)
    _show_new(made, json)


@keys_app.command(name="list")
def list_keys(
    runs: RunsOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Show all keys, without what would open the service."""
    with _opened(runs, config) as keys:
        found = keys.list()
    if json:
        print_json([key.model_dump(mode="json") for key in found])
        return
    head = _Columns("ID", "SCOPE", "STATE", "CREATED", "EXPIRES", "LAST USED", "NAME")
    for each in [head, *map(_columns, found)]:
        typer.echo(
            f"{each.id:<12}  {each.scope:<5}  {each.state:<7}  {each.created:<16}  "
            f"{each.expires:<16}  {each.used:<16}  {each.name}"
        )


@keys_app.command()
def rotate(
    key_id: KeyArgument,
    grace: Annotated[
        int, typer.Option(min=0, help="Minutes for which the old key still works.")
    ] = 0,
    runs: RunsOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Make a key like another one, and end that one."""
    with _opened(runs, config) as keys:
        made = keys.rotate(key_id, grace=timedelta(minutes=grace))
    _show_new(made, json)


@keys_app.command()
def revoke(
    key_id: KeyArgument,
    runs: RunsOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Have a key open nothing any more, and end the sessions that began with it."""
    with _opened(runs, config) as keys:
        key = keys.revoke(key_id)
    if json:
        print_json(key.model_dump(mode="json"))
    else:
        typer.echo(f"revoked {key.id} ({key.name})")


@contextmanager
def _opened(runs: Path | None, config: Path | None, *, make: bool = False) -> Iterator[KeyStore]:
    """The keys of the service of some settings.

    Raises:
        InputError: no service has kept anything there, and nothing is to be made.
    """
    from indexer.errors import InputError
    from service.api.key_tables import KeyDatabase
    from service.api.keys import KeyStore
    from service.service_settings import ServiceSettings

    settings = ServiceSettings.told(runs=runs, config=config)
    if settings.database_url is None:
        if make:
            settings.workspace.mkdir(parents=True, exist_ok=True)
        elif not settings.workspace.is_dir():
            raise InputError(
                f"no key was made for {settings.runs}, and nothing served it; "
                f"`neuroscribe keys create NAME --runs {settings.runs}` makes the first key"
            )
    database = KeyDatabase(settings.database)
    try:
        database.prepare()
        yield KeyStore(database)
    finally:
        database.close()


def _show_new(made: NewKey, json: bool) -> None:
    secret = made.secret.get_secret_value()
    if json:
        print_json({"key": made.key.model_dump(mode="json"), "secret": secret})
        return
    typer.echo(
        f"neuroscribe: key {made.key.id} ({made.key.name}, {made.key.scope}) is shown only now:",
        err=True,
    )
    typer.echo(secret)


def _columns(key: ApiKey) -> _Columns:
    from datetime import UTC, datetime

    def told(moment: datetime | None) -> str:
        return "-" if moment is None else moment.strftime("%Y-%m-%d %H:%M")

    state = "valid" if key.is_valid(datetime.now(UTC)) else "expired"
    return _Columns(
        id=key.id,
        scope=key.scope.value,
        state="revoked" if key.revoked_at is not None else state,
        created=told(key.created_at),
        expires=told(key.expires_at),
        used=told(key.used_at),
        name=key.name,
    )
