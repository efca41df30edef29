"""What a user may ask to be done to a catalog."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from descriptors.edit_records import Edit, EditKind
from indexer.records import Record
from service.catalog_editing import EditableCatalog

Words = Annotated[str, Field(min_length=1, max_length=200, examples=["battery life"])]
Named = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        description="A descriptor, by its identifier or its phrase.",
        examples=["battery life"],
    ),
]
SentenceId = Annotated[str, Field(min_length=1, max_length=1000)]


class SeedRequest(Record):
    """Have a phrase in the catalog, by its words alone or with these sentences."""

    kind: Literal[EditKind.SEED]
    text: Words
    sentences: tuple[SentenceId, ...] = Field(default=(), max_length=10_000)

    def edit(self, catalog: EditableCatalog) -> Edit:
        """The edit of a catalog at hand."""
        return catalog.seed(self.text, self.sentences)


class RenameRequest(Record):
    """Call a descriptor otherwise."""

    kind: Literal[EditKind.RENAME]
    descriptor: Named
    text: Words

    def edit(self, catalog: EditableCatalog) -> Edit:
        """The edit of a catalog at hand."""
        return catalog.rename(self.descriptor, self.text)


class MergeRequest(Record):
    """Put one descriptor in the place of several."""

    kind: Literal[EditKind.MERGE]
    descriptors: tuple[Named, ...] = Field(min_length=2, max_length=200)
    text: Words

    def edit(self, catalog: EditableCatalog) -> Edit:
        """The edit of a catalog at hand."""
        return catalog.merge(self.descriptors, self.text)


class BanRequest(Record):
    """Keep a phrase out of the catalog, whoever proposes it."""

    kind: Literal[EditKind.BAN]
    descriptor: Named

    def edit(self, catalog: EditableCatalog) -> Edit:
        """The edit of a catalog at hand."""
        return catalog.ban(self.descriptor)


class LockRequest(Record):
    """Keep a descriptor whatever is proposed later."""

    kind: Literal[EditKind.LOCK]
    descriptor: Named

    def edit(self, catalog: EditableCatalog) -> Edit:
        """The edit of a catalog at hand."""
        return catalog.lock(self.descriptor)


class UnlockRequest(Record):
    """Let curation decide on a descriptor again."""

    kind: Literal[EditKind.UNLOCK]
    descriptor: Named

    def edit(self, catalog: EditableCatalog) -> Edit:
        """The edit of a catalog at hand."""
        return catalog.unlock(self.descriptor)


EditRequest = Annotated[
    SeedRequest | RenameRequest | MergeRequest | BanRequest | LockRequest | UnlockRequest,
    Field(discriminator="kind"),
]
EXAMPLES = {
    "seed": {"value": {"kind": "seed", "text": "battery life"}},
    "rename": {
        "value": {"kind": "rename", "descriptor": "battery", "text": "battery life"},
    },
    "merge": {
        "value": {
            "kind": "merge",
            "descriptors": ["battery", "charging"],
            "text": "battery and charging",
        },
    },
    "ban": {"value": {"kind": "ban", "descriptor": "good product"}},
    "lock": {"value": {"kind": "lock", "descriptor": "battery life"}},
    "unlock": {"value": {"kind": "unlock", "descriptor": "battery life"}},
}
"""One of each kind, for the API's documentation."""
