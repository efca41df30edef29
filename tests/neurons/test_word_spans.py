from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurons.tokens import Token
from neurons.word_spans import token_spans, word_spans


def cut(text: str, *places: tuple[int, int]) -> list[Token]:
    return [Token(text[start:end], start, end) for start, end in places]


def words(text: str, *places: tuple[int, int]) -> list[str]:
    found = word_spans(text, cut(text, *places))
    return [text[start:end] for start, end in found.places.tolist()]


@pytest.mark.parametrize(
    ("text", "places", "expected"),
    [
        ("the phone", [(0, 3), (4, 9)], ["the", "phone"]),
        ("brokez it", [(0, 5), (5, 6), (7, 9)], ["brokez", "it"]),
        ("phone, broke!", [(0, 5), (5, 6), (7, 12), (12, 13)], ["phone", ",", "broke", "!"]),
        ("don't go", [(0, 3), (3, 4), (4, 5), (6, 8)], ["don't", "go"]),
        ("well-known", [(0, 4), (4, 5), (5, 10)], ["well", "-", "known"]),
        # Byte-level tokens carry the blank before them; blanks alone are no word.
        ("a  battery", [(0, 1), (1, 2), (2, 6), (6, 10)], ["a", "battery"]),
        ("a\n\n", [(0, 1), (1, 3)], ["a"]),
        # An accent that is a character of its own, and vowel signs.
        ("cafe\u0301 au", [(0, 4), (6, 8)], ["cafe\u0301", "au"]),
        ("हिन्दी", [(0, 1), (1, 6)], ["हिन्दी"]),
        # One token of two words, and one character of several tokens.
        ("of the day", [(0, 6), (7, 10)], ["of the", "day"]),
        ("ab 🙂!", [(0, 2), (3, 4), (3, 4), (4, 5)], ["ab", "🙂", "!"]),
        ("?! x", [(0, 2), (3, 4)], ["?!", "x"]),
        # Without spaces a word is what the tokenizer takes for one.
        ("我爱你", [(0, 1), (1, 3)], ["我", "爱你"]),
        ("iPhoneが", [(0, 1), (1, 6), (6, 7)], ["iPhone", "が"]),
        ("", [], []),
    ],
)
def test_words_by_hand(text: str, places: list[tuple[int, int]], expected: list[str]) -> None:
    assert words(text, *places) == expected


def test_a_word_is_as_strong_as_its_strongest_token() -> None:
    text = "brokez  it, now"
    tokens = cut(text, (0, 5), (5, 6), (6, 7), (8, 10), (10, 11), (12, 15))
    activations = np.array([[1, -1], [3, -5], [99, 99], [0, 0], [-2, 7], [4, 4]], dtype=np.float32)
    spans = word_spans(text, tokens)
    assert spans.places.tolist() == [[0, 6], [8, 10], [10, 11], [12, 15]]
    assert spans.tokens.tolist() == [0, 1, 3, 4, 5]
    assert spans.strongest(activations).tolist() == [[3, -1], [0, 0], [-2, 7], [4, 4]]
    assert token_spans(tokens).strongest(activations).tolist() == activations.tolist()
    assert token_spans(tokens).places.tolist() == [[one.start, one.end] for one in tokens]


def test_no_tokens_have_no_spans() -> None:
    none = np.empty((0, 3), dtype=np.float32)
    for spans in (word_spans("", []), token_spans([])):
        assert spans.places.shape == (0, 2)
        assert spans.strongest(none).shape == (0, 3)
    blank = word_spans("  ", cut("  ", (0, 2)))
    assert blank.strongest(np.ones((1, 3), np.float32)).shape == (0, 3)


@settings(deadline=None)
@given(data=st.data(), text=st.text(alphabet="ab'é\u0301 \n\t.,_9我กा🙂", max_size=30))
def test_spans_cover_every_token_in_order_without_overlap(data: st.DataObject, text: str) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), unique=True)))
    tokens = cut(text, *pairwise(cuts))
    spans = word_spans(text, tokens)
    places = spans.places.tolist()
    assert all(start < end for start, end in places)
    assert all(one[1] <= two[0] for one, two in pairwise(places))
    assert all(text[start:end] == text[start:end].strip() for start, end in places)
    shown = [number for number, token in enumerate(tokens) if token.text.strip()]
    assert spans.tokens.tolist() == shown
    edges = [*spans.first.tolist(), len(spans.tokens)]
    for (start, end), (first, last) in zip(places, pairwise(edges), strict=True):
        assert first < last
        for number in spans.tokens[first:last]:
            token = tokens[number]
            inner = token.text.strip()
            begin = token.start + token.text.index(inner)
            assert start <= begin < begin + len(inner) <= end
