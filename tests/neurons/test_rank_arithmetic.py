"""numpy's arithmetic of ranks against scipy and plain loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import mannwhitneyu, rankdata

from indexer.arrays import BoolArray
from neurons.rank_arithmetic import NUMPY_RANKS

VALUES = arrays(np.float32, (10, 3), elements=st.sampled_from([-1.0, -0.0, 0.0, 0.5, 2.0]))


@given(values=VALUES)
@settings(max_examples=60, deadline=None)
def test_variances_are_those_of_scipys_ranks(values: NDArray[np.float32]) -> None:
    found = NUMPY_RANKS.variances(NUMPY_RANKS.average_ranks(values))
    np.testing.assert_array_equal(found, rankdata(values, axis=0).var(axis=0))
    np.testing.assert_array_equal(found == 0.0, (values == values[0]).all(axis=0))


def test_without_sentences_variances_are_zero() -> None:
    assert NUMPY_RANKS.variances(np.empty((0, 2))).tolist() == [0.0, 0.0]


@given(values=VALUES, sets=arrays(np.bool_, (2, 10)))
@settings(max_examples=60, deadline=None)
def test_auroc_is_mann_whitneys_u(values: NDArray[np.float32], sets: BoolArray) -> None:
    found = NUMPY_RANKS.auroc(NUMPY_RANKS.average_ranks(values), csr_matrix(sets))
    for own, members in zip(found, sets, strict=True):
        n_pairs = members.sum() * (~members).sum()
        if n_pairs:
            wins = mannwhitneyu(values[members], values[~members], method="asymptotic").statistic
            np.testing.assert_array_equal(own, wins / n_pairs)


@given(values=VALUES, sets=arrays(np.bool_, (2, 10)), wanted=st.integers(1, 10))
@settings(max_examples=100, deadline=None)
def test_exemplars_of_either_tail_are_counted(
    values: NDArray[np.float32], sets: BoolArray, wanted: int
) -> None:
    for highest, signed in ((True, values), (False, -values)):
        hits, counts = NUMPY_RANKS.exemplar_hits(
            NUMPY_RANKS.average_ranks(values), csr_matrix(sets), wanted, highest
        )
        for unit, column in enumerate(signed.T):
            exemplars = 10 + 1 - rankdata(-column) > 10 - wanted
            assert counts[unit] == exemplars.sum()
            assert hits[:, unit].tolist() == (sets & exemplars).sum(axis=1).tolist()


def test_picked_ranks_are_looked_up_one_by_one() -> None:
    ranks = np.arange(12.0).reshape(4, 3)
    found = NUMPY_RANKS.picked(ranks, np.array([[0, 3], [2, 2]]), np.array([1, 0]))
    assert found.tolist() == [[1.0, 10.0], [6.0, 6.0]]


def test_reordered_ranks_follow_the_order() -> None:
    ranks = np.arange(6.0).reshape(3, 2)
    assert NUMPY_RANKS.reordered(ranks, np.array([2, 0, 1]))[:, 0].tolist() == [4.0, 0.0, 2.0]
