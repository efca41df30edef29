"""The record every evaluation figure is kept in."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from indexer.records import Record


class Figure(Record):
    """One evaluation figure with what is needed to judge it.

    `null` is the same figure where there is nothing to find, `baseline` the same figure for a
    method that does not look at the neuron; `n` is the number of units the value averages over.
    A missing value means that the quantity is undefined for this figure, never zero; `reason` says
    why, where there is more to say than that no unit qualifies. `n` then counts what was found.
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
    reason: str = ""

    @model_validator(mode="after")
    def _a_value_needs_no_reason(self) -> Self:
        if self.reason and self.value is not None:
            raise ValueError(f"value is {self.value}, and {self.reason!r} says why there is none")
        return self

    @classmethod
    def refused(
        cls,
        protocol: str,
        reason: str,
        *,
        metric: str = "refused",
        variant: str = "",
        k: int | None = None,
        split: str = "test",
        facet: str = "",
        n: int = 0,
    ) -> Self:
        """A protocol, or a part of one, that has too little to go on; `n` of what it found."""
        return cls(
            protocol=protocol,
            variant=variant,
            metric=metric,
            k=k,
            split=split,
            facet=facet,
            value=None,
            n=n,
            reason=reason,
        )
