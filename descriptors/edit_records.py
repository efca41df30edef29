"""What a user can do to a catalog, as records that still mean something after a rebuild.

A rebuild may form other groups and ask other proposers, so that identifiers change. Edits name a
descriptor by its identifier and by its phrase, and sentences by their ids in the corpus.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, TypeAdapter, field_validator

from descriptors.proposer import MAX_PHRASE_WORDS, PhraseRejection, normalise_phrase, phrase_problem
from descriptors.records import Descriptor
from indexer.errors import InputError
from indexer.records import Record
from indexer.storage import fingerprint

USER = "user"
"""The proposer of what the user seeded or merged."""

_WHAT_IS_WRONG = {
    PhraseRejection.EMPTY: "nothing is left of it without punctuation",
    PhraseRejection.TOO_LONG: f"it has more than {MAX_PHRASE_WORDS} words",
    PhraseRejection.NO_LETTERS: "it has no letters",
    PhraseRejection.ONLY_STOP_WORDS: "it has only function words",
}


class EditKind(StrEnum):
    """What an edit does."""

    SEED = "seed"
    RENAME = "rename"
    MERGE = "merge"
    BAN = "ban"
    LOCK = "lock"
    UNLOCK = "unlock"


class UserReason(StrEnum):
    """Why a descriptor is not in the catalog although curation may have kept it."""

    BANNED = "banned_by_user"
    MERGED = "merged_into_another"
    PHRASE_TAKEN = "phrase_given_to_another_by_user"
    NOT_PROPOSED = "no_longer_proposed"


def checked_phrase(text: str) -> str:
    """`text` as a descriptor is written.

    Raises:
        InputError: it breaks the rules every descriptor keeps.
    """
    phrase = normalise_phrase(text)
    problem = phrase_problem(phrase)
    if problem is not None:
        raise InputError(
            f"{text!r} is no descriptor: {_WHAT_IS_WRONG[problem]}; expected a phrase of 1 to "
            f"{MAX_PHRASE_WORDS} words such as 'battery life'"
        )
    return phrase


def phrase_key(text: str) -> str:
    """What two texts have in common when they are one phrase to the user: case does not count."""
    return normalise_phrase(text).casefold()


def _is_phrase(text: str) -> str:
    if normalise_phrase(text) != text or phrase_problem(text) is not None:
        raise ValueError(f"{text!r} is not written as a descriptor is")
    return text


Phrase = Annotated[str, AfterValidator(_is_phrase)]


class DescriptorReference(Record):
    """A descriptor as it was when the user edited it.

    `renamed_from` is what it had been proposed as, empty if that is `text`.
    """

    id: str
    text: str
    renamed_from: str = ""

    @classmethod
    def of(cls, descriptor: Descriptor) -> DescriptorReference:
        """The reference to a descriptor at hand."""
        return cls(id=descriptor.id, text=descriptor.text, renamed_from=descriptor.renamed_from)

    @property
    def proposed_text(self) -> str:
        """The phrase under which a rebuild would propose it again."""
        return self.renamed_from or self.text


class Seed(Record):
    """Have a phrase in the catalog, with the sentences `support` or else by its words alone."""

    kind: Literal[EditKind.SEED] = EditKind.SEED
    text: Phrase
    support: tuple[str, ...] = ()


class Rename(Record):
    """Call a descriptor otherwise; its sentences stay."""

    kind: Literal[EditKind.RENAME] = EditKind.RENAME
    descriptor: DescriptorReference
    text: Phrase


class Merge(Record):
    """Put one descriptor in the place of several, with the sentences of all."""

    kind: Literal[EditKind.MERGE] = EditKind.MERGE
    descriptors: tuple[DescriptorReference, ...] = Field(min_length=1)
    text: Phrase


class Ban(Record):
    """Keep a phrase out of the catalog, whoever proposes it."""

    kind: Literal[EditKind.BAN] = EditKind.BAN
    text: str = Field(min_length=1)


class Lock(Record):
    """Keep a descriptor in the catalog, also when it is not proposed any more.

    `proposer`, `group`, `support` (sentence ids) and `handicap` are what it is then made of.
    """

    kind: Literal[EditKind.LOCK] = EditKind.LOCK
    descriptor: DescriptorReference
    proposer: str
    group: str
    support: tuple[str, ...] = ()
    handicap: float = Field(default=0.0, ge=0.0, le=0.5)

    @field_validator("descriptor")
    @classmethod
    def _can_stand_alone(cls, descriptor: DescriptorReference) -> DescriptorReference:
        _is_phrase(descriptor.text)
        return descriptor


class Unlock(Record):
    """Take back the locks of a descriptor, so that curation decides on it again."""

    kind: Literal[EditKind.UNLOCK] = EditKind.UNLOCK
    descriptor: DescriptorReference


Edit = Annotated[Seed | Rename | Merge | Ban | Lock | Unlock, Field(discriminator="kind")]
EDIT: TypeAdapter[Edit] = TypeAdapter(Edit)


def user_descriptor_id(text: str) -> str:
    """The identifier of a descriptor that the user seeded or merged under this name."""
    return "u" + fingerprint([USER, phrase_key(text)])[:10]


def support_sentences(edits: Iterable[Edit]) -> list[str]:
    """The sentences that edits name as support, sorted."""
    return sorted(
        {each for edit in edits if isinstance(edit, (Seed, Lock)) for each in edit.support}
    )


def edit_phrases(edits: Iterable[Edit]) -> list[str]:
    """The phrases that edits can bring into a catalog and that need a vector, sorted."""
    phrases = set()
    for edit in edits:
        if isinstance(edit, (Seed, Rename, Merge)):
            phrases.add(edit.text)
        elif isinstance(edit, Lock):
            phrases.add(edit.descriptor.text)
    return sorted(phrases)
