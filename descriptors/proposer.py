"""What suggests descriptors for groups of sentences, and the rules every phrase has to keep.

Each way of proposing (keyphrases, generative LMs) is a `Proposer`: groups in, one batch of phrases
per group out, in order, as a stream, with a count of what it turned down and why.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Protocol

from descriptors.records import Group, Proposal
from indexer.arrays import FloatArray

MAX_PHRASE_WORDS = 6
TEXTS_PER_GROUP = 60
"""Of its own sentences, the most central first, that a group hands to a proposer."""
_LONGEST_ACRONYM = 4


def words_of(text: str) -> frozenset[str]:
    """The words of a space-separated list."""
    return frozenset(text.split())


# scikit-learn's list holds content words that descriptors are made of ("pay bill", "fire tablet").
_NOT_STOP_WORDS = words_of(
    "amount bill bottom call con cry describe detail empty fifty fill find fire first forty front "
    "full hundred interest last mill move name part serious side sincere sixty system thick thin "
    "third top"
)
_MORE_STOP_WORDS = words_of(
    "ain aint arent came come comes coming couldn d did didn didnt does doesn doesnt doing don "
    "dont gave gets getting given gives giving goes going gone gonna got gotta hadnt hasn "
    "havent having heres hes id ill im isn isnt ive just let lets ll m made make makes making "
    "maybe mr mrs ms ought s saw seen shall shant shes shouldn shouldnt t taken takes taking "
    "thats theres theyre theyve took ur ve wanna want wanted wants wasn wasnt went werent whats "
    "whens wheres whos wont wouldn wouldnt ya yall youd youll youre youve"
)


class PhraseRejection(StrEnum):
    """Why a text is no descriptor, whoever proposed it."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    NO_LETTERS = "no_letters"
    ONLY_STOP_WORDS = "only_stop_words"


@dataclass(frozen=True)
class GroupTexts:
    """A group with the sentences a proposer may read: its own, and contrast from nearby groups."""

    group: Group
    texts: tuple[str, ...]
    contrast_texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class RejectionCount:
    """How many phrases of a group a proposer turned down for one reason."""

    reason: str
    count: int


@dataclass(frozen=True)
class ProposalBatch:
    """A proposer's answer for one group: proposals best first, and what it turned down."""

    group: str
    proposals: tuple[Proposal, ...]
    rejected: tuple[RejectionCount, ...] = ()


class Proposer(Protocol):
    """Suggests descriptors for groups of sentences."""

    @property
    def name(self) -> str:
        """The proposer as the user writes it, for example `keyphrase`."""
        ...

    @property
    def fingerprint(self) -> str:
        """Name, version and settings: two proposers with one fingerprint answer alike."""
        ...

    def propose(
        self, groups: Sequence[GroupTexts], *, progress: bool = False
    ) -> Iterator[ProposalBatch]:
        """Yield one batch per group, in the order of `groups`."""
        ...


class PhraseEncoder(Protocol):
    """Turns phrases and sentences into unit vectors."""

    @property
    def fingerprint(self) -> str:
        """Identifies the encoder's weights."""
        ...

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        """One vector of length 1 per text (`n_texts, dimension`)."""
        ...


@cache
def stop_words() -> frozenset[str]:
    """English function words, casefolded, contractions with and without their apostrophe.

    scikit-learn's list, less the content words it holds, plus auxiliaries and contractions.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return (frozenset(ENGLISH_STOP_WORDS) - _NOT_STOP_WORDS) | _MORE_STOP_WORDS


def is_stop_word(word: str) -> bool:
    """Whether `word` is an English function word; `don't`, `I'd` and `what's` are."""
    folded = word.casefold().replace("’", "'")
    return folded.replace("'", "") in stop_words() or (
        "'" in folded and folded.split("'")[0] in stop_words()
    )


def normalise_phrase(text: str) -> str:
    """The form in which a phrase is kept, compared and shown; empty if nothing is left.

    NFC, single spaces, no quotes or punctuation around words (`C++` and `food & drink` stay),
    lower case but for acronyms (`USB`) and words with inner capitals (`iPhone`). A phrase that is
    shouted (`BATTERY LIFE`) is lowered as a whole. Applying it twice changes nothing.
    """
    current = _normalised_once(text)
    while (again := _normalised_once(current)) != current:
        current = again
    return current


def phrase_problem(phrase: str) -> PhraseRejection | None:
    """Why a normalised phrase is no descriptor, or None if it may be one."""
    words = phrase.split()
    if not words:
        return PhraseRejection.EMPTY
    if len(words) > MAX_PHRASE_WORDS:
        return PhraseRejection.TOO_LONG
    if not any(character.isalpha() for character in phrase):
        return PhraseRejection.NO_LETTERS
    if all(is_stop_word(word) for word in words):
        return PhraseRejection.ONLY_STOP_WORDS
    return None


def _normalised_once(text: str) -> str:
    words = [
        word if word == "&" else _stripped(word)
        for word in unicodedata.normalize("NFC", text).split()
    ]
    words = " ".join(word for word in words if word).strip("& ").split()
    shouted = any(word.isupper() and len(word) > _LONGEST_ACRONYM for word in words)
    cased = [word if _keeps_case(word) and not shouted else word.lower() for word in words]
    return unicodedata.normalize("NFC", " ".join(cased))


def _stripped(word: str) -> str:
    start, end = 0, len(word)
    while start < end and not _belongs_to_word(word[start]):
        start += 1
    while start < end and not (_belongs_to_word(word[end - 1]) or word[end - 1] in "+#"):
        end -= 1
    return word[start:end]


def _belongs_to_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


def _keeps_case(word: str) -> bool:
    return bool(re.search(r"\w", word[1:])) and any(letter.isupper() for letter in word[1:])
