"""Noise without a meaning, gold concepts, and the signal between them."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import skew

from eval.planted_units import Noise, draw_gold, gold_numbers, planted_activations, signals
from indexer.arrays import BoolArray
from neurons.selection import overlap
from neurons.split_rows import Activations, SplitRows

N_SENTENCES = 600
SHARES = (0.1, 0.2, 0.3, 0.4)


def rows() -> SplitRows:
    """Two sentences a document; a half, a sixth and a third of the documents."""
    block = np.arange(N_SENTENCES) // 12 % 6
    return SplitRows(
        discover=np.flatnonzero(block < 3),
        validation=np.flatnonzero(block == 3),
        test=np.flatnonzero(block > 3),
        documents=np.arange(N_SENTENCES) // 2,
    )


def as_read(activations: NDArray[np.floating]) -> Activations:
    def blocks(n_units: int) -> Iterator[NDArray[np.floating]]:
        for first in range(0, activations.shape[1], n_units):
            yield activations[:, first : first + n_units]

    return Activations(activations.shape[1], len(activations), blocks)


def exponential(n_units: int = 12) -> NDArray[np.float16]:
    """Skewed units that all rise along the rows, so that unshuffled ones would be alike."""
    generator = np.random.default_rng(0)
    values = generator.exponential(size=(N_SENTENCES, n_units)) + np.arange(N_SENTENCES)[:, None]
    return values.astype(np.float16)


def sets_of(members: BoolArray) -> csr_matrix:
    return csr_matrix(members.astype(np.float64))


def test_noise_keeps_each_distribution_and_loses_its_order() -> None:
    real = exponential().astype(np.float64)
    noise = Noise.of_real_units(as_read(exponential()), rows(), 12, seed=1)
    assert noise.columns.shape == (N_SENTENCES, 12)
    for own in (rows().discover, rows().validation, rows().test):
        expected, found = np.sort(skew(real[own])), np.sort(skew(noise.columns[own]))
        np.testing.assert_allclose(found, expected, atol=1e-3)
    discover = noise.columns[rows().discover]
    np.testing.assert_allclose(discover.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(discover.std(axis=0), 1.0, atol=1e-5)
    # The real units are nearly one; shuffled on their own they have nothing in common.
    between = np.corrcoef(discover.T)[np.triu_indices(12, 1)]
    assert np.corrcoef(real.T)[np.triu_indices(12, 1)].min() > 0.99
    assert np.abs(between).max() < 0.25


def test_noise_moves_whole_documents() -> None:
    documents = np.repeat(np.arange(N_SENTENCES // 2), 2).astype(np.float16)[:, None]
    noise = Noise.of_real_units(as_read(documents), rows(), 1, seed=1).columns[:, 0]
    np.testing.assert_array_equal(noise[0::2], noise[1::2])
    assert (np.diff(noise[0::2]) < 0.0).any()


def test_units_that_do_not_vary_on_discover_are_no_noise() -> None:
    activations = exponential(4)
    activations[rows().discover, 2] = 1.0
    assert Noise.of_real_units(as_read(activations), rows(), 4, seed=1).n_units == 3
    # Others are drawn in their place where there are any.
    constant = np.concatenate([activations[:, 2:3], exponential(8)], axis=1)
    assert Noise.of_real_units(as_read(constant), rows(), 8, seed=1).n_units == 8


def test_noise_is_bounded_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.planted_units._MAXIMUM_BYTES", 5 * 4 * N_SENTENCES + 1)
    assert Noise.of_real_units(as_read(exponential()), rows(), 12, seed=1).n_units == 5


@pytest.mark.parametrize(
    ("n_units", "counts"), [(10, [1, 2, 3, 4]), (300, [30, 60, 90, 120]), (1, [0, 0, 1, 0])]
)
def test_numbers_of_concepts_have_their_shares(n_units: int, counts: list[int]) -> None:
    found = gold_numbers(n_units, SHARES)
    assert np.bincount(found, minlength=5)[1:].tolist() == counts
    if n_units > 1:
        assert found.mean() == 3.0


def test_numbers_need_whole_shares() -> None:
    with pytest.raises(ValueError, match="expected 1"):
        gold_numbers(10, (0.5, 0.6))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.floats(0.05, 0.6))
def test_drawn_concepts_are_distinct_and_not_everywhere(
    seed: int, n_concepts: int, share: float
) -> None:
    members = np.random.default_rng(seed).random((n_concepts, 60)) < share
    members[:, 0] |= ~members.any(axis=1)
    concepts = sets_of(members)
    numbers = gold_numbers(20, SHARES)
    gold = draw_gold(concepts, numbers, maximum_overlap=0.5, maximum_share=0.5, seed=seed)
    overlaps = overlap(concepts)
    assert (gold.sum(axis=1) <= numbers).all()
    for own in gold:
        chosen = np.flatnonzero(own)
        assert members[chosen].any(axis=0).mean() <= 0.5
        between = overlaps[np.ix_(chosen, chosen)][np.triu_indices(len(chosen), 1)]
        assert (between < 0.5).all()


def test_concepts_that_overlap_are_not_drawn_together() -> None:
    """Two pairs of twins of twelve sentences each: two concepts are all that four can give."""
    members = np.zeros((4, 100), dtype=np.bool_)
    members[:2, :12], members[2:, 20:32] = True, True
    gold = draw_gold(
        sets_of(members), np.full(50, 4), maximum_overlap=0.5, maximum_share=0.5, seed=0
    )
    assert (gold[:, :2].sum(axis=1) == 1).all()
    assert (gold[:, 2:].sum(axis=1) == 1).all()
    assert gold.any(axis=0).all()


def test_the_signal_is_where_at_least_one_concept_holds() -> None:
    members = np.random.default_rng(3).random((5, 40)) < 0.2
    gold = np.random.default_rng(4).random((7, 5)) < 0.4
    np.testing.assert_array_equal(
        signals(gold, sets_of(members)), (members.T.astype(int) @ gold.T.astype(int)) > 0
    )


def test_planted_units_come_first_and_others_stay_noise() -> None:
    noise = Noise.of_real_units(as_read(exponential()), rows(), 6, seed=1)
    signal = np.random.default_rng(2).random((N_SENTENCES, 4)) < 0.3
    activations = planted_activations(noise, signal, 1.5)
    assert activations.n_neurons == 6
    expected = noise.columns.copy()
    expected[:, :4] += 1.5 * signal
    for n_at_once in (1, 3, 5, 6):
        blocks = list(activations.blocks(n_at_once))
        assert {block.dtype for block in blocks} == {np.dtype(np.float16)}
        np.testing.assert_allclose(np.concatenate(blocks, axis=1), expected, rtol=2e-3, atol=1e-4)
    assert [activations.name(unit) for unit in (3, 4)] == ["planted unit 3", "unplanted unit 0"]


def test_what_half_precision_cannot_hold_becomes_its_largest() -> None:
    noise = Noise(np.array([[-1e9, 0.0], [1e9, 1.0]], dtype=np.float32))
    (block,) = planted_activations(noise, np.zeros((2, 0), dtype=np.bool_), 1.0).blocks(8)
    assert block.tolist() == [[-65504.0, 0.0], [65504.0, 1.0]]


def test_the_same_seed_gives_the_same_units() -> None:
    first, again, other = (
        Noise.of_real_units(as_read(exponential()), rows(), 8, seed=seed) for seed in (1, 1, 2)
    )
    assert first.columns.tobytes() == again.columns.tobytes()
    assert first.columns.tobytes() != other.columns.tobytes()
