"""The database of jobs: making its tables, saying what is wrong with it, and never a pickle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from indexer.errors import BackendError, InputError

_URLS = "postgresql+psycopg://USER:PASSWORD@HOST:PORT/NAME or sqlite:///PATH"


@contextmanager
def database_errors() -> Iterator[None]:
    """Say in our words what goes wrong with the database.

    Raises:
        BackendError: it cannot be reached or used now; the message says what would work.
        InputError: its URL cannot be one.
    """
    from dbos import error as dbos_error
    from sqlalchemy import exc

    try:
        yield
    except (exc.ArgumentError, dbos_error.DBOSInitializationError, ImportError) as error:
        raise InputError(
            f"the database URL cannot be used: {_first_line(error)}; expected "
            "postgresql+psycopg://USER:PASSWORD@HOST:PORT/NAME or sqlite:///PATH"
        ) from error
    except (exc.SQLAlchemyError, dbos_error.DBOSException) as error:
        raise BackendError(
            f"the database of jobs does not answer ({_first_line(error)}); jobs that were "
            "accepted are kept, and the same request works once it is up"
        ) from error


def prepare_database(database: str) -> None:
    """Make the tables of jobs, or bring them up to date; several processes may do so at once.

    Raises:
        BackendError: the database cannot be reached or used now.
        InputError: its URL cannot be one.
    """
    refuse_pickle()
    from dbos import DBOS

    with database_errors():
        DBOS.migrate(_checked(database))


def refuse_pickle() -> None:
    """Have DBOS neither read nor write a pickle in this process, whatever a row says it holds."""
    from dbos._serialization import DefaultSerializer

    # Rows name their own format: without this, whoever can write one could have code run here.
    DefaultSerializer.serialize = _refuse  # type: ignore[method-assign,assignment]
    DefaultSerializer.deserialize = _refuse  # type: ignore[method-assign,assignment]


def _refuse(_: Any, __: Any) -> NoReturn:
    raise BackendError(
        "a row of the job database holds a pickle, which could run code and is not read; "
        "jobs are kept as JSON"
    )


def _checked(database: str) -> str:
    from sqlalchemy import make_url

    url = make_url(database)
    kind = url.get_backend_name()
    if kind not in {"sqlite", "postgresql"}:
        raise InputError(f"jobs cannot be kept in {kind!r}; expected {_URLS}")
    if kind == "postgresql" and not url.database:
        raise InputError(f"the database URL names no database; expected {_URLS}")
    return database


def _first_line(error: Exception) -> str:
    original = getattr(error, "orig", None) or error
    return (str(original).strip() or type(original).__name__).splitlines()[0]
