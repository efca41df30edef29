"""The one place where errors become exit codes and lines on stderr."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import IntEnum

import typer

from indexer.errors import InputError, NeuroscribeError

DEBUG_VARIABLE = "NEUROSCRIBE_DEBUG"


class ExitCode(IntEnum):
    """What the command line answers its caller."""

    DONE = 0
    BAD_INPUT = 2
    STAGE_FAILED = 3
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Failure:
    """An exit code and the line that explains it."""

    code: ExitCode
    message: str


def failure_of(error: BaseException) -> Failure:
    """What to answer when a command ended with `error`."""
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return Failure(
            ExitCode.INTERRUPTED,
            "interrupted; finished stages are kept, the same command continues",
        )
    if isinstance(error, typer.TyperException):
        return Failure(
            ExitCode.BAD_INPUT, f"{_one_line(_usage_message(error))} (see neuroscribe --help)"
        )
    if isinstance(error, InputError):
        return Failure(ExitCode.BAD_INPUT, _one_line(str(error)))
    if isinstance(error, NeuroscribeError):
        return Failure(ExitCode.STAGE_FAILED, _one_line(str(error)))
    if isinstance(error, MemoryError):
        return Failure(
            ExitCode.STAGE_FAILED, "out of memory; give a smaller --limit or fewer --site"
        )
    if isinstance(error, OSError):
        return Failure(ExitCode.STAGE_FAILED, _one_line(str(error) or type(error).__name__))
    return Failure(
        ExitCode.STAGE_FAILED,
        _one_line(
            f"unexpected {type(error).__name__}: {error} "
            f"(a fault of neuroscribe; {DEBUG_VARIABLE}=1 shows where)"
        ),
    )


def wants_traceback() -> bool:
    """Whether the user asked for tracebacks with NEUROSCRIBE_DEBUG=1."""
    return os.environ.get(DEBUG_VARIABLE, "") not in {"", "0"}


def _usage_message(error: typer.TyperException) -> str:
    return error.format_message() if hasattr(error, "format_message") else str(error)


def _one_line(message: str) -> str:
    return " ".join(message.split())
