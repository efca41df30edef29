"""How much a back end may spend, and how much it has."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from indexer.records import Record


class Budget(Record):
    """The most that may be spent; None is no limit. Tokens are those of prompts and answers."""

    max_requests: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)


@dataclass(frozen=True)
class Spending:
    """Requests sent, whether answered or not, and tokens of the answered ones."""

    requests: int = 0
    tokens: int = 0

    def plus(self, requests: int = 0, tokens: int = 0) -> Spending:
        """The sum."""
        return Spending(self.requests + requests, self.tokens + tokens)


def fits(budget: Budget, spending: Spending) -> bool:
    """Whether `spending` stays within `budget`."""
    return (budget.max_requests is None or spending.requests <= budget.max_requests) and (
        budget.max_tokens is None or spending.tokens <= budget.max_tokens
    )


def spent_message(budget: Budget, spending: Spending, n_left: int) -> str:
    """What to tell the user when `n_left` requests no longer fit."""
    limits = [
        f"{name} {limit:,}"
        for name, limit in (
            ("max_requests", budget.max_requests),
            ("max_tokens", budget.max_tokens),
        )
        if limit is not None
    ]
    return (
        f"the budget ({', '.join(limits)}) does not allow the next request: "
        f"{spending.requests:,} requests and {spending.tokens:,} tokens are spent, "
        f"{n_left:,} requests are left. Every answer so far is kept; run again with a larger "
        "budget to continue from them."
    )
