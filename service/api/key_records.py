"""What an API key is, and what it lets its holder do."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import SecretStr

from indexer.records import Record


class Scope(StrEnum):
    """What a key is for; each scope includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def allows(self, wanted: Scope) -> bool:
        """Whether a key of this scope may do what `wanted` is for."""
        order = list(Scope)
        return order.index(self) >= order.index(wanted)


class ApiKey(Record):
    """A key as its makers see it; the key itself is not kept anywhere.

    `used_at` is when it was last used, to some minutes.
    """

    id: str
    name: str
    scope: Scope
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    used_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Whether it opens anything."""
        expired = self.expires_at is not None and self.expires_at <= now
        return self.revoked_at is None and not expired


class NewKey(Record):
    """A key that was just made: the only time that it is seen."""

    key: ApiKey
    secret: SecretStr
