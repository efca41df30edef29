"""Keeps the secrets of the environment out of logs and messages."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_NAMES = re.compile(r"(_KEY|_TOKEN|_SECRET|PASSWORD|DATABASE_URL)$")
_SHORTEST = 8
_HIDDEN = "[hidden]"


class SecretsHidden:
    """Replaces the secrets that an environment holds.

    Args:
        environment: where they are; that of this process if None.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        found = os.environ if environment is None else environment
        # Shorter values would match ordinary words.
        self._secrets = sorted(
            (value for name, value in found.items() if _is_secret(name, value)),
            key=len,
            reverse=True,
        )

    def within(self, text: str) -> str:
        """`text` without them."""
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return text


def _is_secret(name: str, value: str) -> bool:
    return _NAMES.search(name.upper()) is not None and len(value) >= _SHORTEST
