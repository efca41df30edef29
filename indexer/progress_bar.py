"""The progress bar of everything that takes long."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

from indexer.progress import Count, current_observer

_Item = TypeVar("_Item")


class ProgressBar(tqdm):  # type: ignore[type-arg]  # which cannot be given at run time
    """A bar on stderr, or, in a process whose progress is observed, counts for the observer.

    Args:
        total: how many units there are, None if unknown.
        initial: how many of them are done already.
        desc: what is done, in a word or two.
        unit: what is counted.
        disable: whether nobody is told.
    """

    def __init__(
        self,
        *,
        total: int | None,
        initial: int = 0,
        desc: str = "",
        unit: str = "it",
        disable: bool = False,
    ) -> None:
        super().__init__(
            total=total,
            initial=initial,
            desc=desc,
            unit=unit,
            disable=disable,
            # What tqdm writes besides the bar, a line's end, has no place where none is drawn.
            file=None if current_observer() is None else io.StringIO(),
        )

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Show how far it is; called by tqdm, some ten times a second at most."""
        observer = current_observer()
        if observer is None:
            super().display(msg, pos)
        else:
            total = None if self.total is None else int(self.total)
            observer.counted(Count(self.desc, int(self.n), total))


def counted(
    items: Iterable[_Item], *, desc: str, unit: str, disable: bool = False
) -> Iterator[_Item]:
    """Go through `items` with a bar."""
    total = len(items) if isinstance(items, Collection) else None
    with ProgressBar(total=total, desc=desc, unit=unit, disable=disable) as bar:
        for item in items:
            yield item
            bar.update()
