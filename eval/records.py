"""The record every evaluation figure is kept in."""

from __future__ import annotations

from indexer.records import Record


class Figure(Record):
    """One evaluation figure with what is needed to judge it.

    `null` is the same figure where there is nothing to find, `baseline` the same figure for a
    method that does not look at the neuron; `n` is the number of units the value averages over.
    A missing value means that the quantity is undefined for this figure, never zero.
    """

    protocol: str
    variant: str
    metric: str
    k: int | None = None
    split: str
    facet: str = ""
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    null: float | None = None
    baseline: float | None = None
    n: int
