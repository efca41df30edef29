from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.whitening import Whitening
from neurons.activation_view import N_COMPONENTS, N_UNITS, activation_view
from neurons.split_rows import Activations, Block


def stored(array: NDArray[np.floating], widest: int = 10_000) -> Activations:
    """Blocks of at most `widest` columns."""

    def blocks(n_units: int) -> Iterator[Block]:
        step = min(n_units, widest)
        for first in range(0, array.shape[1], step):
            yield array[:, first : first + step]

    return Activations(array.shape[1], len(array), blocks)


def correlated(n_sentences: int, n_units: int, seed: int = 0) -> NDArray[np.float32]:
    """A few hidden causes, units of very different mean and scale."""
    random = np.random.default_rng(seed)
    causes = random.normal(size=(n_sentences, 6)) @ random.normal(size=(6, n_units))
    noisy = causes + 0.3 * random.normal(size=(n_sentences, n_units))
    scales, shifts = 10.0 ** random.uniform(-2, 2, n_units), random.normal(size=n_units) * 5
    return (noisy * scales + shifts).astype(np.float32)


@pytest.mark.parametrize("widest", [1, 7, 64, 10_000])
def test_all_neurons_of_a_small_model_as_by_hand(widest: int) -> None:
    array = correlated(240, 30)
    discover, asked = np.arange(0, 240, 2), np.array([239, 0, 17])
    found = activation_view(stored(array, widest), discover, 0)(asked)
    mean, spread = array[discover].mean(axis=0), array[discover].std(axis=0)
    standardised = (array - mean) / spread
    expected = Whitening.fit(standardised, discover, N_COMPONENTS).apply(standardised[asked])
    # Blocks decide how numbers are laid out in memory, so signs may differ but not cosines.
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    assert found.dtype == np.float32


def test_scale_and_shift_of_a_neuron_do_not_matter() -> None:
    array = correlated(200, 25)
    random = np.random.default_rng(1)
    moved = array * random.uniform(0.1, 9.0, 25) + random.normal(size=25)
    rows = np.arange(200)
    first = activation_view(stored(array), rows[:120], 0)(rows)
    second = activation_view(stored(moved.astype(np.float32)), rows[:120], 0)(rows)
    np.testing.assert_allclose(first @ first.T, second @ second.T, atol=5e-3)


def test_only_the_rows_fitted_on_shape_the_space() -> None:
    array = correlated(200, 25)
    rows = np.arange(200)
    before = activation_view(stored(array), rows[:120], 0)(rows[:150])
    array[150:] = 1e3
    np.testing.assert_array_equal(activation_view(stored(array), rows[:120], 0)(rows[:150]), before)


def test_neurons_that_never_change_add_nothing() -> None:
    array = correlated(200, 25)
    still = np.repeat(np.float32([[0.1, 0.0, -7.3]]), 200, axis=0)
    padded = np.column_stack([still[:, :2], array, still[:, 2:]])
    # Off `discover` a still neuron may move: it has no spread by which to judge that.
    padded[150:, 0] = 1e4
    rows = np.arange(200)
    expected = activation_view(stored(array), rows[:120], 0)(rows)
    found = activation_view(stored(padded), rows[:120], 0)(rows)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-3)


def test_a_seeded_sample_stands_for_many_neurons() -> None:
    array = correlated(120, N_UNITS + 700)
    rows = np.arange(120)
    found = activation_view(stored(array, 500), rows[:80], 5)(rows)
    np.testing.assert_array_equal(found, activation_view(stored(array, 500), rows[:80], 5)(rows))
    assert not np.allclose(found, activation_view(stored(array, 500), rows[:80], 6)(rows))
    chosen = np.sort(np.random.default_rng(5).permutation(array.shape[1])[:N_UNITS])
    expected = activation_view(stored(array[:, chosen]), rows[:80], 0)(rows)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-3)


def test_stored_half_precision_is_read_as_float32() -> None:
    array = correlated(200, 25).astype(np.float16)
    rows = np.arange(200)
    found = activation_view(stored(array), rows[:120], 0)(rows)
    expected = activation_view(stored(array.astype(np.float32)), rows[:120], 0)(rows)
    np.testing.assert_array_equal(found, expected)


def test_sentences_are_near_that_the_same_causes_move() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 400)
    centres = random.normal(size=(4, 60))
    array = (centres[labels] + 0.3 * random.normal(size=(400, 60))).astype(np.float32)
    vectors = activation_view(stored(array), np.arange(300), 0)(np.arange(300, 400))
    cosines = vectors @ vectors.T
    same = labels[300:, None] == labels[None, 300:]
    assert cosines[same].mean() > cosines[~same].mean() + 0.4
