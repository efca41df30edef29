"""API keys: made and revoked by the command line, asked for by every request.

A key is `ns_ID_SECRET`, where SECRET is 256 random bits. Of it only the SHA-256 is kept: a slow
hash would protect a secret that people choose; this one cannot be guessed however fast a hash is.
Answers of the database are kept for some seconds, so that a revoked key opens nothing after them.
"""

from __future__ import annotations

import hmac
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cachetools import TTLCache
from pydantic import SecretStr
from sqlalchemy import delete, insert, select, update

from indexer.errors import InputError, NotFoundError
from service.api.key_records import ApiKey, NewKey, Scope
from service.api.key_tables import KEYS, SESSIONS, KeyDatabase, digest_of, key_of, seconds

SECONDS_REMEMBERED = 5.0
"""How long an answer of the database is kept; a revoked key works no longer than this."""

_USED_EVERY = timedelta(minutes=5)
_N_REMEMBERED = 4096
_MAXIMUM_NAME = 100
_KEY = re.compile(r"ns_([0-9a-f]{12})_[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class _Kept:
    key: ApiKey
    sha256: bytes


class KeyStore:
    """The API keys of a service.

    Args:
        database: of the service.
        remembered: seconds for which an answer of the database is kept.
        now: the clock.
    """

    def __init__(
        self,
        database: KeyDatabase,
        *,
        remembered: float = SECONDS_REMEMBERED,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._now = now
        self._lock = threading.Lock()
        self._keys: TTLCache[str, _Kept] = TTLCache(_N_REMEMBERED, remembered)
        self._existence: TTLCache[bool, bool] = TTLCache(1, remembered)
        self._one_was_made = False

    def create(self, name: str, scope: Scope, *, lasting: timedelta | None = None) -> NewKey:
        """A new key.

        Raises:
            InputError: the name is blank or too long, or the key would never be valid.
        """
        if not name.strip() or len(name) > _MAXIMUM_NAME or not name.isprintable():
            raise InputError(
                f"found {name!r} as the name of a key; "
                f"expected 1 to {_MAXIMUM_NAME} characters that say whose it is"
            )
        if lasting is not None and lasting <= timedelta(0):
            raise InputError(f"a key cannot last {lasting}; expected more than no time")
        now = self._now().replace(microsecond=0)
        key = ApiKey(
            id=secrets.token_hex(6),
            name=name.strip(),
            scope=scope,
            created_at=now,
            expires_at=None if lasting is None else now + lasting,
        )
        secret = f"ns_{key.id}_{secrets.token_hex(32)}"
        with self._database.connected() as connection:
            connection.execute(
                insert(KEYS).values(
                    id=key.id,
                    name=key.name,
                    scope=key.scope.value,
                    sha256=digest_of(secret),
                    created=seconds(now),
                    expires=None if key.expires_at is None else seconds(key.expires_at),
                )
            )
        return NewKey(key=key, secret=SecretStr(secret))

    def list(self) -> list[ApiKey]:
        """All keys, the newest first, those that open nothing any more included."""
        with self._database.connected() as connection:
            rows = connection.execute(select(KEYS).order_by(KEYS.c.created.desc(), KEYS.c.id))
            return [key_of(row) for row in rows]

    def revoke(self, key_id: str, *, after: timedelta = timedelta(0)) -> ApiKey:
        """Have a key open nothing any more, or nothing after some time.

        Raises:
            NotFoundError: there is no such key.
            InputError: it opens nothing already.
        """
        now = self._now()
        key = self._get(key_id)
        if not key.is_valid(now):
            raise InputError(f"key {key_id} has expired or was revoked already")
        if after > timedelta(0):
            end = now + after if key.expires_at is None else min(key.expires_at, now + after)
            changed: dict[str, int] = {"expires": seconds(end)}
        else:
            changed = {"revoked": seconds(now)}
        with self._database.connected() as connection:
            connection.execute(update(KEYS).where(KEYS.c.id == key_id).values(changed))
            if not after:
                connection.execute(delete(SESSIONS).where(SESSIONS.c.key_id == key_id))
        self._forget()
        return self._get(key_id)

    def rotate(self, key_id: str, *, grace: timedelta = timedelta(0)) -> NewKey:
        """A new key for the holder of another, which ends after `grace`.

        Raises:
            NotFoundError: there is no such key.
            InputError: it opens nothing already.
        """
        old = self._get(key_id)
        if not old.is_valid(self._now()):
            raise InputError(
                f"key {key_id} has expired or was revoked; `keys create` makes another"
            )
        lasting = None if old.expires_at is None else old.expires_at - old.created_at
        new = self.create(old.name, old.scope, lasting=lasting)
        self.revoke(key_id, after=grace)
        return new

    def any_was_made(self) -> bool:
        """Whether there ever was a key; revoking the last one does not open the service."""
        known = self.known_whether_made()
        if known is None:
            with self._database.connected() as connection:
                known = connection.execute(select(KEYS.c.id).limit(1)).first() is not None
            with self._lock:
                self._existence[True] = known
                self._one_was_made = self._one_was_made or known
        return known

    def known_whether_made(self) -> bool | None:
        """As `any_was_made`, but None rather than asking the database."""
        if self._one_was_made:
            return True
        with self._lock:
            return self._existence.get(True)

    def any_is_valid(self) -> bool:
        """Whether anyone can come in with a key."""
        return any(key.is_valid(self._now()) for key in self.list())

    def remembered(self, secret: str) -> ApiKey | None:
        """As `find`, but without asking the database."""
        found = _KEY.fullmatch(secret)
        if found is None:
            return None
        with self._lock:
            kept = self._keys.get(found[1])
        return None if kept is None else self._opened(kept, secret)

    def find(self, secret: str) -> ApiKey | None:
        """The valid key that `secret` is, if it is one."""
        found = _KEY.fullmatch(secret)
        if found is None:
            return None
        kept = self._kept(found[1])
        return None if kept is None else self._opened(kept, secret)

    def remembered_by_id(self, key_id: str) -> ApiKey | None:
        """As `find_by_id`, but without asking the database."""
        with self._lock:
            kept = self._keys.get(key_id)
        return None if kept is None else self._valid(kept.key)

    def find_by_id(self, key_id: str) -> ApiKey | None:
        """The key of an id if it is valid."""
        kept = self._kept(key_id)
        return None if kept is None else self._valid(kept.key)

    def _kept(self, key_id: str) -> _Kept | None:
        with self._lock:
            kept = self._keys.get(key_id)
        if kept is not None:
            return kept
        now = self._now()
        with self._database.connected() as connection:
            row = connection.execute(select(KEYS).where(KEYS.c.id == key_id)).first()
            if row is None:
                return None
            kept = _Kept(key=key_of(row), sha256=bytes(row.sha256))
            used = kept.key.used_at
            if kept.key.is_valid(now) and (used is None or now - used >= _USED_EVERY):
                connection.execute(
                    update(KEYS).where(KEYS.c.id == key_id).values(used=seconds(now))
                )
        with self._lock:
            self._keys[key_id] = kept
        return kept

    def _opened(self, kept: _Kept, secret: str) -> ApiKey | None:
        same = hmac.compare_digest(kept.sha256, digest_of(secret))
        return self._valid(kept.key) if same else None

    def _valid(self, key: ApiKey) -> ApiKey | None:
        return key if key.is_valid(self._now()) else None

    def _get(self, key_id: str) -> ApiKey:
        with self._database.connected() as connection:
            row = connection.execute(select(KEYS).where(KEYS.c.id == key_id)).first()
        if row is None:
            raise NotFoundError(f"there is no key {key_id!r}; `neuroscribe keys list` shows them")
        return key_of(row)

    def _forget(self) -> None:
        with self._lock:
            self._keys.clear()
