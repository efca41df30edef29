from __future__ import annotations

import pytest

from descriptors.candidates import GroupSurfaces, candidate_phrases, candidate_table, phrase_key
from descriptors.proposer import GroupTexts
from descriptors.records import Group


def group(*texts: str, contrast: tuple[str, ...] = ()) -> GroupTexts:
    return GroupTexts(Group(id="g", source="test", rows=tuple(range(len(texts)))), texts, contrast)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'd like to flip a coin.", ["flip", "flip a coin", "coin"]),
        ("Battery, screen", ["Battery", "screen"]),
        ("battery  life", ["battery", "battery life", "life"]),
        ("do you want to know", []),
        ("not working", ["not working", "working"]),
        ("great tablet the kids", ["great", "great tablet", "tablet", "tablet the kids", "kids"]),
        ("milk in the fridge", ["milk", "milk in the fridge", "fridge"]),
        ("windows 10", ["windows", "windows 10"]),
        ("table for 3", ["table"]),
        ("AT&T wi-fi", ["AT&T", "AT&T wi-fi", "wi-fi"]),
        ("food & drink", ["food", "food & drink", "drink"]),
        ("Amazon's tablet", ["Amazon's tablet", "tablet"]),
        ("नमस्ते दुनिया", ["नमस्ते", "नमस्ते दुनिया", "दुनिया"]),
        ("12 !! __ 4.5", []),
        ("", []),
    ],
)
def test_candidate_phrases(text: str, expected: list[str]) -> None:
    assert candidate_phrases(text) == expected


def test_no_candidate_has_more_than_three_content_words() -> None:
    assert candidate_phrases("red green blue black")[:3] == ["red", "red green", "red green blue"]
    assert "red green blue black" not in candidate_phrases("red green blue black")


@pytest.mark.parametrize(
    ("surface", "key"),
    [
        ("flip a coin", "flip coin"),
        ("Flip the Coins", "flip coin"),
        ("batteries", "battery"),
        ("boxes", "box"),
        ("glasses", "glass"),
        ("news", "news"),
        ("bus", "bus"),
    ],
)
def test_phrase_key(surface: str, key: str) -> None:
    assert phrase_key(surface) == key


def test_table_counts_occurrences_and_sentences_with_duplicates() -> None:
    table = candidate_table(
        [
            group("coin coin", "Coins!", "coin coin", contrast=("dice",)),
            group("dice", contrast=("coin, coin",)),
        ]
    )
    assert table is not None
    coin, dice = table.phrases.index("coin"), table.phrases.index("dice")
    assert table.counts[:, [coin, dice]].toarray().tolist() == [[5, 0], [0, 1]]
    assert table.support[:, [coin, dice]].toarray().tolist() == [[3, 0], [0, 1]]
    assert table.contrast_counts[:, [coin, dice]].toarray().tolist() == [[0, 1], [2, 0]]
    assert table.contrast_support[:, [coin, dice]].toarray().tolist() == [[0, 1], [1, 0]]


def test_the_commonest_surface_form_of_the_group_is_used() -> None:
    table = candidate_table(
        [
            group("flip a coin", "please flip a coin", "flip coins"),
            group("flip the coins", "flip the coins"),
        ]
    )
    assert table is not None
    phrase = table.phrases.index("flip coin")
    assert table.group_surfaces(0).commonest(phrase) == "flip a coin"
    assert table.group_surfaces(1).commonest(phrase) == "flip the coins"


def test_no_candidates_no_table() -> None:
    assert candidate_table([group("do you?", "12"), group()]) is None
    assert candidate_table([]) is None


def test_a_phrase_that_breaks_off_within_a_fixed_pair_is_a_fragment() -> None:
    counts = {"credit": 4, "card": 5, "credit card": 4, "new credit": 2, "new": 2}
    surfaces = GroupSurfaces(range(5), counts)
    assert surfaces.is_fragment("new credit", 0.7)
    assert surfaces.is_fragment("card", 0.7)
    assert not surfaces.is_fragment("card", 0.9)
    assert not surfaces.is_fragment("credit card", 0.7)


def test_a_pair_said_once_makes_no_fragment() -> None:
    assert not GroupSurfaces(range(2), {"credit": 1, "credit card": 1}).is_fragment("credit", 0.7)
