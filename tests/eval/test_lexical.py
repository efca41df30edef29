"""Where a match stands beside units of random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.lexical import (
    FEWEST_UNITS,
    LexicalBaseline,
    LexicalControl,
    LexicalLabel,
    LexicalRecord,
    LexicalSample,
    Reference,
    read_lexical,
    rounded,
    write_lexical,
)
from indexer.errors import RunError
from neurons.records import NeuronId, Site, Tail

WEIGHTS, DIRECTIONS = LexicalControl.RANDOM_WEIGHTS, LexicalControl.RANDOM_DIRECTIONS
NEURON = NeuronId(0, Site.FFN, 3)


def sample(
    best: list[float | None],
    *,
    control: LexicalControl = WEIGHTS,
    seed: int = 0,
    layer: int = 0,
    tail: Tail = Tail.POSITIVE,
    first_match: list[float | None] | None = None,
) -> LexicalSample:
    return LexicalSample(
        control=control,
        seed=seed,
        layer=layer,
        site=Site.FFN,
        tail=tail,
        best=tuple(best),
        first_match=tuple(first_match or [None] * len(best)),
    )


def hundredths(first: int, n: int) -> list[float | None]:
    """`first` / 100 and on, not in order, with a constant unit among them."""
    values = [round((first + number) / 100, 2) for number in range(n)]
    return [*values[::2], None, *values[1::2]]


def test_p_excess_and_label_by_hand() -> None:
    """Of 39 units 0.51 to 0.89, one in twenty is two: 0.88 and 0.89 alone exceed 0.87."""
    baseline = LexicalBaseline(LexicalRecord(samples=(sample(hundredths(51, 39)),)))
    for auroc, p, excess, label in (
        (0.5, 40 / 40, 0.5 - 0.88, "lexical"),
        (0.87, 4 / 40, 0.87 - 0.88, "lexical"),
        (0.88, 3 / 40, 0.0, "lexical"),
        (0.885, 2 / 40, 0.005, "learned"),
        (0.89, 2 / 40, 0.01, "learned"),
        (0.95, 1 / 40, 0.07, "learned"),
    ):
        found = baseline.standing(NEURON, Tail.POSITIVE, auroc)
        assert found is not None
        assert (found.p, found.excess) == (pytest.approx(p), pytest.approx(excess))
        assert found.label == label


@given(
    values=st.lists(st.floats(0.0, 1.0), min_size=FEWEST_UNITS, max_size=120),
    aurocs=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20),
)
def test_learned_is_a_small_p_and_an_excess_above_zero(
    values: list[float], aurocs: list[float]
) -> None:
    reference = Reference.of([np.round(np.array(values), 6)])
    assert reference is not None
    own = np.array([*aurocs, *values])
    learned = reference.learned(own)
    np.testing.assert_array_equal(learned, reference.excess(own) > 0.0)
    np.testing.assert_array_equal(learned, reference.p(own) <= 0.05 + 1e-12)
    counted = [(np.round(values, 6) >= np.round(value, 6)).sum() for value in own]
    np.testing.assert_array_equal(reference.n_at_least(own), counted)
    # No more than one in twenty of the units themselves can be beyond all but one in twenty.
    assert reference.learned(np.array(values)).mean() <= 0.05


def test_what_was_rounded_away_does_not_make_a_match_learned() -> None:
    value = 0.7234567
    stored = rounded(np.full(40, value), np.ones(40, dtype=bool))
    baseline = LexicalBaseline(LexicalRecord(samples=(sample(list(stored)),)))
    found = baseline.standing(NEURON, Tail.POSITIVE, value)
    assert found is not None
    assert (found.p, found.excess, found.label) == (1.0, 0.0, LexicalLabel.LEXICAL)


def test_seeds_are_taken_together_and_places_apart() -> None:
    record = LexicalRecord(
        samples=(
            sample(hundredths(30, 30), seed=0),
            sample(hundredths(50, 30), seed=1),
            sample(hundredths(60, 30), tail=Tail.NEGATIVE),
            sample(hundredths(0, 30), layer=1),
            sample(hundredths(0, 30), control=DIRECTIONS),
            sample(hundredths(0, 18), layer=2),
        )
    )
    baseline = LexicalBaseline(record)
    both = baseline.standing(NEURON, Tail.POSITIVE, 0.78)
    assert both is not None
    assert both.p == pytest.approx(3 / 61)
    negative = baseline.standing(NEURON, Tail.NEGATIVE, 0.78)
    assert negative is not None
    assert negative.p == pytest.approx(13 / 31)
    turned = LexicalBaseline(record, DIRECTIONS).standing(NEURON, Tail.POSITIVE, 0.78)
    assert turned is not None
    assert turned.p == pytest.approx(1 / 31)
    # Too few units, no units of that tail, no such layer.
    assert baseline.standing(NeuronId(2, Site.FFN, 0), Tail.POSITIVE, 0.9) is None
    assert baseline.standing(NeuronId(1, Site.FFN, 0), Tail.NEGATIVE, 0.9) is None
    assert baseline.standing(NeuronId(7, Site.FFN, 0), Tail.POSITIVE, 0.9) is None


def test_many_at_once_are_as_one_by_one() -> None:
    record = LexicalRecord(
        samples=(sample(hundredths(50, 40)), sample(hundredths(40, 25), layer=1))
    )
    baseline = LexicalBaseline(record)
    generator = np.random.default_rng(0)
    neurons = [NeuronId(int(layer), Site.FFN, 0) for layer in generator.integers(3, size=50)]
    tails = [Tail.POSITIVE if above else Tail.NEGATIVE for above in generator.random(50) < 0.7]
    aurocs = generator.uniform(0.4, 1.0, size=50)
    found = baseline.standings(neurons, tails, aurocs)
    assert 0 < found.judged.sum() < 50
    assert found.learned.any()
    for entry in range(50):
        alone = baseline.standing(neurons[entry], tails[entry], float(aurocs[entry]))
        assert (alone is not None) == found.judged[entry]
        if alone is not None:
            assert (alone.p, alone.excess) == (found.p[entry], found.excess[entry])
            assert (alone.label is LexicalLabel.LEARNED) == found.learned[entry]
    with pytest.raises(ValueError, match="49 neurons, 50 tails"):
        baseline.standings(neurons[1:], tails, aurocs)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "lexical.json"
    record = LexicalRecord(
        samples=(sample([0.5, None, 1.0], first_match=[None, None, 0.9]),), reason=""
    )
    write_lexical(path, record)
    assert read_lexical(path) == record
    assert LexicalBaseline.read(path) == LexicalBaseline(record)
    path.write_text('{"samples": 3}')
    with pytest.raises(RunError, match=r"is damaged .*--update"):
        read_lexical(path)
    with pytest.raises(RunError, match="cannot read"):
        read_lexical(tmp_path / "none.json")


def test_a_baseline_that_could_not_be_made_judges_nothing() -> None:
    baseline = LexicalBaseline(LexicalRecord(reason="the activations were imported"))
    assert baseline.standing(NEURON, Tail.POSITIVE, 0.99) is None
    assert not baseline.standings([NEURON], [Tail.POSITIVE], np.array([0.99])).judged.any()


def test_a_reference_needs_enough_sorted_units() -> None:
    assert Reference.of([np.zeros(FEWEST_UNITS - 1)]) is None
    with pytest.raises(ValueError, match="18 units, expected 19"):
        Reference(np.zeros(18))
    with pytest.raises(ValueError, match="not sorted"):
        Reference(np.linspace(1.0, 0.0, 30))
