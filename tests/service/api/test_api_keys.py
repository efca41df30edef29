"""API keys and sessions: what opens the service, for how long, and what is kept of it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import create_engine, text

from indexer.errors import BackendError, InputError, NotFoundError
from service.api.key_records import Scope
from service.api.key_tables import KeyDatabase
from service.api.keys import KeyStore
from service.api.sessions import SESSION_LASTS, SessionStore

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'keys.sqlite'}"


@pytest.fixture
def database(url: str) -> Iterator[KeyDatabase]:
    opened = KeyDatabase(url)
    opened.prepare()
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(database: KeyDatabase, clock: Clock) -> KeyStore:
    """Asks the database each time."""
    return KeyStore(database, remembered=0, now=clock)


@pytest.mark.parametrize("scope", list(Scope))
@pytest.mark.parametrize("wanted", list(Scope))
def test_a_scope_includes_those_before_it(scope: Scope, wanted: Scope) -> None:
    order = ["read", "write", "admin"]
    assert scope.allows(wanted) == (order.index(scope) >= order.index(wanted))


def test_a_key_opens_and_only_its_hash_is_kept(keys: KeyStore, url: str) -> None:
    made = keys.create("bob", Scope.WRITE)
    secret = made.secret.get_secret_value()
    found = keys.find(secret)
    assert found is not None
    assert (found.id, found.name, found.scope) == (made.key.id, "bob", Scope.WRITE)
    assert secret not in repr(made)
    assert secret.split("_")[2] not in made.model_dump_json()
    stored = Path(url.removeprefix("sqlite:///")).read_bytes()
    assert made.key.id.encode() in stored
    assert secret.split("_")[2].encode() not in stored
    assert bytes.fromhex(secret.split("_")[2]) not in stored


def test_what_is_not_the_key_opens_nothing(keys: KeyStore) -> None:
    secret = keys.create("bob", Scope.READ).secret.get_secret_value()
    other = keys.create("ann", Scope.READ).secret.get_secret_value()
    swapped = "_".join([*secret.split("_")[:2], other.split("_")[2]])
    last = "0" if secret[-1] != "0" else "1"
    for wrong in (
        "",
        "ns_",
        secret[:-1],
        secret + "0",
        secret[:-1] + last,
        swapped,
        secret.upper(),
    ):
        assert keys.find(wrong) is None, wrong


def test_a_key_ends_when_it_was_said_to(keys: KeyStore, clock: Clock) -> None:
    made = keys.create("bob", Scope.READ, lasting=timedelta(days=1))
    secret = made.secret.get_secret_value()
    clock.moment = START + timedelta(days=1) - timedelta(seconds=1)
    assert keys.find(secret) is not None
    clock.moment = START + timedelta(days=1)
    assert keys.find(secret) is None
    assert not keys.any_is_valid()


def test_an_end_is_seen_at_once_even_where_the_key_is_remembered(
    database: KeyDatabase, clock: Clock
) -> None:
    keys = KeyStore(database, remembered=1000, now=clock)
    secret = keys.create("bob", Scope.READ, lasting=timedelta(hours=1)).secret.get_secret_value()
    assert keys.find(secret) is not None
    assert keys.remembered(secret) is not None
    clock.moment += timedelta(hours=2)
    assert keys.remembered(secret) is None
    assert keys.find(secret) is None


def test_a_revoked_key_opens_nothing_and_still_counts_as_made(keys: KeyStore) -> None:
    assert not keys.any_was_made()
    made = keys.create("bob", Scope.READ)
    assert keys.revoke(made.key.id).revoked_at is not None
    assert keys.find(made.secret.get_secret_value()) is None
    assert keys.any_was_made()
    assert not keys.any_is_valid()
    with pytest.raises(InputError, match="revoked already"):
        keys.revoke(made.key.id)
    with pytest.raises(NotFoundError, match="keys list"):
        keys.revoke("nothing")


def test_another_process_forgets_a_revoked_key_within_the_time_told(
    database: KeyDatabase, url: str
) -> None:
    serving = KeyStore(database, remembered=0.2)
    other = KeyDatabase(url)
    command = KeyStore(other)
    made = command.create("bob", Scope.READ)
    secret = made.secret.get_secret_value()
    assert serving.find(secret) is not None
    command.revoke(made.key.id)
    other.close()
    deadline = datetime.now(UTC) + timedelta(seconds=5)
    while serving.find(secret) is not None:
        assert datetime.now(UTC) < deadline
    assert serving.remembered(secret) is None


def test_rotation_makes_a_like_key_and_ends_the_old_one(keys: KeyStore, clock: Clock) -> None:
    old = keys.create("bob", Scope.WRITE, lasting=timedelta(days=9))
    new = keys.rotate(old.key.id)
    assert keys.find(old.secret.get_secret_value()) is None
    found = keys.find(new.secret.get_secret_value())
    assert found is not None
    assert (found.name, found.scope) == ("bob", Scope.WRITE)
    assert found.expires_at == clock.moment + timedelta(days=9)
    with pytest.raises(InputError, match="keys create"):
        keys.rotate(old.key.id)


def test_rotation_can_leave_the_old_key_some_time(keys: KeyStore, clock: Clock) -> None:
    old = keys.create("bob", Scope.READ)
    keys.rotate(old.key.id, grace=timedelta(minutes=10))
    assert keys.find(old.secret.get_secret_value()) is not None
    clock.moment += timedelta(minutes=10)
    assert keys.find(old.secret.get_secret_value()) is None


def test_last_use_is_kept_to_some_minutes(keys: KeyStore, clock: Clock) -> None:
    secret = keys.create("bob", Scope.READ).secret.get_secret_value()
    assert keys.list()[0].used_at is None
    keys.find(secret)
    assert keys.list()[0].used_at == START
    clock.moment += timedelta(minutes=1)
    keys.find(secret)
    assert keys.list()[0].used_at == START
    clock.moment += timedelta(minutes=10)
    keys.find(secret)
    assert keys.list()[0].used_at == clock.moment


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "bob\nann", "bob\x1b[2J"])
def test_a_name_must_be_one(keys: KeyStore, name: str) -> None:
    with pytest.raises(InputError, match="as the name of a key"):
        keys.create(name, Scope.READ)


def test_a_session_opens_until_it_ends(
    database: KeyDatabase, keys: KeyStore, clock: Clock, url: str
) -> None:
    sessions = SessionStore(database, keys, remembered=0, now=clock)
    key = keys.create("bob", Scope.READ).key
    token = sessions.start(key)
    assert sessions.find(token) == key
    assert sessions.find(token[:-1] + ("0" if token[-1] != "0" else "1")) is None
    assert sessions.find("") is None
    assert token.encode() not in Path(url.removeprefix("sqlite:///")).read_bytes()
    sessions.end(token)
    assert sessions.find(token) is None


def test_a_session_ends_by_itself_and_with_its_key(
    database: KeyDatabase, keys: KeyStore, clock: Clock
) -> None:
    sessions = SessionStore(database, keys, remembered=0, now=clock)
    key = keys.create("bob", Scope.READ).key
    first = sessions.start(key)
    clock.moment += SESSION_LASTS
    assert sessions.find(first) is None
    second = sessions.start(key)
    assert sessions.find(second) is not None
    keys.revoke(key.id)
    assert sessions.find(second) is None


def test_many_prepare_the_same_database(url: str) -> None:
    failed: list[Exception] = []

    def prepare() -> None:
        database = KeyDatabase(url)
        try:
            database.prepare()
        except BackendError as error:
            failed.append(error)
        finally:
            database.close()

    threads = [Thread(target=prepare) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_database_that_does_not_answer_is_an_error_of_ours() -> None:
    database = KeyDatabase("postgresql+psycopg://me:hidden@127.0.0.1:1/nothing")
    with pytest.raises(BackendError, match="works once it is back") as caught:
        database.prepare()
    assert "hidden" not in str(caught.value)
    database.close()


def test_a_damaged_database_is_an_error_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "keys.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    database = KeyDatabase(f"sqlite:///{path}")
    with pytest.raises(BackendError, match="DatabaseError"):
        database.prepare()
    database.close()


@pytest.mark.parametrize("url", ["", "nothing", "nosuch://me:hidden@host/x"])
def test_a_url_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(InputError, match="expected sqlite") as caught:
        KeyDatabase(url)
    assert "hidden" not in str(caught.value)


def test_keys_lie_beside_other_tables(database: KeyDatabase, keys: KeyStore, url: str) -> None:
    keys.create("bob", Scope.READ)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("create table jobs (id text)"))
    database.prepare()
    assert len(keys.list()) == 1
    engine.dispose()
