"""The records that proposing, curation and membership hand to each other.

Sentences are referred to by their row in `corpus.parquet`, never by position in a list at hand.
"""

from __future__ import annotations

from enum import StrEnum

from indexer.records import Record


class Split(StrEnum):
    """Which part of the corpus a sentence belongs to; drawn by document."""

    DISCOVER = "discover"
    VALIDATION = "validation"
    TEST = "test"


class Group(Record):
    """Sentences that seem to share something, with contrast sentences from nearby groups.

    `source` is provenance, for example `embedding_clusters:150`, `neurons` or `user`. `stability`
    tells how alike it is found by other clusterings, from 0 to 1, where that was judged. `handicap`
    is by how much AUROC its descriptor comes after others in matching: what is found again less
    reliably, or is a part of another group, has to fit a neuron better by as much.
    """

    id: str
    source: str
    rows: tuple[int, ...]
    contrast_rows: tuple[int, ...] = ()
    stability: float | None = None
    handicap: float = 0.0


class Proposal(Record):
    """One phrase that a proposer suggests for a group, best first within the group."""

    text: str
    proposer: str
    group: str


class Descriptor(Record):
    """A candidate or kept descriptor with its provenance.

    `proposer` names all that proposed the phrase for the group, joined by " + ". `support` holds
    the rows (discover split) of the group it was proposed for; it is empty for a descriptor the
    user seeded. `reason` says why a descriptor was not kept, empty for kept ones. `renamed_from` is
    the phrase it was proposed as where the user has given it another. `handicap` is that of the
    group.
    """

    id: str
    text: str
    proposer: str
    group: str
    support: tuple[int, ...]
    kept: bool
    reason: str = ""
    locked: bool = False
    renamed_from: str = ""
    handicap: float = 0.0
