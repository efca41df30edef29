from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from neurons.descriptor_neurons import combine_neurons
from neurons.split_rows import SplitRows

# Members of the descriptor are the first two sentences of each split of four.
HOLDS = np.tile([True, True, False, False], 3)
SMALL = SplitRows(np.arange(4), np.arange(4, 8), np.arange(8, 12), np.arange(12))
PLAIN = [2.0, 2.0, 0.0, 0.0]


def hand_made() -> NDArray[np.float64]:
    """One neuron with a fault on test, another with other faults and of a scale of its own."""
    first = [*PLAIN, *PLAIN, 3.0, 1.0, 2.0, 0.0]
    second = [0.0, 0.0, 40.0, 40.0, 0.0, 20.0, 10.0, 40.0, 40.0, 0.0, 80.0, 80.0]
    return np.array([first, second]).T * [1.0, -1.0]


def world(seed: int, n_neurons: int) -> tuple[NDArray[np.float64], NDArray[np.bool_], SplitRows]:
    """Weak neurons of many scales, and splits that are not in the order of the sentences."""
    random = np.random.default_rng(seed)
    holds = random.random(1_000) < 0.3
    values = random.normal(size=(1_000, n_neurons)) + 0.7 * holds[:, np.newaxis]
    values = values * 10.0 ** random.uniform(-2, 2, n_neurons) + random.normal(size=n_neurons)
    order = random.permutation(1_000)
    return values, holds, SplitRows(order[:400], order[400:600], order[600:], np.arange(1_000))


def test_two_neurons_by_hand() -> None:
    found = combine_neurons(hand_made(), HOLDS, SMALL)
    # On test the first has one of four pairs the wrong way round. Standardised by mean 1, spread 1
    # and mean -20, spread 20, the two sum to 2 - 1, 0 + 1, 1 - 3 and -1 - 3.
    assert found.single_auroc == 0.75
    assert found.combined_auroc == 1.0


def test_one_neuron_is_alone() -> None:
    found = combine_neurons(hand_made()[:, :1], HOLDS, SMALL)
    assert (found.combined_auroc, found.single_auroc) == (0.75, 0.75)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_neurons=st.integers(1, 30))
def test_against_scikit_learn(seed: int, n_neurons: int) -> None:
    values, holds, rows = world(seed, n_neurons)
    found = combine_neurons(values, holds, rows)
    discover, test = values[rows.discover], values[rows.test]
    mean = ((test - discover.mean(axis=0)) / discover.std(axis=0)).mean(axis=1)
    told = holds[rows.test]
    assert found.combined_auroc == pytest.approx(roc_auc_score(told, mean))
    assert found.single_auroc == pytest.approx(roc_auc_score(told, test[:, 0]))


def test_weak_neurons_tell_more_together() -> None:
    found = combine_neurons(*world(2, 10))
    assert found.combined_auroc > found.single_auroc + 0.1


def test_validation_says_nothing() -> None:
    values, holds, rows = world(3, 4)
    before = combine_neurons(values, holds, rows)
    values[rows.validation] = np.nan
    assert combine_neurons(values, holds, rows) == before


def test_a_neuron_that_discover_never_moved_joins_with_nothing() -> None:
    values, holds, rows = world(4, 3)
    without = combine_neurons(values[:, :2], holds, rows)
    values[rows.discover, 2] = 0.1
    values[rows.test, 2] = 1e6 * np.random.default_rng(0).normal(size=len(rows.test))
    assert combine_neurons(values, holds, rows) == without


def test_the_precision_of_the_store_does_not_overflow() -> None:
    values, holds, rows = world(5, 3)
    large = (6e4 * values / np.abs(values).max(axis=0)).astype(np.float16)
    assert combine_neurons(large, holds, rows) == combine_neurons(large.astype(float), holds, rows)


def test_no_neuron() -> None:
    with pytest.raises(ValueError, match="found no neuron"):
        combine_neurons(hand_made()[:, :0], HOLDS, SMALL)


def test_a_descriptor_of_other_sentences() -> None:
    with pytest.raises(ValueError, match=r"found sentences of shape \(11,\), expected \(12,\)"):
        combine_neurons(hand_made(), HOLDS[1:], SMALL)


@pytest.mark.parametrize(("everywhere", "found"), [(True, 4), (False, 0)])
def test_a_descriptor_that_tells_no_sentences_apart(everywhere: bool, found: int) -> None:
    holds = HOLDS.copy()
    holds[8:] = everywhere
    with pytest.raises(ValueError, match=f"holds for {found} of 4 test sentences"):
        combine_neurons(hand_made(), holds, SMALL)
