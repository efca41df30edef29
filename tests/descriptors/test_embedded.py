from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from descriptors.embedded import EmbeddedProposer, EmbeddedRejection, EmbeddedSettings
from descriptors.embedded_generator import BeamSettings, EmbeddedGenerator, GeneratedNames
from descriptors.embedded_model import PrefixInput
from descriptors.proposer import (
    GroupTexts,
    PhraseRejection,
    ProposalBatch,
    normalise_phrase,
    phrase_problem,
)
from descriptors.records import Group
from descriptors.shortlist import shortlists_of
from indexer.arrays import FloatArray
from indexer.encoder import SentenceEncoder

PASSWORD = [
    "I forgot my password and need to reset it",
    "how do I reset my password",
    "please help me reset the password of my account",
    "the password reset link does not work",
    "I want to change my password because I cannot remember it",
    "my password reset email never came",
    "can you reset my login password",
    "resetting the password fails every time",
]
WEATHER = [
    "what is the weather like today",
    "will it rain tomorrow",
    "tell me the weather forecast for this weekend",
    "is it going to be sunny on Saturday",
    "what is the temperature outside",
    "does the forecast say snow for Monday",
    "how is the weather in Paris",
    "weather report for the coast please",
]
FLIGHT = [
    "book me a flight to Boston",
    "I need a plane ticket to Madrid next week",
    "find a cheap flight from Rome to Berlin",
    "reserve two seats on the flight to Tokyo",
    "can you book a flight for Friday",
    "what flights leave for Chicago in the morning",
    "I would like to book a return flight",
    "buy airline tickets to Lisbon",
]


def group(identity: str, texts: Sequence[str], contrast: Sequence[str] = ()) -> GroupTexts:
    return GroupTexts(
        Group(id=identity, source="test", rows=tuple(range(len(texts)))),
        tuple(texts),
        tuple(contrast),
    )


def phrases(batch: ProposalBatch) -> list[str]:
    return [proposal.text for proposal in batch.proposals]


def rejected(batch: ProposalBatch) -> dict[str, int]:
    return {record.reason: record.count for record in batch.rejected}


@dataclass
class Scripted:
    """Writes the given names for every group, as the generator would hand them over."""

    names: dict[str, float]
    fingerprint: str = "scripted"
    read: list[PrefixInput] = field(default_factory=list)

    def pieces(self, word: str) -> list[int]:
        return [ord(letter) for letter in word]

    def generate(self, inputs: Sequence[PrefixInput], beam: BeamSettings) -> list[GeneratedNames]:
        self.read += inputs
        ordered = sorted(self.names, key=lambda name: -self.names[name])
        scores = np.array([self.names[name] for name in ordered])
        return [GeneratedNames(tuple(ordered), scores) for _ in inputs]


class PlaneEncoder:
    """Texts on a circle: a known one at its angle (degrees), others at 0."""

    fingerprint = "plane"

    def __init__(self, **angles: float) -> None:
        self.angles = angles

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        radians = np.radians([self.angles.get(text, 0.0) for text in texts])
        return np.column_stack([np.cos(radians), np.sin(radians)]).astype(np.float32)


def scripted(
    names: dict[str, float], encoder: PlaneEncoder, **settings: Any
) -> tuple[Scripted, EmbeddedProposer]:
    generator = Scripted(names)
    chosen: Any = generator
    return generator, EmbeddedProposer(
        encoder, chosen, EmbeddedSettings(**{"n_copied": 0, **settings})
    )


def test_every_generated_name_is_proposed_or_counted() -> None:
    names = {
        "refund": -1.0,
        "Refund.": -1.2,
        "money": -1.5,
        "the": -2.0,
        "7": -2.5,
        "!": -3.0,
        "a b c d e f g": -3.5,
        "delay": -4.0,
        "fees": -5.0,
    }
    encoder = PlaneEncoder(refund=0.0, money=10.0, delay=60.0, fees=-60.0)
    _, proposer = scripted(names, encoder, n_phrases=2, contrast_weight=0.0)
    (batch,) = proposer.propose([group("g", ["sentence"])])
    assert phrases(batch) == ["refund", "delay"]
    # "Refund." is the same phrase, "money" an angle of 10 degrees away.
    assert rejected(batch) == {
        EmbeddedRejection.NEAR_DUPLICATE: 2,
        EmbeddedRejection.NOT_AMONG_BEST: 1,
        PhraseRejection.EMPTY: 1,
        PhraseRejection.NO_LETTERS: 1,
        PhraseRejection.ONLY_STOP_WORDS: 1,
        PhraseRejection.TOO_LONG: 1,
    }
    assert len(batch.proposals) + sum(rejected(batch).values()) == len(names)
    assert [(p.proposer, p.group) for p in batch.proposals] == [("embedded", "g")] * 2


def test_names_are_ranked_by_closeness_and_contrast_by_hand() -> None:
    # Cosines to the group 0.71 and 0.5; to the contrast 0.71 and -0.87.
    encoder = PlaneEncoder(shared=45.0, away=-60.0, other=90.0)
    groups = [group("g", ["sentence"], ["other"])]
    for contrast_weight, order in {
        0.0: ["shared", "away"],
        0.1: ["shared", "away"],
        0.2: ["away", "shared"],
    }.items():
        _, proposer = scripted(
            {"shared": -1.0, "away": -2.0}, encoder, contrast_weight=contrast_weight
        )
        (batch,) = proposer.propose(groups)
        assert phrases(batch) == order


def test_among_names_as_near_the_more_probable_comes_first() -> None:
    for names in ({"fee": -1.0, "bill": -2.0}, {"fee": -2.0, "bill": -1.0}):
        _, proposer = scripted(names, PlaneEncoder(fee=30.0, bill=-30.0))
        (batch,) = proposer.propose([group("g", ["sentence"])])
        assert phrases(batch) == sorted(names, key=lambda name: -names[name])


def test_phrases_of_the_group_are_ranked_beside_what_is_written_by_hand() -> None:
    texts = ["one lost card", "my lost card", "lost card again", "a card", "the card", "his card"]
    encoder = PlaneEncoder(**{"theft": 30.0, "lost card": 65.0, "card": -50.0})
    # Cosines 0.87, 0.42 and 0.64; "card", said most, weighs most.
    for lexical_weight, order in {
        0.0: ["theft", "card", "lost card"],
        0.4: ["card", "theft", "lost card"],
    }.items():
        _, proposer = scripted(
            {"Lost card": -1.0, "theft": -2.0}, encoder, n_copied=1, lexical_weight=lexical_weight
        )
        (batch,) = proposer.propose([group("g", texts)])
        assert phrases(batch) == order


def test_without_copies_only_what_is_written_is_proposed() -> None:
    _, proposer = scripted({"theft": -1.0}, PlaneEncoder(theft=0.0))
    (batch,) = proposer.propose([group("g", ["lost card", "my lost card", "the lost card"])])
    assert phrases(batch) == ["theft"]


def test_what_the_generator_reads() -> None:
    texts = [f"alpha beta t{number}" for number in range(5)]
    encoder = PlaneEncoder(**{text: 10.0 * number for number, text in enumerate(texts)})
    generator, proposer = scripted({"name": -1.0}, encoder, n_sentences=3, n_contrast=2)
    list(proposer.propose([group("g", texts, ["beta", "beta one", "beta two"])]))
    (read,) = generator.read
    # Texts 0, 2 and 4 stand for five; every other one of them comes first.
    np.testing.assert_allclose(read.sentences, encoder.encode([texts[0], texts[4], texts[2]]))
    np.testing.assert_allclose(read.mean, encoder.encode(texts[::2]).mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(read.contrast, encoder.encode(["beta", "beta two"]))
    # "beta" is in the contrast as well; three pieces of a word are read.
    assert read.word_pieces == tuple(ord(letter) for letter in "alp")


def test_the_fingerprint_tells_settings_weights_and_encoder_apart() -> None:
    generator, plain = scripted({"a": -1.0}, PlaneEncoder())
    _, same = scripted({"b": -1.0}, PlaneEncoder(x=3.0))
    _, fewer = scripted({"a": -1.0}, PlaneEncoder(), n_phrases=4)
    other_weights: Any = Scripted({}, fingerprint="other")
    other_encoder = PlaneEncoder()
    other_encoder.fingerprint = "other"
    chosen: Any = generator
    variants = [
        plain,
        fewer,
        EmbeddedProposer(PlaneEncoder(), other_weights),
        EmbeddedProposer(other_encoder, chosen),
    ]
    assert plain.fingerprint == same.fingerprint
    assert len({each.fingerprint for each in variants}) == 4


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder.load("bundled", "cpu")


@pytest.fixture(scope="module")
def tiny(tiny_generator_folder: Path) -> EmbeddedGenerator:
    return EmbeddedGenerator.load(tiny_generator_folder)


class Counting:
    """A generator that remembers how many names it gave each group."""

    def __init__(self, generator: EmbeddedGenerator) -> None:
        self._generator = generator
        self.fingerprint, self.pieces = generator.fingerprint, generator.pieces
        self.given: list[list[str]] = []

    def generate(self, inputs: Sequence[PrefixInput], beam: BeamSettings) -> list[GeneratedNames]:
        found = self._generator.generate(inputs, beam)
        self.given += [list(each.names) for each in found]
        return found


def test_one_batch_per_group_in_order_and_all_names_counted(
    encoder: SentenceEncoder, tiny: EmbeddedGenerator
) -> None:
    counting = Counting(tiny)
    generator: Any = counting
    groups = [
        group("password", PASSWORD, WEATHER),
        group("nothing", [], WEATHER),
        group("weather", WEATHER, FLIGHT),
        group("no contrast", FLIGHT),
        group("one", ["it is what it is"], ["so it is"]),
        group("odd", ["", "🔋 電池 <b>&amp;", "?!"]),
    ]
    batches = list(EmbeddedProposer(encoder, generator).propose(groups))
    assert [batch.group for batch in batches] == [each.group.id for each in groups]
    assert batches[1] == ProposalBatch("nothing", (), batches[1].rejected)
    assert rejected(batches[1]) == {EmbeddedRejection.NO_TEXT: 1}
    named = [batch for batch in batches if batch.group != "nothing"]
    said = {each.group.id: own for each, own in zip(groups, shortlists_of(groups, 20), strict=True)}
    for batch, given in zip(named, counting.given, strict=True):
        twice = {normalise_phrase(name) for name in given} & set(said[batch.group].texts)
        counted = len(given) + len(said[batch.group].texts) - len(twice)
        assert len(batch.proposals) + sum(rejected(batch).values()) == counted
        assert len(batch.proposals) <= 5
        assert {(p.proposer, p.group) for p in batch.proposals} <= {("embedded", batch.group)}
        for phrase in phrases(batch):
            assert normalise_phrase(phrase) == phrase
            assert phrase_problem(phrase) is None
    assert Counter(batch.group for batch in named if batch.proposals)["password"] == 1


def test_a_group_is_named_alike_beside_others(
    encoder: SentenceEncoder, tiny: EmbeddedGenerator
) -> None:
    """Words are weighed over all groups, but these say none that the others say."""
    proposer = EmbeddedProposer(encoder, tiny)
    groups = [group("p", PASSWORD, WEATHER), group("w", WEATHER, FLIGHT), group("f", FLIGHT)]
    assert list(proposer.propose(groups)) == list(proposer.propose(groups))


def test_windows_change_nothing_and_the_answer_is_a_stream(
    encoder: SentenceEncoder, tiny: EmbeddedGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposer = EmbeddedProposer(encoder, tiny, EmbeddedSettings(n_beams=3))
    groups = [
        group(str(number), [text, WEATHER[number % 8]])
        for number, text in enumerate([*PASSWORD, *FLIGHT])
    ]
    whole = list(proposer.propose(groups))
    monkeypatch.setattr("descriptors.embedded._GROUPS_PER_WINDOW", 5)
    assert [phrases(batch) for batch in proposer.propose(groups)] == [phrases(b) for b in whole]
    assert [batch.group for batch in islice(proposer.propose(groups), 2)] == ["0", "1"]


def test_no_groups_no_batches(encoder: SentenceEncoder, tiny: EmbeddedGenerator) -> None:
    proposer = EmbeddedProposer(encoder, tiny)
    assert list(proposer.propose([])) == []
    assert [rejected(b) for b in proposer.propose([group("a", []), group("b", [])])] == [
        {EmbeddedRejection.NO_TEXT: 1}
    ] * 2


def test_weights_change_the_fingerprint(
    encoder: SentenceEncoder,
    tiny: EmbeddedGenerator,
    save_tiny_generator: Callable[[Path, int], None],
    tmp_path: Path,
) -> None:
    save_tiny_generator(tmp_path, 1)
    other = EmbeddedGenerator.load(tmp_path)
    same = EmbeddedProposer(encoder, tiny).fingerprint
    assert EmbeddedProposer(encoder, tiny, EmbeddedSettings()).fingerprint == same
    assert EmbeddedProposer(encoder, other).fingerprint != same


@pytest.mark.slow
def test_the_shipped_generator_names_groups_as_a_person_would(encoder: SentenceEncoder) -> None:
    wanted = {"reset password": PASSWORD, "weather forecast": WEATHER, "flight booking": FLIGHT}
    groups = [
        group(name, texts, [t for other, o in wanted.items() if other != name for t in o[:4]])
        for name, texts in wanted.items()
    ]
    batches = EmbeddedProposer(encoder, EmbeddedGenerator.load()).propose(groups)
    for batch, name in zip(batches, wanted, strict=True):
        best = phrases(batch)[:3]
        cosines = encoder.encode(best) @ encoder.encode([name])[0]
        assert cosines.max() >= 0.5, (name, best)


def test_one_beam_is_no_beam_search() -> None:
    """Greedy search in transformers gives no scores to rank names by."""
    with pytest.raises(ValidationError, match="n_beams"):
        EmbeddedSettings(n_beams=1)
