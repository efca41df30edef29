"""What single values of the service's settings must be, so that none is silently of no effect."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from ipaddress import ip_network
from typing import Any

from pydantic import SecretStr

_DATABASES = ("postgresql+psycopg", "sqlite")
_HOST_NAME = re.compile(r"[A-Za-z0-9_.-]+|\[?[0-9A-Fa-f:.]+\]?")


def none_if_empty(value: Any) -> Any:
    """An empty variable says nothing; as a path it would be the working folder."""
    return None if value == "" else value


def known_database(value: SecretStr) -> SecretStr:
    """The URL of a database that the service can use.

    Raises:
        ValueError: it is none; the message does not hold it, as its password would be shown.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        found = make_url(value.get_secret_value()).drivername
    except (ArgumentError, ValueError) as error:
        raise ValueError(
            "this is no URL; expected postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, with "
            "`%40` for an @ in the password"
        ) from error
    if found not in _DATABASES:
        raise ValueError(f"found a URL of {found!r}; expected one of {' or '.join(_DATABASES)}")
    return value


def networks(names: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses and networks of proxies.

    Raises:
        ValueError: one is neither, such as a name, which no address would ever equal.
    """
    for name in names:
        try:
            ip_network(name)
        except ValueError as error:
            raise ValueError(
                f"{error}; expected addresses or networks, such as 10.0.0.2 or 172.16.0.0/12"
            ) from error
    return names


def host_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of hosts.

    Raises:
        ValueError: one is none, such as a URL, which no request would ever name.
    """
    for name in names:
        if _HOST_NAME.fullmatch(name) is None:
            raise ValueError(
                f"{name!r} is no name of a host; expected such as neurons.example.org, without "
                "https://, port or path"
            )
    return names


def misspelt(given: Iterable[str], known: Iterable[str]) -> list[str]:
    """What is wrong with variables whose names come near one that is known."""
    names = list(known)
    nearest = {
        name: get_close_matches(name, names, 1, cutoff=0.85) for name in given if name not in names
    }
    return [
        f"the variable {name} is no setting; is {near[0]} meant?"
        for name, near in nearest.items()
        if near
    ]
