"""Browser sessions: what a person has after giving a key to the login page.

A session is 256 random bits in a cookie; the database keeps only their SHA-256, so that who reads
the database cannot come in with it, and a session really ends when its holder logs out. It ends
with its key too.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cachetools import TTLCache
from sqlalchemy import delete, insert, select

from service.api.key_records import ApiKey
from service.api.key_tables import SESSIONS, KeyDatabase, digest_of, seconds
from service.api.keys import SECONDS_REMEMBERED, KeyStore

SESSION_LASTS = timedelta(hours=12)
_N_REMEMBERED = 4096
_TOKEN = re.compile(r"[0-9a-f]{64}")


class SessionStore:
    """The sessions of those who came in with a key.

    Args:
        database: of the service.
        keys: that sessions hang on.
        remembered: seconds for which an answer of the database is kept.
        now: the clock.
    """

    def __init__(
        self,
        database: KeyDatabase,
        keys: KeyStore,
        *,
        remembered: float = SECONDS_REMEMBERED,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._keys = keys
        self._now = now
        self._lock = threading.Lock()
        self._ids: TTLCache[bytes, str] = TTLCache(_N_REMEMBERED, remembered)

    def start(self, key: ApiKey) -> str:
        """A session for the holder of a key; returns the token that opens it."""
        token = secrets.token_hex(32)
        now = self._now()
        with self._database.connected() as connection:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.expires <= seconds(now)))
            connection.execute(
                insert(SESSIONS).values(
                    sha256=digest_of(token),
                    key_id=key.id,
                    expires=seconds(now + SESSION_LASTS),
                )
            )
        return token

    def remembered(self, token: str) -> ApiKey | None:
        """As `find`, but without asking the database."""
        with self._lock:
            key_id = self._ids.get(digest_of(token))
        return None if key_id is None else self._keys.remembered_by_id(key_id)

    def find(self, token: str) -> ApiKey | None:
        """The key whose holder a session was started for, if both are still valid."""
        if _TOKEN.fullmatch(token) is None:
            return None
        digest = digest_of(token)
        with self._lock:
            key_id = self._ids.get(digest)
        if key_id is None:
            wanted = (SESSIONS.c.sha256 == digest) & (SESSIONS.c.expires > seconds(self._now()))
            with self._database.connected() as connection:
                key_id = connection.scalar(select(SESSIONS.c.key_id).where(wanted))
            if key_id is None:
                return None
            with self._lock:
                self._ids[digest] = key_id
        return self._keys.find_by_id(key_id)

    def end(self, token: str) -> None:
        """Have a session open nothing any more."""
        digest = digest_of(token)
        with self._database.connected() as connection:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.sha256 == digest))
        with self._lock:
            self._ids.pop(digest, None)
