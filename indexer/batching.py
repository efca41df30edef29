"""Which texts a model reads together: those of similar length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from indexer.arrays import IntArray

_ALONE_FROM = 4


def batches(lengths: IntArray, token_budget: int) -> Iterator[IntArray]:
    """Yield positions of similar lengths whose padded size stays within `token_budget` tokens.

    Texts of one length that are many enough share no batch with others: what needs no padding needs
    no attention mask either. A text longer than the budget makes a batch of its own.
    """
    order = np.argsort(lengths, kind="stable")
    values, first, counts = np.unique(lengths[order], return_index=True, return_counts=True)
    alone = values * counts * _ALONE_FROM >= token_budget
    cuts = np.unique(np.concatenate([first[alone], (first + counts)[alone]]))
    for segment in np.split(order, cuts):
        yield from _filled(segment, lengths, token_budget)


def _filled(order: IntArray, lengths: IntArray, token_budget: int) -> Iterator[IntArray]:
    start = 0
    while start < len(order):
        sizes = np.arange(1, len(order) - start + 1) * lengths[order[start:]]
        count = max(1, int(np.searchsorted(sizes, token_budget, side="right")))
        yield order[start : start + count]
        start += count
