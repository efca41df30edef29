from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from indexer.arrays import IntArray
from indexer.errors import RunError
from neurons import split_rows
from neurons.matching import Matcher, Matches, MatchingSettings
from neurons.split_rows import SplitRows, ranked_blocks

World = Any
Worlds = Callable[..., World]

N_SENTENCES = 600
LOOSE = MatchingSettings(minimum_auroc=0.55, null_quantile=0.8, candidates=7, matches=3)


def found_by(matches: Matches, neuron: int, tail: int) -> list[int]:
    own = (matches.neuron == neuron) & (matches.tail == tail)
    assert matches.rank[own].tolist() == list(range(1, own.sum() + 1))
    return [int(number) for number in matches.descriptor[own]]


def assert_same(first: Matches, second: Matches, *, but: tuple[str, ...] = ()) -> None:
    for field in fields(Matches):
        if field.name not in but:
            np.testing.assert_array_equal(
                getattr(first, field.name), getattr(second, field.name), err_msg=field.name
            )


def test_planted_sets_are_found_first_in_the_right_tail_and_nothing_else(
    planted_world: World,
) -> None:
    matches = planted_world.match()
    for unit in range(12):
        assert found_by(matches, unit, unit % 2)[:1] == [unit]
        assert found_by(matches, unit, 1 - unit % 2) == []
    assert set(matches.neuron) == set(range(12))
    assert (matches.q <= 0.05).all()
    assert (matches.ci_low <= matches.auroc).all()
    assert (matches.auroc <= matches.ci_high).all()
    assert (matches.exemplar_z[matches.rank == 1] > 0).all()


def test_both_tails_of_one_unit_can_answer(unrelated_world: Worlds) -> None:
    world = unrelated_world().planted(7, 3, 4.0).planted(7, 8, -4.0)
    matches = world.match()
    assert found_by(matches, 7, 0)[0] == 3
    assert found_by(matches, 7, 1)[0] == 8


def test_the_size_of_blocks_does_not_matter(
    planted_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = planted_world
    whole = world.match(LOOSE)
    monkeypatch.setattr(split_rows, "_BLOCK_BYTES", 1)
    parts = world.match(LOOSE)
    assert_same(whole, parts, but=("ci_low", "ci_high"))
    np.testing.assert_allclose(whole.ci_low, parts.ci_low, rtol=1e-12)
    np.testing.assert_allclose(whole.ci_high, parts.ci_high, rtol=1e-12)


def test_the_order_of_neurons_does_not_matter(planted_world: World) -> None:
    world = planted_world
    order = np.random.default_rng(1).permutation(40)
    first = world.match(LOOSE)
    second = replace(world, activations=world.activations[:, order]).match(LOOSE)
    assert first.null == second.null
    named = np.lexsort((second.rank, second.tail, order[second.neuron]))
    np.testing.assert_array_equal(order[second.neuron][named], first.neuron)
    for name in ("tail", "rank", "descriptor", "auroc", "q", "exemplar_z"):
        np.testing.assert_array_equal(getattr(second, name)[named], getattr(first, name))
    for name in ("beats_null", "strong_enough", "constant"):
        np.testing.assert_array_equal(getattr(second, name), getattr(first, name)[order])


def test_twice_the_same_is_the_same(planted_world: World) -> None:
    world = planted_world
    first, second = world.match(LOOSE, seed=4), world.match(LOOSE, seed=4)
    for field in fields(Matches):
        value = getattr(first, field.name)
        if isinstance(value, np.ndarray):
            assert value.tobytes() == getattr(second, field.name).tobytes()
    assert first.null == second.null


def test_test_sentences_decide_nothing_but_the_figures(planted_world: World) -> None:
    world = planted_world
    generator = np.random.default_rng(2)
    activations = world.activations.copy()
    test = world.rows.test
    activations[test] = activations[generator.permutation(test)]
    first, second = world.match(LOOSE), replace(world, activations=activations).match(LOOSE)
    assert_same(first, second, but=("auroc", "ci_low", "ci_high"))
    assert (first.auroc != second.auroc).mean() > 0.9


@pytest.mark.parametrize("split", ["discover", "validation"])
def test_a_relation_must_hold_on_discover_and_on_validation(
    unrelated_world: Worlds, split: str
) -> None:
    world = unrelated_world().planted(0, 0, 4.0)
    own: IntArray = getattr(world.rows, split)
    activations = world.activations.copy()
    activations[own, 0] = np.random.default_rng(3).normal(size=len(own))
    assert found_by(world.match(), 0, 0) == [0]
    assert found_by(replace(world, activations=activations).match(), 0, 0) == []


def test_descriptors_with_too_few_inside_or_outside_are_left_out_and_counted(
    unrelated_world: Worlds,
) -> None:
    world = unrelated_world(n_sets=8)
    discover, validation, test, _ = (getattr(world.rows, f.name) for f in fields(SplitRows))
    sets = world.sets.copy()
    sets[0, discover], sets[1, validation], sets[2, test] = False, False, False
    sets[0, discover[:4]], sets[1, validation[:1]], sets[2, test[:1]] = True, True, True
    sets[3, discover], sets[4, validation], sets[5, test] = True, True, True
    sets[3, discover[:4]], sets[4, validation[:1]], sets[5, test[:1]] = False, False, False
    sets[6, discover], sets[6, validation], sets[6, test] = False, False, False
    sets[6, discover[:5]], sets[6, validation[:2]], sets[6, test[:2]] = True, True, True
    world = replace(world, sets=sets)
    for number in range(8):
        world = world.planted(number, number, 20.0)
    matches = world.match(MatchingSettings(standard_errors=0.5))
    assert matches.usable_descriptors == 2
    assert set(matches.descriptor.tolist()) == {6, 7}
    assert found_by(matches, 7, 0)[0] == 7


@pytest.mark.parametrize("n_sets", [0, 3])
def test_without_usable_descriptors_every_tail_abstains(
    unrelated_world: Worlds, n_sets: int
) -> None:
    world = unrelated_world()
    sets = np.zeros((n_sets, N_SENTENCES), bool)
    sets[:, :2] = True
    matches = replace(world, sets=sets).match()
    assert len(matches.neuron) == len(matches.q) == len(matches.ci_low) == 0
    assert matches.usable_descriptors == 0
    assert matches.constant.shape == matches.beats_null.shape == (40, 2)
    assert not matches.beats_null.any()


def test_a_split_may_be_empty(planted_world: World) -> None:
    world = planted_world
    rows = replace(world.rows, validation=np.empty(0, np.int64))
    matches = replace(world, rows=rows).match()
    assert (matches.usable_descriptors, len(matches.neuron)) == (0, 0)


def test_one_neuron(planted_world: World) -> None:
    world = planted_world
    matches = replace(world, activations=world.activations[:, 4:5]).match()
    assert found_by(matches, 0, 0)[0] == 4
    assert matches.constant.tolist() == [[False, False]]


def test_constant_units_match_nothing(planted_world: World) -> None:
    world = planted_world
    activations = world.activations.copy()
    activations[:, [4, 20]] = 3.5
    matches = replace(world, activations=activations).match()
    assert np.flatnonzero(matches.constant.all(axis=1)).tolist() == [4, 20]
    assert not np.isin(matches.neuron, [4, 20]).any()
    everything = replace(world, activations=np.zeros_like(activations)).match()
    assert everything.constant.all()
    assert not everything.beats_null.any()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_an_activation_that_is_no_finite_number_stops_the_match(
    planted_world: World, wrong: float
) -> None:
    for sentence in (0, N_SENTENCES - 1):
        activations = planted_world.activations.copy()
        activations[sentence, 31] = wrong
        with pytest.raises(RunError, match=f"^neuron 31 is {wrong} on sentence {sentence} "):
            replace(planted_world, activations=activations).match()


def test_a_tail_whose_matches_have_too_large_a_q_does_not_beat_the_null(
    unrelated_world: Worlds,
) -> None:
    world = unrelated_world().planted(0, 0, 1.5)
    strict = MatchingSettings(false_discovery_rate=1e-30)
    assert world.match().beats_null[0, 0]
    matches = world.match(strict)
    assert len(matches.neuron) == 0
    assert not matches.beats_null[0, 0]


def test_a_handicap_changes_the_order_and_nothing_else(planted_world: World) -> None:
    """Unit 0 answers to set 0, of which set 1 is the half that answers most, and a few others."""
    world = planted_world
    values = world.activations[:, 0]
    strong = world.sets[0] & (values > np.median(values[world.sets[0]]))
    sets = world.sets.copy()
    sets[1] = strong
    for own in (world.rows.discover, world.rows.validation, world.rows.test):
        sets[1, own[:3]] = True
    world = replace(world, sets=sets)
    loose = MatchingSettings(maximum_overlap=1.0)

    def first(handicaps: list[float]) -> tuple[int, float, float]:
        given = np.zeros(len(sets))
        given[:2] = handicaps
        found = world.match(loose, handicaps=given)
        own = np.flatnonzero((found.neuron == 0) & (found.tail == 0) & (found.rank == 1))[0]
        return int(found.descriptor[own]), float(found.auroc[own]), float(found.q[own])

    plain = world.match(loose)
    ranked = plain.descriptor[(plain.neuron == 0) & (plain.tail == 0)].tolist()
    assert ranked[:2] == [1, 0]
    assert first([0.0, 0.0])[0] == 1
    assert first([0.0, 0.4])[0] == 0
    second = np.flatnonzero((plain.neuron == 0) & (plain.tail == 0) & (plain.descriptor == 0))[0]
    assert first([0.0, 0.4])[1:] == (plain.auroc[second], plain.q[second])
    assert world.match(loose, handicaps=np.zeros(len(sets))).descriptor.tolist() == (
        plain.descriptor.tolist()
    )


def test_a_handicap_keeps_nothing_back_that_a_unit_tells_apart_perfectly(
    planted_world: World,
) -> None:
    """Unit 0 fires on half of set 0 alone; that half is set 1."""
    world = planted_world
    sets, activations = world.sets.copy(), world.activations.copy()
    sets[1] = sets[0] & (np.arange(sets.shape[1]) % 2 == 0)
    activations[sets[1], 0] = activations[:, 0].max() + 1.0
    world = replace(world, sets=sets, activations=activations)
    handicaps = np.zeros(len(sets))
    handicaps[1] = 0.4
    found = world.match(MatchingSettings(maximum_overlap=1.0), handicaps=handicaps)
    first = found.descriptor[(found.neuron == 0) & (found.tail == 0) & (found.rank == 1)]
    assert first.tolist() == [1]


def test_handicaps_are_one_for_each_descriptor(planted_world: World) -> None:
    with pytest.raises(ValueError, match="2 handicaps for "):
        planted_world.match(handicaps=np.zeros(2))


def test_several_memberships_can_be_matched_in_one_pass(
    planted_world: World, unrelated_world: Worlds
) -> None:
    world, other = planted_world, unrelated_world(seed=9)
    activations = world.stored
    matchers = [
        Matcher(activations, csr_matrix(sets * 0.5), world.rows, MatchingSettings(), 0)
        for sets in (world.sets, other.sets)
    ]
    for ranks in ranked_blocks(activations, world.rows):
        for matcher in matchers:
            matcher.add(ranks)
    assert_same(matchers[0].result(), world.match())
    assert_same(matchers[1].result(), replace(world, sets=other.sets).match())


def test_membership_of_another_corpus_is_refused(unrelated_world: Worlds) -> None:
    world = unrelated_world()
    with pytest.raises(ValueError, match="covers 599 sentences, activations cover 600"):
        replace(world, sets=world.sets[:, 1:]).match()
