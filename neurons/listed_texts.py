"""Texts in memory, as extraction reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from indexer.arrays import IntArray


@dataclass(frozen=True)
class ListedTexts:
    """A list of texts whose places are its rows."""

    texts: Sequence[str]

    def __len__(self) -> int:
        """The number of texts."""
        return len(self.texts)

    def texts_at(self, rows: IntArray) -> list[str]:
        """The texts of `rows`, in that order."""
        return [self.texts[row] for row in rows]
