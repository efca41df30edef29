"""Whether row numbers and memberships fit each other, said with what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def check_sentences(membership: csr_matrix, **counts: int) -> None:
    """Refuse a membership of another number of sentences than what is named.

    Raises:
        ValueError: it covers another number.
    """
    for name, count in counts.items():
        if count != membership.shape[1]:
            raise ValueError(
                f"membership covers {membership.shape[1]} sentences, {name} cover {count}"
            )


def check_rows(name: str, rows: IntArray, n_sentences: int) -> None:
    """Refuse rows that are none, repeat, or lie outside the sentences.

    Raises:
        ValueError: they are or do.
    """
    distinct = np.unique(rows)
    if not len(rows) or distinct[0] < 0 or distinct[-1] >= n_sentences:
        found = f"rows {distinct[0]} to {distinct[-1]}" if len(rows) else "no rows"
        raise ValueError(f"{name}: found {found}, expected some of 0 to {n_sentences - 1}")
    if len(distinct) != len(rows):
        raise ValueError(
            f"{name}: found {len(rows)} rows, {len(distinct)} different; expected no repeats"
        )
