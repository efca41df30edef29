from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from indexer.arrays import BoolArray, DoubleArray, IntArray
from neurons import neuron_groups, split_rows
from neurons.neuron_groups import NeuronGroup, SignedNeuron, correlation_groups
from neurons.split_rows import Activations, Block, SplitRows

World = Any
Values = NDArray[np.floating[Any]]
Signed = tuple[tuple[int, int], ...]


def stored(array: Values) -> Activations:
    def blocks(n_units: int) -> Iterator[Block]:
        for first in range(0, array.shape[1], n_units):
            yield array[:, first : first + n_units]

    return Activations(array.shape[1], len(array), blocks)


def split(n_discover: int, n_validation: int, n_test: int = 4) -> SplitRows:
    """Discover comes last and validation first, so that rows and positions differ."""
    ends = np.cumsum([n_validation, n_test, n_discover])
    order = np.arange(ends[-1])
    return SplitRows(order[ends[1] :], order[: ends[0]], order[ends[0] : ends[1]], order)


def planted(
    sizes: tuple[int, ...], n_single: int, rows: SplitRows, seed: int = 0, noise: float = 0.5
) -> tuple[NDArray[np.float32], list[Signed]]:
    """Groups that share a latent, neurons of their own, and all neurons shuffled."""
    random = np.random.default_rng(seed)
    n_units = sum(sizes) + n_single
    array = random.normal(size=(len(rows.documents), n_units))
    owners = np.repeat(np.arange(len(sizes)), sizes)
    signs = random.choice([-1, 1], size=len(owners))
    latents = random.normal(size=(len(array), len(sizes)))
    array[:, : len(owners)] = signs * (latents[:, owners] + noise * array[:, : len(owners)])
    array = array * 10.0 ** random.uniform(-1, 1, n_units) + 5.0 * random.normal(size=n_units)
    place = random.permutation(n_units)
    groups = []
    for number in range(len(sizes)):
        members = sorted((int(place[i]), int(signs[i])) for i in np.flatnonzero(owners == number))
        groups.append(tuple((unit, sign * members[0][1]) for unit, sign in members))
    shuffled = np.empty_like(array)
    shuffled[:, place] = array
    return shuffled.astype(np.float32), sorted(groups, key=lambda group: (-len(group), group))


def tangled(n_units: int, rows: SplitRows, seed: int) -> NDArray[np.float64]:
    """Units that mix a few latents in all proportions: chains, tight groups and border cases."""
    random = np.random.default_rng(seed)
    latents = random.normal(size=(len(rows.documents), 3))
    weights = random.normal(size=(3, n_units))
    noise = random.uniform(0.0, 1.0, n_units) * random.normal(size=(len(latents), n_units))
    return np.asarray(latents @ weights + noise)


def members_of(groups: Iterable[NeuronGroup]) -> list[Signed]:
    return [tuple((neuron, sign) for neuron, sign in group.members) for group in groups]


def centre_correlations(array: Values, group: NeuronGroup) -> DoubleArray:
    """By `np.corrcoef`: each member, times its sign, with the mean of what is standardised."""
    neurons, signs = np.array(group.members).T
    own = array[:, neurons].astype(np.float64) * signs
    centre = ((own - own.mean(axis=0)) / own.std(axis=0)).mean(axis=1)
    return np.array([np.corrcoef(column, centre)[0, 1] for column in own.T])


def linked_components(array: Values, threshold: float) -> IntArray:
    linked = np.abs(np.atleast_2d(np.corrcoef(array.T))) >= threshold
    return np.asarray(connected_components(linked, directed=False)[1], dtype=np.int64)


X, Y = np.array([1.0, -1, 1, -1, 1, -1, 1, -1]), np.array([1.0, 1, -1, -1, 1, 1, -1, -1])


def test_groups_and_coherence_by_hand() -> None:
    discover = np.column_stack([X, Y, 5.0 - 3.0 * X, np.full(8, 0.1), 2.0 * Y, -X * Y])
    validation = np.array(
        [
            # The members of the first group are unrelated here, those of the second one and alike.
            [1.0, 1.0, 1.0, 4.0, 7.0, 0.0],
            [1.0, -1.0, -1.0, 0.0, 5.0, 0.0],
            [-1.0, 1.0, 1.0, 0.0, 7.0, 0.0],
            [-1.0, -1.0, -1.0, 9.0, 5.0, 0.0],
        ]
    )
    rows = split(8, 4, n_test=0)
    first, second = correlation_groups(stored(np.concatenate([validation, discover])), rows)
    assert first.members == (SignedNeuron(0, 1), SignedNeuron(2, -1))
    assert second.members == (SignedNeuron(1, 1), SignedNeuron(4, 1))
    # Two unrelated vectors of length 1 have cosine 1 / sqrt(2) with their sum.
    assert first.coherence == pytest.approx(np.sqrt(0.5))
    assert second.coherence == pytest.approx(1.0)


def test_a_member_that_is_still_on_validation_has_correlation_0_there() -> None:
    discover = np.column_stack([X, X, X])
    validation = np.column_stack([X, X, np.full(8, 0.1)])
    array = np.concatenate([validation, discover])
    [group] = correlation_groups(stored(array), split(8, 8, n_test=0))
    assert len(group.members) == 3
    assert group.coherence == pytest.approx(2 / 3)


@pytest.mark.parametrize("angles", [(0, 40, 78, 120), (120, 78, 40, 0)])
def test_a_chain_is_split_around_its_most_strongly_linked_neuron(angles: tuple[int, ...]) -> None:
    # Cosines of the steps are 0.766, 0.788 and 0.743; the ends have nothing in common.
    turned = np.deg2rad(angles)
    array = np.outer(X, np.cos(turned)) + np.outer(Y, np.sin(turned))
    rows = SplitRows(np.arange(8), np.arange(8), np.arange(0), np.arange(8))
    assert set(linked_components(array, 0.74)) == {0}
    [group] = correlation_groups(stored(array), rows, threshold=0.74)
    assert {angles[neuron] for neuron, _ in group.members} == {0, 40, 78}


def test_a_leader_whose_centre_moved_away_gets_another_turn() -> None:
    # Leaders 0 and 1 are linked. Each is also linked to neurons at 44 degrees, and these to more at
    # 78 degrees that draw the centre out of reach of the leader.
    near, far = np.deg2rad(44), np.deg2rad(78)
    first = np.array([1.0, 0.0, 0.0, 0.0])
    second = np.array([np.cos(np.deg2rad(40)), 0.0, np.sin(np.deg2rad(40)), 0.0])
    vectors = [first, second]
    for leader, away in ((first, np.eye(4)[1]), (second, np.eye(4)[3])):
        for angle, n_units in ((near, 10), (far, 20)):
            vectors += [np.cos(angle) * leader + np.sin(angle) * away] * n_units
    strength = np.array([9.0, 8.0] + [1.0] * 60)
    sketch = np.array(vectors, dtype=np.float32).T
    labels = neuron_groups._split(sketch, np.zeros(62, dtype=np.int64), strength, 0.7)
    assert labels.tolist() == [2, 2] + [1] * 30 + [3] * 30


@pytest.mark.parametrize("width", [1_024, 200])
@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_planted_groups_are_found_exactly(
    width: int, kind: type[np.floating[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neuron_groups, "_SKETCH_WIDTH", width)
    rows = split(500, 200)
    array, expected = planted((12, 7, 7, 3, 2, 2), 60, rows)
    groups = correlation_groups(stored(array.astype(kind)), rows)
    assert members_of(groups) == expected
    assert {sign for group in expected for _, sign in group} == {-1, 1}
    for group in groups:
        assert group.coherence > 0.85
        assert group.null_coherence < group.coherence


def test_independent_neurons_are_in_no_group() -> None:
    rows = split(300, 50)
    array = np.random.default_rng(0).normal(size=(len(rows.documents), 400))
    assert correlation_groups(stored(array), rows) == ()
    # Nor do they link by chance when sentences are folded into a sketch.
    assert correlation_groups(stored(array), rows, threshold=0.35) == ()


def test_a_smaller_threshold_finds_what_a_larger_one_does_not() -> None:
    rows = split(400, 50)
    array, expected = planted((6, 5), 10, rows, noise=0.8)
    assert members_of(correlation_groups(stored(array), rows, threshold=0.5)) == expected
    assert correlation_groups(stored(array), rows, threshold=0.95) == ()


def test_groups_below_the_minimum_size_are_left_out() -> None:
    rows = split(300, 50)
    array, expected = planted((5, 4, 3, 2), 5, rows)
    assert members_of(correlation_groups(stored(array), rows, minimum_size=4)) == expected[:2]
    assert correlation_groups(stored(array), rows, minimum_size=6) == ()


@pytest.mark.parametrize("block", [1, 7, 1_000])
def test_links_are_those_of_the_whole_correlation_matrix(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neuron_groups, "_BLOCK_NEURONS", block)
    rows = split(40, 3)
    array = tangled(50, rows, 3)
    sketch = neuron_groups._sketch(stored(array), rows.discover, 0)
    labels, strength = neuron_groups._linked(sketch, 0.9, split_rows.unwatched)
    correlation = np.abs(np.corrcoef(array[rows.discover].T))
    np.testing.assert_allclose(np.abs(sketch.T @ sketch), correlation, atol=1e-5)
    linked = correlation >= 0.9
    n_components, expected = connected_components(linked, directed=False)
    assert 3 < n_components < 47
    assert len(set(zip(labels.tolist(), expected.tolist(), strict=True))) == n_components
    assert len(set(labels.tolist())) == n_components
    np.testing.assert_allclose(strength, (correlation * linked).sum(axis=0), rtol=1e-5)


def test_a_sketch_keeps_correlations() -> None:
    rows = split(6_000, 3)
    array, _ = planted((6, 4), 6, rows)
    sketch = neuron_groups._sketch(stored(array), rows.discover, 0)
    assert sketch.shape == (1_024, 16)
    correlation = np.corrcoef(array[rows.discover].T)
    error = np.abs(sketch.T @ sketch - correlation)
    assert (error <= 4.5 * (1.0 - correlation**2) / 32.0 + 1e-5).all()
    assert error.max() > 1e-3
    again = neuron_groups._sketch(stored(array), rows.discover, 0)
    np.testing.assert_array_equal(again, sketch)
    assert (neuron_groups._sketch(stored(array), rows.discover, 1) != sketch).any()


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    n_units=st.integers(1, 40),
    n_discover=st.integers(5, 60),
    threshold=st.floats(0.4, 0.98),
    minimum_size=st.integers(2, 4),
)
def test_every_member_reaches_the_threshold_with_its_centre(
    seed: int, n_units: int, n_discover: int, threshold: float, minimum_size: int
) -> None:
    rows = split(n_discover, 5)
    array = tangled(n_units, rows, seed)
    groups = correlation_groups(stored(array), rows, threshold, minimum_size)
    components = linked_components(array[rows.discover], threshold - 1e-5)
    seen: set[int] = set()
    for group in groups:
        neurons = [neuron for neuron, _ in group.members]
        assert neurons == sorted(neurons)
        assert group.members[0].sign == 1
        assert len(neurons) >= minimum_size
        assert not seen & set(neurons)
        seen |= set(neurons)
        assert len(set(components[neurons])) == 1
        assert (centre_correlations(array[rows.discover], group) >= threshold - 1e-9).all()
        held_out = np.abs(centre_correlations(array[rows.validation], group)).mean()
        assert group.coherence == pytest.approx(held_out)
    sizes = [len(group.members) for group in groups]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("n_units", range(2, 42))
def test_of_two_linked_neurons_one_or_both_are_in_a_group(n_units: int) -> None:
    rows = split(50, 5)
    array = tangled(n_units, rows, seed=n_units)
    groups = correlation_groups(stored(array), rows)
    taken = {neuron for members in members_of(groups) for neuron, _ in members}
    alone = [unit for unit in range(n_units) if unit not in taken]
    left = np.atleast_2d(np.corrcoef(array[rows.discover].T))[np.ix_(alone, alone)]
    assert (np.abs(left[~np.eye(len(alone), dtype=bool)]) < 0.7 + 1e-5).all()


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), n_units=st.integers(2, 40))
def test_the_order_of_neurons_does_not_matter(seed: int, n_units: int) -> None:
    rows = split(40, 5)
    array = tangled(n_units, rows, seed)
    order = np.random.default_rng(seed).permutation(n_units)

    def named(groups: tuple[NeuronGroup, ...], names: IntArray) -> set[Signed]:
        found = set()
        for group in groups:
            members = sorted((int(names[neuron]), sign) for neuron, sign in group.members)
            found.add(tuple((name, sign * members[0][1]) for name, sign in members))
        return found

    expected = named(correlation_groups(stored(array), rows), np.arange(n_units))
    assert named(correlation_groups(stored(array[:, order]), rows), order) == expected


@pytest.mark.parametrize("seed", range(4))
def test_groups_of_a_rough_sketch_hold_on_all_discover_sentences(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neuron_groups, "_SKETCH_WIDTH", 12)
    rows = split(400, 5)
    array = tangled(60, rows, seed)
    sketch = neuron_groups._sketch(stored(array), rows.discover, 0)
    linked = neuron_groups._linked(sketch, 0.8, split_rows.unwatched)
    labels = neuron_groups._split(sketch, *linked, 0.8)
    groups = correlation_groups(stored(array), rows, threshold=0.8)
    assert sum(len(group.members) for group in groups) < np.count_nonzero(labels)
    assert groups
    for group in groups:
        assert (centre_correlations(array[rows.discover], group) >= 0.8 - 1e-9).all()


def test_the_seed_decides_the_sketch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neuron_groups, "_SKETCH_WIDTH", 12)
    rows = split(400, 5)
    array = tangled(60, rows, 0)
    first, again, other = (correlation_groups(stored(array), rows, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert members_of(first) != members_of(other)


def test_sentences_enter_a_sketch_with_random_signs() -> None:
    rows = split(2_000, 3)
    array = np.zeros((len(rows.documents), 50))
    array[rows.discover[:50], np.arange(50)] = 1.0
    sketch = neuron_groups._sketch(stored(array), rows.discover, 0)
    largest = sketch[np.abs(sketch).argmax(axis=0), np.arange(50)]
    assert 10 < np.count_nonzero(largest > 0.0) < 40


def test_groups_cut_short_while_they_form_hold_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(neuron_groups, "_MOST_TURNS", 1)
    rows = split(40, 5)
    array = tangled(60, rows, 0)
    sketch = neuron_groups._sketch(stored(array), rows.discover, 0)
    linked = neuron_groups._linked(sketch, 0.9, split_rows.unwatched)
    labels = neuron_groups._split(sketch, *linked, 0.9)
    groups = correlation_groups(stored(array), rows, threshold=0.9)
    assert 0 < sum(len(group.members) for group in groups) < np.count_nonzero(labels)
    for group in groups:
        assert (centre_correlations(array[rows.discover], group) >= 0.9 - 1e-9).all()


def test_still_neurons_are_in_no_group() -> None:
    rows = split(200, 50)
    array, expected = planted((4, 3), 5, rows)
    padded = np.column_stack([array.astype(np.float64), np.tile([0.1, 0.1, 0.0, 1 / 3], (254, 1))])
    # Off `discover` they may move together.
    padded[: -len(rows.discover), 12:14] = np.random.default_rng(1).normal(size=(54, 1))
    groups = correlation_groups(stored(padded), rows)
    assert members_of(groups) == expected
    sketch = neuron_groups._sketch(stored(padded), rows.discover, 0)
    assert (sketch[:, 12:] == 0.0).all()
    assert (sketch[:, :12] != 0.0).any(axis=0).all()


def test_test_sentences_are_never_read() -> None:
    rows = split(300, 80, n_test=100)
    array, _ = planted((5, 4), 20, rows)
    before = correlation_groups(stored(array), rows)
    assert len(before) == 2
    array[rows.test] = np.nan
    assert correlation_groups(stored(array), rows) == before


def test_validation_sentences_only_verify() -> None:
    rows = split(300, 80)
    array, expected = planted((5, 4), 20, rows)
    random = np.random.default_rng(1)
    array[rows.validation] = random.normal(size=(80, array.shape[1]))
    groups = correlation_groups(stored(array), rows)
    assert members_of(groups) == expected
    for group in groups:
        assert group.coherence == pytest.approx(len(group.members) ** -0.5, abs=0.1)


def test_the_null_shuffles_each_neuron_on_its_own() -> None:
    rows = split(200, 4_000)
    array, _ = planted((25, 4), 3, rows, noise=0.3)
    for group in correlation_groups(stored(array), rows):
        assert group.coherence > 0.95
        assert group.null_coherence == pytest.approx(len(group.members) ** -0.5, abs=0.02)


def test_the_seed_decides_the_null() -> None:
    rows = split(100, 50)
    array, _ = planted((5,), 3, rows)
    [first], [again], [other] = (correlation_groups(stored(array), rows, seed=s) for s in (1, 1, 2))
    assert first == again
    assert (first.members, first.coherence) == (other.members, other.coherence)
    assert first.null_coherence != other.null_coherence


def test_the_size_of_blocks_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = split(60, 30)
    array = tangled(60, rows, 5)
    whole = correlation_groups(stored(array), rows, threshold=0.9)
    assert len(whole) > 4
    for module, name in (
        (split_rows, "_BLOCK_BYTES"),
        (neuron_groups, "_CENTRE_BYTES"),
        (neuron_groups, "_BLOCK_NEURONS"),
    ):
        monkeypatch.setattr(module, name, 1)
    parts = correlation_groups(stored(array), rows, threshold=0.9)
    assert members_of(parts) == members_of(whole)
    for part, group in zip(parts, whole, strict=True):
        assert part.coherence == pytest.approx(group.coherence)
        assert part.null_coherence == pytest.approx(group.null_coherence)


@pytest.mark.parametrize("noise", [0.01, 30.0])
def test_memory_does_not_grow_with_the_square_of_neurons(
    noise: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neuron_groups, "_BLOCK_NEURONS", 128)
    n_neurons, rows = 4_000, split(30, 10)
    random = np.random.default_rng(0)
    latent = random.normal(size=(len(rows.documents), 1))
    array = (latent + noise * random.normal(size=(len(latent), n_neurons))).astype(np.float16)
    tracemalloc.start()
    try:
        groups = correlation_groups(stored(array), rows, threshold=0.9)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # All pairs are linked, or next to none; not even a byte for each pair is ever held.
    assert sum(len(group.members) for group in groups) == (n_neurons if noise < 1.0 else 0)
    assert peak < n_neurons**2 / 2


def test_the_centres_held_at_once_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = split(100, 100)
    array, _ = planted((6, 5, 4, 3, 2), 5, rows)
    # Room for two centres of 100 sentences.
    monkeypatch.setattr(neuron_groups, "_CENTRE_BYTES", 2 * 8 * 100)
    read, seen = neuron_groups.wanted_columns, []

    def spied(
        activations: Activations, own: IntArray, wanted: BoolArray
    ) -> Iterator[tuple[IntArray, Block]]:
        seen.append(int(np.count_nonzero(wanted)))
        return read(activations, own, wanted)

    monkeypatch.setattr(neuron_groups, "wanted_columns", spied)
    groups = correlation_groups(stored(array), rows)
    assert [len(group.members) for group in groups] == [6, 5, 4, 3, 2]
    # One pass over all neurons, then centres and correlations on discover, validation and null.
    assert seen[0] == 25
    for purpose in range(3):
        passes = seen[1 + 6 * purpose : 7 + 6 * purpose]
        assert passes[::2] == passes[1::2]
        assert sum(passes[::2]) == 20
        assert max(passes) <= 11
    assert len(seen) == 19


def test_the_watch_sees_all_neurons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neuron_groups, "_BLOCK_NEURONS", 8)
    rows = split(50, 10)
    array, expected = planted((4,), 16, rows)
    seen: list[int] = []

    def watch(blocks: Iterable[Block], n_neurons: int) -> Iterable[Block]:
        seen.append(n_neurons)
        for block in blocks:
            seen.append(block.shape[1])
            yield block

    assert members_of(correlation_groups(stored(array), rows, watch=watch)) == expected
    assert seen == [20, 8, 8, 4]


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.5, 1.5, np.nan])
def test_a_threshold_out_of_range(threshold: float) -> None:
    with pytest.raises(ValueError, match=f"found threshold {threshold} and .* between 0 and 1"):
        correlation_groups(stored(np.eye(20)), split(10, 6), threshold)


def test_a_minimum_size_of_one() -> None:
    with pytest.raises(ValueError, match=r"minimum size 1, expected .* 2 or more"):
        correlation_groups(stored(np.eye(20)), split(10, 6), minimum_size=1)


@pytest.mark.parametrize(("n_discover", "n_validation"), [(2, 10), (10, 2)])
def test_too_few_rows(n_discover: int, n_validation: int) -> None:
    message = f"found {n_discover} discover and {n_validation} validation rows, expected 3"
    with pytest.raises(ValueError, match=message):
        correlation_groups(stored(np.eye(16)), split(n_discover, n_validation))


@pytest.mark.parametrize("split_name", ["discover", "validation"])
@pytest.mark.parametrize("wrong", [20, -1, 7])
def test_rows_that_repeat_or_do_not_exist(split_name: str, wrong: int) -> None:
    broken = replace(split(10, 6), **{split_name: np.array([7, 8, 9, wrong])})
    with pytest.raises(ValueError, match=f"{split_name}: found "):
        correlation_groups(stored(np.eye(20)), broken)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_activations_that_are_no_numbers(broken: float) -> None:
    rows = split(10, 6)
    array = np.random.default_rng(0).normal(size=(20, 5))
    array[rows.discover[3], 2] = broken
    with pytest.raises(ValueError, match="neuron 2 has activations that are no finite numbers"):
        correlation_groups(stored(array), rows)
