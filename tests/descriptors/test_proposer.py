from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from descriptors.proposer import (
    PhraseRejection,
    is_stop_word,
    normalise_phrase,
    phrase_problem,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Battery Life", "battery life"),
        ("  battery \n\t life ", "battery life"),
        ('"battery life."', "battery life"),
        ("«Akkulaufzeit»", "akkulaufzeit"),
        ("**refund requests**", "refund requests"),
        ("BATTERY LIFE", "battery life"),
        ("USB cable", "USB cable"),
        ("iPhone Cases", "iPhone cases"),
        ("don't charge", "don't charge"),
        ("food & drink", "food & drink"),
        ("& drink &", "drink"),
        ("C++ and C#", "c++ and c#"),
        ("cafe\u0301", "caf\u00e9"),
        ("Straße", "straße"),
        ("नमस्ते", "नमस्ते"),
        ("... !?", ""),
        ("", ""),
    ],
)
def test_normalise_phrase(text: str, expected: str) -> None:
    assert normalise_phrase(text) == expected


@given(st.text())
def test_normalise_phrase_is_idempotent(text: str) -> None:
    once = normalise_phrase(text)
    assert normalise_phrase(once) == once


@given(st.text(st.sampled_from("abcABC -'\"&+.İßŉ\u0301\u0345 "), max_size=12))
def test_normalise_phrase_is_idempotent_on_awkward_letters(text: str) -> None:
    once = normalise_phrase(text)
    assert normalise_phrase(once) == once
    assert once == " ".join(once.split())


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("", PhraseRejection.EMPTY),
        ("one two three four five six seven", PhraseRejection.TOO_LONG),
        ("battery one two three four five", None),
        ("12 34", PhraseRejection.NO_LETTERS),
        ("of the", PhraseRejection.ONLY_STOP_WORDS),
        ("what's that", PhraseRejection.ONLY_STOP_WORDS),
        ("state of the art", None),
        ("fire", None),
        ("दुनिया", None),
        ("電池", None),
    ],
)
def test_phrase_problem(phrase: str, expected: PhraseRejection | None) -> None:
    assert phrase_problem(phrase) == expected


@pytest.mark.parametrize("word", ["the", "The", "don't", "don’t", "dont", "I'd", "what's", "we"])
def test_function_words_and_contractions_are_stop_words(word: str) -> None:
    assert is_stop_word(word)


@pytest.mark.parametrize("word", ["bill", "name", "call", "fire", "interest", "amount", "today's"])
def test_words_that_descriptors_are_made_of_are_not_stop_words(word: str) -> None:
    assert not is_stop_word(word)
