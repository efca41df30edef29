from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import descriptors.keyphrase
from descriptors.keyphrase import KeyphraseProposer, KeyphraseRejection, KeyphraseSettings
from descriptors.proposer import GroupTexts, ProposalBatch, normalise_phrase, phrase_problem
from descriptors.records import Group
from descriptors.shortlist import ShortlistRejection
from indexer.arrays import FloatArray
from indexer.encoder import SentenceEncoder


class LetterEncoder:
    """Counts of character codes modulo 32: a real, if poor, encoder that needs no model."""

    fingerprint = "letters"

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        self.calls.append(list(texts))
        counts = np.full((len(texts), 32), 0.1, dtype=np.float32)
        for row, text in enumerate(texts):
            np.add.at(counts[row], [ord(character) % 32 for character in text.casefold()], 1.0)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def group(identity: str, texts: Sequence[str], contrast: Sequence[str] = ()) -> GroupTexts:
    return GroupTexts(
        Group(id=identity, source="test", rows=tuple(range(len(texts)))),
        tuple(texts),
        tuple(contrast),
    )


def propose(*groups: GroupTexts, settings: KeyphraseSettings | None = None) -> list[ProposalBatch]:
    return list(KeyphraseProposer(LetterEncoder(), settings).propose(groups))


def phrases(batch: ProposalBatch) -> list[str]:
    return [proposal.text for proposal in batch.proposals]


def folded(text: str) -> str:
    """Casefolded with white space collapsed: where a case-insensitive search looks."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).casefold()


BATTERY = ["The battery life is great", "Poor battery life", "battery life of two days"]
DELIVERY = ["The delivery was late", "late delivery again", "It came with a late delivery"]


def test_one_batch_per_group_in_order() -> None:
    batches = propose(group("b", BATTERY, DELIVERY), group("d", DELIVERY, BATTERY))
    assert [batch.group for batch in batches] == ["b", "d"]
    assert phrases(batches[0])[0] == "battery life"
    assert phrases(batches[1])[0] == "late delivery"
    assert {p.proposer for batch in batches for p in batch.proposals} == {"keyphrase"}
    assert {p.group for p in batches[0].proposals} == {"b"}


def test_the_answer_comes_as_a_stream() -> None:
    stream = KeyphraseProposer(LetterEncoder()).propose([group("b", BATTERY), group("n", [])])
    assert next(stream).group == "b"
    assert next(stream).group == "n"


@pytest.mark.parametrize(
    ("name", "texts", "reason"),
    [
        ("no sentences", [], KeyphraseRejection.NO_TEXT),
        ("only stop words", ["what is it", "do you want to"], KeyphraseRejection.NO_CANDIDATE),
        ("numbers", ["12 34.5", "7"], KeyphraseRejection.NO_CANDIDATE),
        ("punctuation", ["?!", ""], KeyphraseRejection.NO_CANDIDATE),
    ],
)
@pytest.mark.parametrize("beside", [[], [group("b", BATTERY)]], ids=["alone", "beside another"])
def test_a_group_without_phrases_is_an_empty_batch_with_its_reason(
    name: str, texts: list[str], reason: KeyphraseRejection, beside: list[GroupTexts]
) -> None:
    batch = propose(group("g", texts), *beside)[0]
    assert batch.proposals == (), name
    assert [(record.reason, record.count) for record in batch.rejected] == [(reason, 1)], name


def test_no_groups_no_batches() -> None:
    assert propose() == []


@pytest.mark.parametrize(
    "text",
    ["Akkulaufzeit zu kurz", "बैटरी जल्दी खत्म", "電池の持ち", "Плохая батарея", "battery"],
)
def test_a_single_sentence_in_any_script_gets_a_phrase(text: str) -> None:
    found = phrases(propose(group("g", [text]))[0])
    assert found
    assert all(folded(phrase) in folded(text) for phrase in found)


def test_turned_down_candidates_are_counted_by_reason() -> None:
    texts = ["credit card", "the credit card", "credit cards and fees", "fees", "a fee for Bob"]
    batch = propose(group("g", texts))[0]
    counted = {record.reason: record.count for record in batch.rejected}
    # Credit (always before card) breaks off; Bob and every longer phrase are said once.
    assert "bob" not in phrases(batch)
    assert counted[ShortlistRejection.SAID_ONCE] >= 1
    assert counted[ShortlistRejection.FRAGMENT] >= 1
    assert all(count > 0 for count in counted.values())


def test_no_phrase_contains_another_of_its_group() -> None:
    for batch in propose(group("b", BATTERY, DELIVERY), group("d", DELIVERY, BATTERY)):
        found = [set(phrase.split()) for phrase in phrases(batch)]
        assert not any(a <= b for a in found for b in found if a is not b)


def test_what_the_contrast_says_too_ranks_below_what_it_does_not() -> None:
    settings = KeyphraseSettings(semantic_weight=0.0, length_bonus=0.0, minimum_relevance=0.0)
    plain = group("g", ["tablet, screen"] * 4)
    contrast = group("g", ["tablet, screen"] * 4, ["tablet"] * 4)
    assert phrases(propose(contrast, settings=settings)[0]) == ["screen", "tablet"]
    assert set(phrases(propose(plain, settings=settings)[0])) == {"screen", "tablet"}


def test_phrases_are_embedded_once_over_all_groups() -> None:
    encoder = LetterEncoder()
    groups = [group("a", BATTERY), group("b", BATTERY), group("c", DELIVERY)]
    list(KeyphraseProposer(encoder).propose(groups))
    assert len(encoder.calls) == 1
    assert len(encoder.calls[0]) == len(set(encoder.calls[0]))


def test_windows_of_groups_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [group("a", BATTERY, DELIVERY), group("b", DELIVERY), group("c", [])]
    whole = propose(*groups)
    monkeypatch.setattr(descriptors.keyphrase, "GROUPS_PER_WINDOW", 1)
    assert propose(*groups) == whole


def test_fingerprint_follows_settings_and_encoder() -> None:
    encoder = LetterEncoder()
    same = KeyphraseProposer(encoder).fingerprint
    assert KeyphraseProposer(LetterEncoder(), KeyphraseSettings()).fingerprint == same
    assert KeyphraseProposer(encoder, KeyphraseSettings(n_phrases=3)).fingerprint != same
    encoder.fingerprint = "other letters"
    assert KeyphraseProposer(encoder).fingerprint != same


WORDS = (
    "battery Battery BATTERY life USB iPhone the of a not make is 12 coins coin food & wi-fi , . "
    "! naïve Straße İstanbul दुनिया C++ don't credit card cards fees"
)
words = st.sampled_from(WORDS.split())
sentences = st.one_of(st.lists(words, max_size=8).map(" ".join), st.text(max_size=20))
some_groups = st.lists(
    st.tuples(st.lists(sentences, max_size=6), st.lists(sentences, max_size=3)), max_size=4
)


@given(some_groups)
@settings(max_examples=150, deadline=None)
def test_every_phrase_is_valid_and_occurs_in_its_group(
    given_groups: list[tuple[list[str], list[str]]],
) -> None:
    groups = [group(str(i), own, around) for i, (own, around) in enumerate(given_groups)]
    batches = propose(*groups)
    assert [batch.group for batch in batches] == [item.group.id for item in groups]
    for item, batch in zip(groups, batches, strict=True):
        haystack = [folded(text) for text in item.texts]
        for phrase in phrases(batch):
            assert phrase_problem(phrase) is None
            assert normalise_phrase(phrase) == phrase
            assert any(folded(phrase) in text for text in haystack)
        assert batch.proposals or batch.rejected
        assert len(phrases(batch)) == len(set(phrases(batch))) <= 5


@given(some_groups)
@settings(max_examples=30, deadline=None)
def test_the_same_groups_get_the_same_answer(
    given_groups: list[tuple[list[str], list[str]]],
) -> None:
    groups = [group(str(i), own, around) for i, (own, around) in enumerate(given_groups)]
    assert propose(*groups) == propose(*groups)


@pytest.mark.slow
def test_with_the_bundled_encoder_groups_get_the_names_a_person_would_give() -> None:
    battery = [
        "the battery life is much shorter than promised",
        "battery dies after two hours",
        "I love the long battery life",
        "the battery no longer holds a charge",
        "great battery life on this tablet",
    ]
    refund = [
        "I am still waiting for my refund",
        "they refused a full refund",
        "asked for a refund twice and got nothing",
        "customer service would not give me a full refund",
        "the refund took three weeks",
    ]
    pizza = [
        "can you order a pizza for tonight",
        "order a pizza with olives",
        "I want to order a large pizza",
        "order me a pizza please",
        "let us get pizza delivered",
    ]
    proposer = KeyphraseProposer(SentenceEncoder.load("bundled", "cpu"))
    groups = [
        group("battery", battery, refund),
        group("refund", refund, pizza),
        group("pizza", pizza, battery),
    ]
    found = [phrases(batch) for batch in proposer.propose(groups)]
    assert [names[0] for names in found] == ["battery life", "refund", "order a pizza"]
