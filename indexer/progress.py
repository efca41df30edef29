"""Who is told how far long work is: nobody, or the observer of this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Count:
    """`done` of `total` units of what a progress bar counts; `total` is None if unknown."""

    doing: str
    done: int
    total: int | None


class Observer(Protocol):
    """Is told of progress, from whichever thread makes it; must not block."""

    def stage_begins(self, name: str) -> None:
        """A stage of a run is begun, or what it left is reused."""

    def counted(self, count: Count) -> None:
        """A progress bar moves on."""


_observers: list[Observer] = []


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Meanwhile, progress in this process goes to `observer` and no bar is drawn on stderr."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def current_observer() -> Observer | None:
    """Who is told now."""
    return _observers[-1] if _observers else None


def begin_stage(name: str) -> None:
    """Tell the observer, if there is one, that a stage is begun."""
    if (observer := current_observer()) is not None:
        observer.stage_begins(name)
