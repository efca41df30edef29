"""Which word sequences of a text may become keyphrases, and how often each group says them.

A candidate is 1 to 4 adjacent words with no punctuation between them, of which 1 to 3 are content
words; it neither starts nor ends with a function word. Candidates that differ only in case, number
or inner function words ("flip a coin", "flip coins") are one phrase in several surface forms.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from descriptors.proposer import GroupTexts, is_stop_word, words_of
from indexer.arrays import IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MAX_WORDS = 4
MAX_CONTENT_WORDS = 3
_MAX_WORD_CHARACTERS = 40

# Words that frame a request or an opinion without saying what it is about.
_FRAME_WORDS = words_of(
    "able accidentally actually ago anymore anyway asked asking assist believe certain couple "
    "currently definitely especially exactly explain far feel felt figure finally find finding "
    "found glad guess happen happened happening happens help helped helping hope immediately "
    "instead kind kinda know knowing known knows later let like liked likes little look looked "
    "looking looks lot lots maybe mean means need needed needing needs ok okay ones possible "
    "possibly pretty probably quickly quite really recently right said say saying says seem soon "
    "sort sure tell telling thing things think thinking thought tried tries try trying use used "
    "using usually various way ways wish wonder wondering"
)
# May start a phrase, but neither end it nor be one: verbs that need an object, and negations.
_OPENERS = words_of(
    "add ask bring can't cannot didn't doesn't don't isn't make making no not set setting show "
    "showing start stop take taking turn turning won't"
)
# The only function words that may stand inside a phrase; determiners only behind the first word
# ("flip a coin") or a preposition ("milk in the fridge").
_DETERMINERS = words_of("a an my our the your")
_PREPOSITIONS = words_of(
    "& about and are at by for from in into is of off on out over to up was were with"
)
_UNCHANGED_PLURALS = words_of("always chess gas lens news perhaps series species sports")


@dataclass(frozen=True)
class CandidateTable:
    """How often each group, and its contrast, says each candidate phrase.

    `phrases` are keys (content words, singular, casefolded); `surfaces` are the forms in which
    they are written, `phrase_of_surface` the phrase each belongs to. Counts are occurrences,
    `n_groups, n_phrases` or `n_groups, n_surfaces`; `support` counts sentences of the group.
    """

    phrases: tuple[str, ...]
    surfaces: tuple[str, ...]
    phrase_of_surface: IntArray
    counts: csr_matrix
    contrast_counts: csr_matrix
    support: csr_matrix
    contrast_support: csr_matrix
    surface_counts: csr_matrix

    def group_surfaces(self, row: int) -> GroupSurfaces:
        """How the group in `row` writes its phrases."""
        own = slice(self.surface_counts.indptr[row], self.surface_counts.indptr[row + 1])
        columns = self.surface_counts.indices[own]
        written = [self.surfaces[column] for column in columns]
        counts = self.surface_counts.data[own].tolist()
        return GroupSurfaces(
            self.phrase_of_surface[columns].tolist(), dict(zip(written, counts, strict=True))
        )


class GroupSurfaces:
    """How one group writes its phrases, and which words it hardly ever says apart."""

    def __init__(self, phrases: Sequence[int], counts: Mapping[str, int]) -> None:
        self._forms: defaultdict[int, list[tuple[int, int, str]]] = defaultdict(list)
        self._words: Counter[str] = Counter()
        followed: defaultdict[str, Counter[str]] = defaultdict(Counter)
        preceded: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for phrase, (surface, count) in zip(phrases, counts.items(), strict=True):
            words = surface.casefold().split()
            self._forms[phrase].append((-count, len(words), surface))
            if len(words) == 1:
                self._words[words[0]] += count
            elif len(words) == 2:
                followed[words[0]][words[1]] += count
                preceded[words[1]][words[0]] += count
        self._followed = {word: max(nexts.values()) for word, nexts in followed.items()}
        self._preceded = {word: max(lasts.values()) for word, lasts in preceded.items()}

    def commonest(self, phrase: int) -> str:
        """The surface form in which a phrase is most often written; of equals the shortest."""
        return min(self._forms[phrase])[2]

    def is_fragment(self, surface: str, share: float) -> bool:
        """Whether a phrase breaks off within a fixed pair of words.

        True if its last word is followed, or its first word preceded, by one and the same word in
        at least `share` of its occurrences, and more than once ("new credit" before "card").
        """
        words = surface.casefold().split()
        after, before = self._followed.get(words[-1], 0), self._preceded.get(words[0], 0)
        return (after > 1 and after >= share * self._words[words[-1]]) or (
            before > 1 and before >= share * self._words[words[0]]
        )


def candidate_table(groups: Sequence[GroupTexts]) -> CandidateTable | None:
    """Count the candidates of all groups; None if no text holds one."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    texts = list(dict.fromkeys(t for g in groups for t in (*g.texts, *g.contrast_texts)))
    if not any(candidate_phrases(text) for text in texts):
        return None
    vectorizer = CountVectorizer(analyzer=candidate_phrases)
    by_text = csr_matrix(vectorizer.fit_transform(texts))
    surfaces = tuple(str(surface) for surface in vectorizer.get_feature_names_out())
    keys = [phrase_key(surface) for surface in surfaces]
    phrases = tuple(sorted(set(keys)))
    position = {phrase: index for index, phrase in enumerate(phrases)}
    phrase_of_surface = np.array([position[key] for key in keys], dtype=np.int64)
    fold = csr_matrix(
        (np.ones(len(keys), dtype=np.int64), (np.arange(len(keys)), phrase_of_surface)),
        shape=(len(keys), len(phrases)),
    )
    row = {text: index for index, text in enumerate(texts)}
    inside = _incidence([[row[text] for text in group.texts] for group in groups], len(texts))
    around = _incidence(
        [[row[text] for text in group.contrast_texts] for group in groups], len(texts)
    )
    folded = csr_matrix(by_text @ fold)
    present = folded.sign()
    return CandidateTable(
        phrases,
        surfaces,
        phrase_of_surface,
        counts=csr_matrix(inside @ folded),
        contrast_counts=csr_matrix(around @ folded),
        support=csr_matrix(inside @ present),
        contrast_support=csr_matrix(around @ present),
        surface_counts=csr_matrix(inside @ by_text),
    )


def candidate_phrases(text: str) -> list[str]:
    """Every candidate of a text as it is written there, with repeats."""
    found: list[str] = []
    for run in _word_runs(text):
        roles = [_role(word) for word in run]
        for start, role in enumerate(roles):
            if role in (_Role.CONTENT, _Role.OPENER):
                found += _phrases_from(run, roles, start)
    return found


def phrase_key(surface: str) -> str:
    """The content words of a phrase, singular and casefolded: what its surface forms share."""
    return " ".join(
        _singular(word.casefold()) for word in surface.split() if _role(word) in _COUNTED_ROLES
    )


class _Role(Enum):
    CONTENT = "content"
    OPENER = "opener"
    NUMBER = "number"
    DETERMINER = "determiner"
    PREPOSITION = "preposition"
    OUTSIDE = "outside"


_COUNTED_ROLES = (_Role.CONTENT, _Role.OPENER, _Role.NUMBER)


def _phrases_from(run: list[str], roles: list[_Role], start: int) -> Iterator[str]:
    content = 0
    for end in range(start, min(start + MAX_WORDS, len(run))):
        role = roles[end]
        if role is _Role.OUTSIDE or (end > start and not _may_follow(roles, start, end)):
            return
        content += role in _COUNTED_ROLES
        if content > MAX_CONTENT_WORDS:
            return
        if role in (_Role.CONTENT, _Role.NUMBER) and not run[end].endswith(("'s", "’s")):
            yield " ".join(run[start : end + 1])


def _may_follow(roles: list[_Role], start: int, position: int) -> bool:
    role, before = roles[position], roles[position - 1]
    if role is _Role.DETERMINER:
        return before is _Role.PREPOSITION or position == start + 1
    # "Windows 10", but not "table for 3".
    return role is not _Role.NUMBER or before is _Role.CONTENT


@lru_cache(maxsize=100_000)
def _role(word: str) -> _Role:
    folded = word.casefold().replace("’", "'")
    if folded in _OPENERS:
        return _Role.OPENER
    if folded in _DETERMINERS:
        return _Role.DETERMINER
    if folded in _PREPOSITIONS:
        return _Role.PREPOSITION
    if folded in _FRAME_WORDS or is_stop_word(folded) or len(word) > _MAX_WORD_CHARACTERS:
        return _Role.OUTSIDE
    if not any(character.isalpha() for character in word):
        return _Role.NUMBER
    return _Role.CONTENT if len(word) > 1 else _Role.OUTSIDE


def _word_runs(text: str) -> list[list[str]]:
    """Words of a text in runs that no punctuation interrupts."""
    composed = unicodedata.normalize("NFC", text)
    runs: list[list[str]] = []
    end = -1
    for found in _word_pattern().finditer(composed):
        if end < 0 or composed[end : found.start()].strip() or found.start() == end:
            runs.append([])
        runs[-1].append(found[0])
        end = found.end()
    return runs


@cache
def _word_pattern() -> re.Pattern[str]:
    """Letters, digits and combining marks, joined by apostrophes, hyphens, or points in numbers."""
    marks = "".join(
        chr(code) for code in range(0x300, 0x1E000) if unicodedata.category(chr(code))[0] == "M"
    )
    part = rf"[^\W_](?:[^\W_]|[{marks}])*"
    joined = rf"(?:['’&‐‑-]{part}|(?<=\d)[.,:](?=\d){part})*"
    return re.compile(rf"{part}{joined}[+#]*|(?<=\s)&(?=\s)")


def _singular(word: str) -> str:
    """A plain English singular, only ever used as a key."""
    if len(word) < 4 or word in _UNCHANGED_PLURALS or not word.endswith("s"):
        return word
    if word.endswith(("ss", "us", "is", "'s", "’s")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("sses", "xes", "ches", "shes")) else word[:-1]


def _incidence(rows_by_group: list[list[int]], n_texts: int) -> csr_matrix:
    from scipy.sparse import csr_matrix

    columns = [row for rows in rows_by_group for row in rows]
    groups = np.repeat(np.arange(len(rows_by_group)), [len(rows) for rows in rows_by_group])
    ones = np.ones(len(columns), dtype=np.int64)
    return csr_matrix((ones, (groups, columns)), shape=(len(rows_by_group), n_texts))
