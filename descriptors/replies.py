"""From what an LM wrote to the phrases that may become descriptors.

An answer is a JSON object that fits the schema, after the thoughts of a reasoning model and inside
a code fence at most. Nothing else is read into it: what does not fit is a problem with a reason,
and is never turned into a phrase.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError

from descriptors.generation import Answer, FinishReason
from descriptors.prompt_data import as_json, shown_text
from descriptors.proposer import (
    MAX_PHRASE_WORDS,
    PhraseRejection,
    normalise_phrase,
    phrase_problem,
)
from indexer.records import Record

MAXIMUM_PHRASE_CHARACTERS = 80
"""What the schema allows; a phrase that long was cut off by it."""
COPIED_WORDS = 4
"""A copy of a sentence this long is an echo; shorter texts may well name their group."""
ECHOED_WORDS = 3
"""A run of words this long out of the instructions is an echo."""
_QUOTED_CHARACTERS = 100
_FIELD_NAMES = frozenset(
    {"descriptor", "descriptors", "sentence", "sentences", "contrast", "contrast sentences"}
)

_FENCE = re.compile(r"```(?:json)?\s*(?P<inside>.*?)\s*```", re.DOTALL | re.IGNORECASE)
_REFUSAL = re.compile(
    r"(i'm sorry|i am sorry|sorry, (but )?i\b|as an ai\b"
    r"|i (cannot|can't|can not|won't|am unable to|'m unable to)"
    r" (help|assist|provide|comply|answer|fulfil|do that|name|describe|generate))",
    re.IGNORECASE,
)
_ONE_WRITING_SYSTEM = {
    "HIRAGANA": "CJK",
    "KATAKANA": "CJK",
    "KATAKANA-HIRAGANA": "CJK",
    "IDEOGRAPHIC": "CJK",
}
_UNSPACED = frozenset({"CJK", "THAI", "LAO", "KHMER", "MYANMAR"})


class ReplyRejection(StrEnum):
    """Why an answer, or a phrase in it, cannot be used; see `PhraseRejection` for the rest."""

    REFUSAL = "refusal"
    NOT_JSON = "not_json"
    TRUNCATED = "truncated"
    SCHEMA_MISMATCH = "schema_mismatch"
    EMPTY_ANSWER = "empty_answer"
    OFF_LANGUAGE = "off_language"
    PROMPT_ECHO = "prompt_echo"
    DUPLICATE = "duplicate"
    SURPLUS = "surplus"


@dataclass(frozen=True)
class ReplyProblem:
    """What is wrong with an answer, as counted and as told to the LM."""

    reason: str
    message: str


@dataclass(frozen=True)
class Reply:
    """The usable phrases of an answer, best first, and what is wrong with the rest."""

    phrases: tuple[str, ...]
    problems: tuple[ReplyProblem, ...] = ()


@dataclass(frozen=True)
class ReplyRules:
    """What an answer is checked against: what its prompt showed and said.

    `sentences` are to be described, `beside` are shown with them (contrast, an example).
    `prompt_phrases` are whole phrases of the prompt: the worked example's answers, the focus.
    """

    n_phrases: int
    sentences: tuple[str, ...]
    beside: tuple[str, ...] = ()
    instructions: str = ""
    prompt_phrases: tuple[str, ...] = ()


class _Descriptors(Record):
    """The JSON object that is asked for."""

    descriptors: list[str]


def answer_text(answer: Answer) -> str:
    """What the LM answered, without the thoughts of a reasoning model and without a code fence."""
    text = answer.text.rpartition("</think>")[2].strip()
    fenced = _FENCE.fullmatch(text)
    return fenced["inside"] if fenced else text


def read_reply(answer: Answer, rules: ReplyRules) -> Reply:
    """Parse an answer and check every phrase in it; raises nothing, whatever the LM wrote."""
    text = answer_text(answer)
    if answer.finish is FinishReason.REFUSED:
        return _unusable(ReplyRejection.REFUSAL, "it was a refusal")
    try:
        phrases = _Descriptors.model_validate_json(text).descriptors
    except ValidationError as error:
        return _unreadable(text, answer.finish, error)
    if not phrases:
        return _unusable(ReplyRejection.EMPTY_ANSWER, "the list of descriptors is empty")
    return _checked(phrases, rules)


def _unusable(reason: ReplyRejection, message: str) -> Reply:
    return Reply((), (ReplyProblem(reason, message),))


def _unreadable(text: str, finish: FinishReason, error: ValidationError) -> Reply:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] != "json_invalid":
        place = _quoted(".".join(map(str, first["loc"])) or "the answer")
        message = f"it does not fit the schema: {place}: {first['msg']}"
        return _unusable(ReplyRejection.SCHEMA_MISMATCH, message)
    if finish is FinishReason.LENGTH:
        return _unusable(ReplyRejection.TRUNCATED, "it was cut off before its end; be brief")
    if not text:
        return _unusable(ReplyRejection.EMPTY_ANSWER, "it was empty")
    if _REFUSAL.match(text.replace("’", "'")):
        return _unusable(ReplyRejection.REFUSAL, "it was a refusal")
    return _unusable(ReplyRejection.NOT_JSON, "it is not one JSON object")


def _quoted(text: str) -> str:
    """What the LM wrote, as it can safely be told back to it."""
    return as_json(shown_text(text, _QUOTED_CHARACTERS))


def _checked(phrases: list[str], rules: ReplyRules) -> Reply:
    scripts = _scripts(" ".join(rules.sentences))
    kept: dict[str, str] = {}
    problems: list[ReplyProblem] = []
    for text in phrases:
        phrase = normalise_phrase(text)
        problem = _malformed(text, phrase) or _foreign(phrase, scripts) or _echo(phrase, rules)
        if problem is None and phrase.casefold() in kept:
            problem = ReplyProblem(ReplyRejection.DUPLICATE, "is there twice")
        if problem is None and len(kept) == rules.n_phrases:
            problem = ReplyProblem(ReplyRejection.SURPLUS, "is one descriptor too many")
        if problem is None:
            kept[phrase.casefold()] = phrase
        else:
            problems.append(ReplyProblem(problem.reason, f"{_quoted(text)} {problem.message}"))
    return Reply(tuple(kept.values()), tuple(problems))


_MALFORMED = {
    PhraseRejection.EMPTY: "is no phrase",
    PhraseRejection.TOO_LONG: f"is longer than {MAX_PHRASE_WORDS} words",
    PhraseRejection.NO_LETTERS: "has no letters",
    PhraseRejection.ONLY_STOP_WORDS: "says nothing about the sentences",
}


def _malformed(text: str, phrase: str) -> ReplyProblem | None:
    if _REFUSAL.match(text.strip().replace("’", "'")):
        return ReplyProblem(ReplyRejection.REFUSAL, "is a refusal")
    reason = phrase_problem(phrase)
    if reason is None and len(text) >= MAXIMUM_PHRASE_CHARACTERS:
        reason = PhraseRejection.TOO_LONG
    return None if reason is None else ReplyProblem(reason, _MALFORMED[reason])


def _foreign(phrase: str, scripts: frozenset[str]) -> ReplyProblem | None:
    """A phrase in a script that the sentences do not use.

    Latin words may stand beside words in the sentences' script: names and acronyms are written
    so everywhere. Languages that share a script are not told apart.
    """
    own = _scripts(phrase)
    foreign = own - scripts
    if own & scripts:
        foreign -= {"LATIN"}
    if not foreign or not scripts:
        return None
    return ReplyProblem(
        ReplyRejection.OFF_LANGUAGE, "is not written in the language of the sentences"
    )


def _scripts(text: str) -> frozenset[str]:
    """The scripts of the letters in `text`, by the first word of their Unicode names."""
    letters = {letter for letter in set(unicodedata.normalize("NFKC", text)) if letter.isalpha()}
    names = {unicodedata.name(letter, "UNKNOWN").split()[0] for letter in letters}
    return frozenset(_ONE_WRITING_SYSTEM.get(name, name) for name in names)


def _echo(phrase: str, rules: ReplyRules) -> ReplyProblem | None:
    """A phrase that copies a sentence, or says what only the rest of the prompt says."""
    folded = _folded(phrase)
    shown = (*rules.sentences, *rules.beside)
    if _is_sentence(folded) and any(_folded(text) == folded for text in shown):
        return ReplyProblem(ReplyRejection.PROMPT_ECHO, "is a copy of a sentence")
    repeats = folded in _FIELD_NAMES or folded in map(_folded, rules.prompt_phrases)
    if not repeats and len(folded.split()) >= ECHOED_WORDS:
        repeats = f" {folded} " in f" {_folded(rules.instructions)} "
    if not repeats or any(folded in _folded(text) for text in rules.sentences):
        return None
    return ReplyProblem(ReplyRejection.PROMPT_ECHO, "repeats the instructions")


def _folded(text: str) -> str:
    """The words of a text, casefolded, without what stands between them."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return " ".join("".join(map(_word_or_space, folded)).split())


def _word_or_space(letter: str) -> str:
    return letter if unicodedata.category(letter)[0] in "LMN" else " "


def _is_sentence(text: str) -> bool:
    """Whether a folded phrase is long enough to be a copy if it equals a whole text.

    Where words are not set apart, two letters count as one word.
    """
    if len(text.split()) >= COPIED_WORDS:
        return True
    return sum(bool(_scripts(letter) & _UNSPACED) for letter in text) >= 2 * COPIED_WORDS
