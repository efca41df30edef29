"""The tables of API keys and of browser sessions, in the database of jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    inspect,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, ProgrammingError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from indexer.errors import BackendError, InputError
from service.api.key_records import ApiKey, Scope

_SECONDS_TO_WAIT = 10
_METADATA = MetaData()

KEYS = Table(
    "neuroscribe_api_keys",
    _METADATA,
    Column("id", String(16), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("scope", String(8), nullable=False),
    Column("sha256", LargeBinary(32), nullable=False),
    # Moments in whole seconds since 1970: every database keeps them alike.
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger),
    Column("revoked", BigInteger),
    Column("used", BigInteger),
)

SESSIONS = Table(
    "neuroscribe_sessions",
    _METADATA,
    Column("sha256", LargeBinary(32), primary_key=True),
    Column("key_id", String(16), nullable=False),
    Column("expires", BigInteger, nullable=False),
    Index("neuroscribe_sessions_expires", "expires"),
)


class KeyDatabase:
    """Connections to the service's database.

    Args:
        url: of the database.

    Raises:
        InputError: it is no URL of a database.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
            sqlite = parsed.get_backend_name() == "sqlite"
            wait: dict[str, Any] = (
                {"timeout": _SECONDS_TO_WAIT} if sqlite else {"connect_timeout": _SECONDS_TO_WAIT}
            )
            self._engine: Engine = create_engine(
                parsed, pool_pre_ping=not sqlite, connect_args=wait
            )
        except (ArgumentError, ImportError) as error:
            # The message of an ArgumentError holds the URL, and so its password.
            raise InputError(
                "the database URL is none that can be used; "
                "expected sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME"
            ) from error

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def prepare(self) -> None:
        """Make the tables where they are not there yet; several processes may do so at once.

        Raises:
            BackendError: the database cannot be reached or written.
        """
        for table in (KEYS, SESSIONS):
            try:
                with self.connected() as connection:
                    connection.execute(CreateTable(table, if_not_exists=True))
                    for index in table.indexes:
                        connection.execute(CreateIndex(index, if_not_exists=True))
            except BackendError as error:
                # PostgreSQL lets only one of two processes win, and tells the other by an error.
                lost = isinstance(error.__cause__, (IntegrityError, ProgrammingError))
                if not lost or not self._has(table):
                    raise

    def check(self) -> None:
        """Ask the database for anything.

        Raises:
            BackendError: it does not answer.
        """
        with self.connected() as connection:
            connection.execute(select(1))

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A transaction, committed where nothing was raised.

        Raises:
            BackendError: the database fails.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise BackendError(
                f"the database of the service failed ({type(error).__name__}); "
                "the same request works once it is back"
            ) from error

    def _has(self, table: Table) -> bool:
        with self.connected() as connection:
            return inspect(connection).has_table(table.name)


def key_of(row: Any) -> ApiKey:
    """The key that a row of `KEYS` tells of."""
    return ApiKey(
        id=row.id,
        name=row.name,
        scope=Scope(row.scope),
        created_at=datetime.fromtimestamp(row.created, UTC),
        expires_at=_moment(row.expires),
        revoked_at=_moment(row.revoked),
        used_at=_moment(row.used),
    )


def seconds(moment: datetime) -> int:
    """A moment as the tables keep it."""
    return int(moment.timestamp())


def digest_of(secret: str) -> bytes:
    """What the tables keep of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def _moment(kept: int | None) -> datetime | None:
    return None if kept is None else datetime.fromtimestamp(kept, UTC)
