from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descriptors.keyphrase import KeyphraseProposer
from descriptors.proposer import (
    AVAILABLE_PROPOSERS,
    PhraseRejection,
    ProposerContext,
    create_proposer,
    is_stop_word,
    normalise_phrase,
    phrase_problem,
)
from indexer.arrays import FloatArray
from indexer.errors import InputError


@dataclass(frozen=True)
class OneDirection:
    """Every text has the same vector; enough to build a proposer."""

    fingerprint: str = "one direction"

    def encode(self, texts: list[str], *, progress: bool = False) -> FloatArray:
        return np.ones((len(texts), 1), dtype=np.float32)


CONTEXT = ProposerContext(OneDirection())


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


def test_keyphrase_is_built() -> None:
    proposer = create_proposer("keyphrase", CONTEXT)
    assert isinstance(proposer, KeyphraseProposer)
    assert proposer.name == "keyphrase"


@pytest.mark.parametrize("spec", AVAILABLE_PROPOSERS)
def test_what_is_said_to_work_works(spec: str) -> None:
    assert create_proposer(spec, CONTEXT).name == spec


@pytest.mark.parametrize("spec", ["vllm:some/model", "openai:x", "embedded", "", "Keyphrase"])
def test_another_proposer_is_refused_with_what_works(spec: str) -> None:
    with pytest.raises(InputError, match=r"not available in this version; what works: keyphrase"):
        create_proposer(spec, CONTEXT)
