"""How the service starts processes of its own: their command, and what they are told."""

from __future__ import annotations

import os
import sys
from collections.abc import Set
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_core import to_json

from service.service_settings import ServiceSettings

_ROOT = str(Path(__file__).parents[2])


def own_command(module: str, *arguments: str) -> list[str]:
    """The command that runs one of our modules."""
    # -P: a folder `eval` where the service was started must not pass for ours.
    return [sys.executable, "-P", "-m", module, *arguments]


def own_environment(
    settings: ServiceSettings, *, without: Set[str] = frozenset()
) -> dict[str, str]:
    """The environment of this process in which every setting is told by its variable.

    So they reach another process whole, flags too, and no secret is on a command line.

    Args:
        settings: those to tell.
        without: names of settings that are kept back.
    """
    fields = type(settings).model_fields
    variables = {name: f"{settings.model_config['env_prefix']}{name}".upper() for name in fields}
    told = set(variables.values())
    kept = {name: value for name, value in os.environ.items() if name.upper() not in told}
    values = {name: getattr(settings, name) for name in fields if name not in without}
    given = {variables[name]: _written(each) for name, each in values.items() if each is not None}
    path = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
    return {**kept, **given, "PYTHONPATH": path}


def until_input_ends() -> None:
    """Wait until the other end of standard input is closed, in a thread that may be left behind."""
    # Not by a buffered file, whose lock a thread that is left behind would keep.
    while os.read(0, 4096):
        pass


def _written(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value.absolute())
    return value if isinstance(value, str) else to_json(value).decode()
