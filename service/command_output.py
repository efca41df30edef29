"""How a command keeps stdout for its result."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import typer

from service.options import OutputOptions


@contextmanager
def working(output: OutputOptions) -> Iterator[None]:
    """Keep stdout for the result: whatever a library prints meanwhile goes to stderr."""
    logging.basicConfig(
        stream=sys.stderr,
        format="neuroscribe: %(levelname)s: %(message)s",
        level=logging.ERROR if output.quiet else logging.WARNING,
    )
    with redirect_stdout(sys.stderr):
        yield


def print_json(content: Any) -> None:
    """Print `content` as indented JSON."""
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))
