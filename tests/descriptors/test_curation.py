from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from descriptors.curation import (
    JOINT,
    CurationInputs,
    CurationSettings,
    Rejection,
    curate,
    descriptor_id,
    distinct_phrases,
    proposers_of,
    separation,
    without_empty,
)
from descriptors.proposer import PhraseRejection, normalise_phrase
from descriptors.records import Descriptor, Group, Proposal
from indexer.arrays import FloatArray

SETTINGS = CurationSettings()
DIMENSION = 24
SIZE = 15
TOPICS = ("battery life", "late delivery", "screen glare", "refund request", "loud fan")
AXES = {topic: axis for axis, topic in enumerate(TOPICS)}


def unit(rows: FloatArray) -> FloatArray:
    result: FloatArray = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return result


def axis(number: int) -> FloatArray:
    return np.eye(DIMENSION, dtype=np.float32)[number]


def sentences() -> FloatArray:
    """`SIZE` sentences around each topic's axis, topic after topic, then 200 about anything."""
    noise = np.random.default_rng(0).normal(size=(len(TOPICS) * SIZE, DIMENSION))
    topical = np.repeat(np.eye(DIMENSION)[: len(TOPICS)], SIZE, axis=0) + 0.08 * noise
    return unit(np.vstack([topical, np.random.default_rng(1).normal(size=(200, DIMENSION))]))


VECTORS = sentences()
BACKGROUND_ROWS = np.arange(len(TOPICS) * SIZE, len(VECTORS))


def group(topic: str, name: str | None = None, contrast: tuple[int, ...] = ()) -> Group:
    first = AXES[topic] * SIZE
    return Group(
        id=name or topic,
        source="test",
        rows=tuple(range(first, first + SIZE)),
        contrast_rows=contrast,
    )


def rows_of(topic: str) -> tuple[int, ...]:
    return group(topic).rows


def proposal(text: str, of: str, proposer: str = "keyphrase") -> Proposal:
    return Proposal(text=text, proposer=proposer, group=of)


def decide(
    groups: list[Group],
    proposals: list[Proposal],
    directions: dict[str, FloatArray] | None = None,
    settings: CurationSettings = SETTINGS,
) -> list[Descriptor]:
    """Curate; a topic's phrase lies on its axis, others where `directions` says."""
    known = {topic: axis(number) for topic, number in AXES.items()} | (directions or {})
    phrases = distinct_phrases(proposals)
    return curate(
        CurationInputs(
            groups=groups,
            proposals=proposals,
            phrase_rows={phrase: row for row, phrase in enumerate(phrases)},
            phrase_vectors=unit(
                np.array([known[phrase] for phrase in phrases]).reshape(-1, DIMENSION)
            ),
            vectors=VECTORS,
            background_rows=BACKGROUND_ROWS,
        ),
        settings,
    )


def reasons(descriptors: list[Descriptor]) -> dict[str, str]:
    return {descriptor.text: descriptor.reason for descriptor in descriptors}


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=30),
    st.lists(st.integers(0, 6), min_size=1, max_size=30),
)
def test_separation_is_the_auroc_of_scikit_learn(inside: list[int], outside: list[int]) -> None:
    high, low = np.array(inside, np.float32), np.array(outside, np.float32)
    labels = [1] * len(inside) + [0] * len(outside)
    expected = roc_auc_score(labels, np.append(high, low))
    assert separation(high, low) == pytest.approx(expected)


def test_separation_by_hand() -> None:
    assert separation(np.array([3.0, 1.0]), np.array([2.0, 1.0])) == pytest.approx(0.625)


@pytest.mark.parametrize(("n_inside", "n_outside"), [(0, 3), (3, 0)])
def test_separation_needs_both_sides(n_inside: int, n_outside: int) -> None:
    with pytest.raises(ValueError, match=f"found {n_inside} inside and {n_outside} outside"):
        separation(np.zeros(n_inside, np.float32), np.zeros(n_outside, np.float32))


def test_a_phrase_that_finds_its_group_is_kept_with_the_groups_rows() -> None:
    (found,) = decide([group("battery life")], [proposal("“Battery life!”", "battery life")])
    assert found == Descriptor(
        id=found.id,
        text="battery life",
        proposer="keyphrase",
        group="battery life",
        support=rows_of("battery life"),
        kept=True,
    )


def test_a_kept_descriptor_has_the_handicap_of_its_group() -> None:
    behind = group("battery life").model_copy(update={"handicap": 0.2})
    proposals = [proposal("battery life", "battery life"), proposal("odd", "battery life")]
    kept, other = decide([behind], proposals, {"odd": -axis(0)})
    assert (kept.kept, kept.handicap) == (True, 0.2)
    assert (other.kept, other.handicap) == (False, 0.0)


def test_a_phrase_about_something_else_misses_its_group() -> None:
    (found,) = decide([group("battery life")], [proposal("odd", "battery life")], {"odd": -axis(0)})
    assert found.reason == Rejection.MISSES_GROUP
    assert (found.kept, found.support) == (False, ())


def test_a_phrase_nearer_to_the_contrast_fits_it_as_well() -> None:
    contrast = rows_of("late delivery")
    leaning = {"late battery": 0.5 * axis(0) + 0.9 * axis(1)}
    wanted = [proposal("late battery", "battery life")]
    (found,) = decide([group("battery life", contrast=contrast)], wanted, leaning)
    assert found.reason == Rejection.FITS_CONTRAST
    (found,) = decide([group("battery life")], wanted, leaning)
    assert found.kept


def test_a_group_of_the_same_sentences_gets_no_second_descriptor() -> None:
    groups = [group("battery life", "coarse"), group("battery life", "fine"), group("loud fan")]
    proposals = [
        proposal("battery life", "coarse"),
        proposal("power", "fine"),
        proposal("loud fan", "loud fan"),
    ]
    found = decide(groups, proposals, {"power": axis(0) + 0.6 * axis(9)})
    assert reasons(found) == {
        "battery life": "",
        "loud fan": "",
        "power": Rejection.SAME_SENTENCES,
    }
    apart = SETTINGS.model_copy(update={"same_sentences": 1.1})
    found = decide(groups, proposals, {"power": axis(0) + 0.6 * axis(9)}, apart)
    assert all(descriptor.kept for descriptor in found)


def test_a_group_none_of_whose_phrases_was_kept_does_not_stand_in_the_way() -> None:
    groups = [group("battery life", "coarse"), group("battery life", "fine")]
    found = decide(
        groups, [proposal("odd", "coarse"), proposal("battery life", "fine")], {"odd": -axis(0)}
    )
    assert reasons(found) == {"battery life": "", "odd": Rejection.MISSES_GROUP}


def test_the_second_group_of_a_phrase_takes_its_next_one() -> None:
    shared = axis(0) + axis(1)
    directions = {"slow": shared, "slower": shared + 0.1 * axis(8), "delivery": axis(1)}
    found = decide(
        [group("battery life"), group("late delivery")],
        [
            proposal("slow", "battery life"),
            proposal("slower", "late delivery"),
            proposal("delivery", "late delivery"),
        ],
        directions,
    )
    assert reasons(found) == {"slow": "", "delivery": "", "slower": Rejection.SAME_PHRASE}
    assert [descriptor.text for descriptor in found if descriptor.kept] == ["slow", "delivery"]


def test_of_several_good_phrases_the_proposers_first_is_kept() -> None:
    directions = {"charge": axis(0) + 0.1 * axis(9), "power": axis(0) + 0.1 * axis(10)}
    proposals = [proposal(text, "battery life") for text in ("charge", "power", "battery life")]
    found = decide([group("battery life")], proposals, directions)
    assert reasons(found) == {
        "charge": "",
        "power": Rejection.ALTERNATIVE,
        "battery life": Rejection.ALTERNATIVE,
    }


def test_a_phrase_that_finds_its_group_far_worse_comes_after_the_others() -> None:
    vague = {"vague": 0.22 * axis(0) + axis(12)}
    proposals = [proposal("vague", "battery life"), proposal("battery life", "battery life")]
    found = decide([group("battery life")], proposals, vague)
    assert reasons(found) == {"battery life": "", "vague": Rejection.ALTERNATIVE}
    trusting = SETTINGS.model_copy(update={"retrieval_margin": 1.0})
    found = decide([group("battery life")], proposals, vague, trusting)
    assert reasons(found) == {"vague": "", "battery life": Rejection.ALTERNATIVE}


def test_what_is_wrong_with_a_phrase_is_said_even_when_another_was_kept() -> None:
    found = decide(
        [group("battery life")],
        [proposal(text, "battery life") for text in ("battery life", "odd", "the")],
        {"odd": -axis(0)},
    )
    assert reasons(found) == {
        "battery life": "",
        "odd": Rejection.MISSES_GROUP,
        "the": PhraseRejection.ONLY_STOP_WORDS,
    }


@pytest.mark.parametrize(
    ("text", "shown", "reason"),
    [
        ("...", "...", PhraseRejection.EMPTY),
        ("", "", PhraseRejection.EMPTY),
        ("24 / 7", "24 7", PhraseRejection.NO_LETTERS),
        ("Of the", "of the", PhraseRejection.ONLY_STOP_WORDS),
        (
            "people who say that it is late",
            "people who say that it is late",
            PhraseRejection.TOO_LONG,
        ),
    ],
)
def test_a_malformed_phrase_is_turned_down(text: str, shown: str, reason: str) -> None:
    malformed = proposal(text, "battery life")
    assert distinct_phrases([malformed]) == []
    found = decide([group("battery life")], [malformed, proposal("battery life", "battery life")])
    assert reasons(found) == {"battery life": "", shown: reason}


def test_distinct_phrases_are_normalised_and_sorted() -> None:
    texts = ["Loud fan", "loud  fan", "USB port", "'battery life'", "?!", "the"]
    assert distinct_phrases([proposal(text, "g") for text in texts]) == [
        "USB port",
        "battery life",
        "loud fan",
    ]


def test_proposals_for_an_unknown_group() -> None:
    with pytest.raises(ValueError, match=r"not there: \['loud fan'\]"):
        decide([group("battery life")], [proposal("loud fan", "loud fan")])


def test_a_group_without_proposals_and_no_proposals_at_all() -> None:
    assert decide([group("battery life")], []) == []
    assert decide([], []) == []


def test_one_phrase_by_two_proposers_and_twice_by_one() -> None:
    proposals = [
        proposal("battery life", "battery life", "keyphrase"),
        proposal("Battery Life", "battery life", "keyphrase"),
        proposal("battery life.", "battery life", "keyphrase"),
        proposal("battery life", "battery life", "embedded"),
        proposal("...", "battery life", "keyphrase"),
        proposal("?!", "battery life", "keyphrase"),
    ]
    found = decide([group("battery life")], proposals)
    assert len(found) == len({descriptor.id for descriptor in found}) == 6
    assert [descriptor.kept for descriptor in found] == [True] + [False] * 5
    assert found[0].id == descriptor_id(proposals[0])
    assert found[0].proposer == "keyphrase + embedded"
    assert [d.proposer for d in found[1:]].count("embedded") == 1
    assert {d.text for d in found if d.reason == PhraseRejection.EMPTY} == {"...", "?!"}


def many_proposals(seed: int) -> list[Proposal]:
    draw = random.Random(seed)
    texts = [*TOPICS, "Battery life", "the", "7", "...", "odd", "late battery"]
    return [
        proposal(draw.choice(texts), draw.choice(TOPICS), draw.choice(["keyphrase", "embedded"]))
        for _ in range(60)
    ]


DIRECTIONS = {"odd": -axis(0) - axis(1), "late battery": 0.5 * axis(0) + 0.9 * axis(1)}


@pytest.mark.parametrize("seed", range(5))
def test_every_proposal_becomes_one_descriptor(seed: int) -> None:
    groups = [group(topic, contrast=rows_of(TOPICS[AXES[topic] - 1])) for topic in reversed(TOPICS)]
    proposals = many_proposals(seed)
    found = decide(groups, proposals, DIRECTIONS)
    shown = sorted((normalise_phrase(p.text) or p.text, p.proposer, p.group) for p in proposals)
    assert sorted((d.text, proposers_of(d)[0], d.group) for d in found) == shown
    assert len({descriptor.id for descriptor in found}) == len(proposals)
    for descriptor in found:
        assert descriptor.kept == (descriptor.reason == "") == bool(descriptor.support)
    kept = [descriptor for descriptor in found if descriptor.kept]
    assert found[: len(kept)] == kept
    order = [descriptor.group for descriptor in kept]
    assert order == [topic for topic in reversed(TOPICS) if topic in order]


@pytest.mark.parametrize("seed", range(5))
def test_identifiers_do_not_depend_on_the_order_of_proposals(seed: int) -> None:
    groups = [group(topic) for topic in TOPICS]
    proposals = many_proposals(seed)
    found = decide(groups, proposals, DIRECTIONS)
    random.Random(seed).shuffle(proposals)
    again = decide(groups, proposals, DIRECTIONS)
    assert {(d.id, d.text, proposers_of(d)[0], d.group) for d in again} == {
        (d.id, d.text, proposers_of(d)[0], d.group) for d in found
    }


@pytest.mark.parametrize("seed", range(5))
def test_a_kept_phrase_is_credited_to_all_who_proposed_it_for_its_group(seed: int) -> None:
    proposals = many_proposals(seed)
    found = decide([group(topic) for topic in TOPICS], proposals, DIRECTIONS)
    for descriptor in found:
        own = {
            p.proposer
            for p in proposals
            if (normalise_phrase(p.text), p.group) == (descriptor.text, descriptor.group)
        }
        names = proposers_of(descriptor)
        assert len(names) == len(set(names))
        assert descriptor.proposer == JOINT.join(names)
        if descriptor.kept:
            assert set(names) == own
        else:
            assert len(names) == 1


def test_a_phrase_of_another_group_earns_no_credit() -> None:
    proposals = [
        proposal("battery life", "battery life", "keyphrase"),
        proposal("battery life", "loud fan", "embedded"),
    ]
    found = decide([group("battery life"), group("loud fan")], proposals)
    assert [(d.proposer, d.kept) for d in found] == [("keyphrase", True), ("embedded", False)]


def test_an_identifier_tells_phrase_proposer_and_group_apart() -> None:
    variants = [
        proposal("loud fan", "g"),
        proposal("loud fans", "g"),
        proposal("loud fan", "h"),
        proposal("loud fan", "g", "embedded"),
    ]
    ids = [descriptor_id(variant) for variant in variants]
    assert len(set(ids)) == 4
    assert descriptor_id(proposal(" Loud fan!", "g")) == ids[0]
    assert descriptor_id(variants[0], 1) not in ids


def test_a_group_is_not_compared_with_itself() -> None:
    rows = np.arange(len(VECTORS))
    topic = group("loud fan")
    phrases = {"loud fan": 0}
    inputs = CurationInputs(
        groups=[topic],
        proposals=[proposal("loud fan", "loud fan")],
        phrase_rows=phrases,
        phrase_vectors=axis(AXES["loud fan"])[np.newaxis],
        vectors=VECTORS,
        background_rows=rows,
    )
    others = np.setdiff1d(rows, topic.rows)
    similarities = VECTORS @ axis(AXES["loud fan"])
    reached = separation(similarities[list(topic.rows)], similarities[others])
    assert reached > separation(similarities[list(topic.rows)], similarities)
    strict = SETTINGS.model_copy(update={"minimum_group_auroc": reached})
    assert curate(inputs, strict)[0].kept


def test_a_group_that_is_the_whole_background_keeps_nothing() -> None:
    topic = group("loud fan")
    inputs = CurationInputs(
        groups=[topic],
        proposals=[proposal("loud fan", "loud fan")],
        phrase_rows={"loud fan": 0},
        phrase_vectors=axis(AXES["loud fan"])[np.newaxis],
        vectors=VECTORS,
        background_rows=np.array(topic.rows),
    )
    assert curate(inputs, SETTINGS)[0].reason == Rejection.MISSES_GROUP


def test_descriptors_without_a_sentence_are_turned_down() -> None:
    topics = ["battery life", "late delivery", "loud fan"]
    decided = decide([group(t) for t in topics], [proposal(t, t) for t in (*topics, "loud fan")])
    left = without_empty(decided, np.array([4, 0, 7]))
    assert [d.text for d in left if d.kept] == ["battery life", "loud fan"]
    assert [d.kept for d in left] == [True, True, False, False]
    empty = next(d for d in left if d.text == "late delivery")
    assert (empty.reason, empty.support) == (Rejection.NO_MEMBERS, ())
