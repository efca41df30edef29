"""What each proposer contributed to a catalog, and why its other phrases are not in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from descriptors.curation import proposers_of
from descriptors.records import Descriptor
from indexer.records import Record


class Contribution(Record):
    """One proposer's phrases: proposed, kept as its own, kept together with others, rejected."""

    proposer: str
    proposed: int
    kept_alone: int
    kept_jointly: int
    rejected: dict[str, int]


def contributions(descriptors: Sequence[Descriptor]) -> list[Contribution]:
    """A line for each proposer, in the order of their names.

    A phrase that two proposers suggested for one group is kept once, and counts for both; the
    second suggestion is among the rejected of that proposer as another phrase of the group.
    """
    kept_alone: Counter[str] = Counter()
    kept_jointly: Counter[str] = Counter()
    rejected: dict[str, Counter[str]] = {}
    proposed: Counter[str] = Counter()
    for descriptor in descriptors:
        names = proposers_of(descriptor)
        proposed[names[0]] += 1
        if not descriptor.kept:
            rejected.setdefault(names[0], Counter())[descriptor.reason] += 1
        elif len(names) == 1:
            kept_alone[names[0]] += 1
        else:
            kept_jointly.update(names)
    return [
        Contribution(
            proposer=name,
            proposed=proposed[name],
            kept_alone=kept_alone[name],
            kept_jointly=kept_jointly[name],
            rejected=dict(sorted(rejected.get(name, Counter()).items())),
        )
        for name in sorted({*proposed, *kept_jointly})
    ]
