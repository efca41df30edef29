from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from descriptors.salience import content_words, inverse_document_frequency, salient_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The battery life is GREAT, great!", {"battery", "life", "great"}),
        ("I'd be what's his don't", set()),
        ("wi-fi 6 on the rock'n'roll 4g x2", {"wi-fi", "rock'n'roll", "x2"}),
        ("a b c 12 34.5 ...", set()),
        ("-dash- _loud_ 'quoted'", {"dash", "loud", "quoted"}),
        ("Überhitzung der Akkus", {"überhitzung", "der", "akkus"}),
        ("電池 の 持ち", {"電池", "持ち"}),
        ("", set()),
    ],
)
def test_content_words(text: str, words: set[str]) -> None:
    assert content_words(text) == words


@given(st.text())
def test_content_words_are_lower_case_and_in_the_text(text: str) -> None:
    for word in content_words(text):
        assert len(word) >= 2
        assert word == word.lower()
        assert word in text.lower()


def test_rarity_by_hand() -> None:
    texts = [frozenset({"a", "b"}), frozenset({"a"}), frozenset[str](), frozenset({"a", "c"})]
    assert inverse_document_frequency(texts) == pytest.approx(
        {"a": math.log(5 / 4), "b": math.log(5 / 2), "c": math.log(5 / 2)}
    )
    assert inverse_document_frequency([]) == {}


RARITY = {"card": 1.0, "credit": 2.0, "limit": 4.0, "please": 0.5}


def sets(*texts: str) -> list[frozenset[str]]:
    return [frozenset(text.split()) for text in texts]


def test_salient_words_by_hand() -> None:
    group = sets("card limit", "card credit", "card credit please", "credit please")
    contrast = sets("card please", "card")
    # card 0.75 - 1 < 0; credit (0.75 - 0) * 2; please 0.5 - 0.5 = 0; limit is said once.
    assert salient_words(group, contrast, RARITY, 10) == ["credit"]
    # card 0.75 * 1, credit 0.75 * 2, please 0.5 * 0.5.
    assert salient_words(group, [], RARITY, 10) == ["credit", "card", "please"]
    assert salient_words(group, [], RARITY, 2) == ["credit", "card"]


def test_unknown_words_are_the_rarest_and_ties_go_by_the_alphabet() -> None:
    group = sets("zebra apple limit", "zebra apple limit")
    assert salient_words(group, [], RARITY, 10) == ["apple", "limit", "zebra"]
    assert salient_words(group, [], {}, 10) == ["apple", "limit", "zebra"]


@pytest.mark.parametrize(
    ("n_texts", "needed"), [(1, 1), (2, 1), (3, 2), (16, 2), (17, 3), (24, 3), (25, 4), (80, 10)]
)
def test_in_larger_groups_a_word_must_be_said_more_often(n_texts: int, needed: int) -> None:
    for said in range(1, min(n_texts, needed + 2) + 1):
        group = [frozenset({"rare"})] * said + [frozenset[str]()] * (n_texts - said)
        assert salient_words(group, [], {}, 5) == (["rare"] if said >= needed else [])


def test_an_empty_group_has_no_words() -> None:
    assert salient_words([], sets("card"), RARITY, 5) == []


texts_of_words = st.lists(st.frozensets(st.sampled_from("abcdefg"), max_size=4), max_size=20)


@given(texts_of_words, texts_of_words, texts_of_words, st.integers(0, 8))
def test_salient_words_equal_a_loop(
    group: Sequence[frozenset[str]],
    contrast: Sequence[frozenset[str]],
    others: Sequence[frozenset[str]],
    n_words: int,
) -> None:
    rarity = inverse_document_frequency([*group, *contrast, *others])
    scored = []
    for word in "abcdefg":
        inside = sum(word in words for words in group)
        outside = sum(word in words for words in contrast)
        if inside >= (max(2, len(group) / 8) if len(group) >= 3 else 1):
            excess = inside / len(group) - outside / (len(contrast) or 1)
            if excess > 0:
                scored.append((-excess * rarity[word], word))
    assert (
        salient_words(group, contrast, rarity, n_words) == [w for _, w in sorted(scored)][:n_words]
    )
