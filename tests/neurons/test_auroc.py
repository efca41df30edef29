from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from indexer.arrays import BoolArray, DoubleArray
from neurons.auroc import (
    auroc,
    auroc_from_ranks,
    average_ranks,
    indicator,
    rarer_sizes,
    set_sizes,
)

HALF_VALUES = arrays(
    np.float16,
    (12, 3),
    elements=st.floats(allow_nan=False, allow_infinity=False, width=16),
)
FEW_VALUES = arrays(np.float16, (12, 3), elements=st.sampled_from([-2.0, -0.0, 0.0, 0.5, 3.0]))
SETS = arrays(np.bool_, (4, 12))


def scikit_learn_auroc(activations: NDArray[np.floating], sets: BoolArray) -> DoubleArray:
    expected = np.full((len(sets), activations.shape[1]), np.nan)
    for number, members in enumerate(sets):
        if 0 < members.sum() < len(members):
            for unit, column in enumerate(activations.astype(np.float64).T):
                expected[number, unit] = roc_auc_score(members, column)
    return expected


def test_worked_by_hand() -> None:
    # Pairs (member, other) of the first unit: 3>1, 3>2, 2>1 win, 2=2 ties: 3.5 of 4.
    activations = np.array([[3.0, 0.0], [2.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    members = csr_matrix(np.array([[1.0, 1.0, 0.0, 0.0]]))
    np.testing.assert_array_equal(auroc(activations, members), [[3.5 / 4.0, 0.5]])
    np.testing.assert_array_equal(average_ranks(activations)[:, 0], [4.0, 2.5, 1.0, 2.5])


@given(activations=st.one_of(HALF_VALUES, FEW_VALUES), sets=SETS)
@settings(max_examples=80, deadline=None)
def test_agrees_with_scikit_learn(activations: NDArray[np.float16], sets: BoolArray) -> None:
    found = auroc(activations, csr_matrix(sets))
    np.testing.assert_allclose(found, scikit_learn_auroc(activations, sets), atol=1e-12)


@pytest.mark.parametrize("n_sentences", [4095, 4096, 5000])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_agrees_with_scikit_learn_on_many_sentences(n_sentences: int, dtype: type) -> None:
    generator = np.random.default_rng(n_sentences)
    activations = np.stack(
        [
            generator.normal(size=n_sentences),
            generator.normal(size=n_sentences).round(1),
            np.maximum(generator.normal(size=n_sentences) - 2.0, 0.0),
            generator.integers(0, 2, n_sentences),
            -generator.exponential(size=n_sentences) * 1e-7,
            generator.normal(size=n_sentences) * 1e4,
        ],
        axis=1,
    ).astype(dtype)
    sets = generator.random((3, n_sentences)) < np.array([[0.001], [0.05], [0.9]])
    np.testing.assert_allclose(
        auroc(activations, csr_matrix(sets)), scikit_learn_auroc(activations, sets), atol=1e-10
    )


def every_finite_half() -> NDArray[np.float16]:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    return halves[np.isfinite(halves)]


def test_counted_and_sorted_ranks_are_the_same() -> None:
    generator = np.random.default_rng(0)
    columns = generator.choice(every_finite_half(), (6000, 4))
    columns[:, 1] = generator.choice(columns[:7, 1], 6000)
    columns[:, 2] = generator.choice(np.array([0.0, -0.0, 6e-8, -6e-8], np.float16), 6000)
    columns[:, 3] = -3.0
    counted = average_ranks(columns)
    np.testing.assert_array_equal(counted, average_ranks(columns.astype(np.float32)))
    np.testing.assert_array_equal(counted, rankdata(columns.astype(np.float64), axis=0))


@given(activations=st.one_of(HALF_VALUES, FEW_VALUES))
@settings(max_examples=80, deadline=None)
def test_ranks_of_few_sentences_agree_with_scipy(activations: NDArray[np.float16]) -> None:
    for dtype in (np.float16, np.float32, np.float64):
        ranks = average_ranks(activations.astype(dtype))
        assert ranks.flags.c_contiguous
        np.testing.assert_array_equal(ranks, rankdata(activations, axis=0))


def test_columns_of_a_larger_array_are_ranked() -> None:
    values = np.random.default_rng(3).normal(size=(5000, 9)).astype(np.float16)
    for part in (values[:, 2:5], values[::2, 3:], values[:40, ::-1], np.asfortranarray(values)):
        np.testing.assert_array_equal(average_ranks(part), rankdata(part, axis=0))


def test_every_finite_half_has_its_rank() -> None:
    halves = np.random.default_rng(1).permutation(every_finite_half())
    ranks = average_ranks(halves[:, np.newaxis])
    np.testing.assert_array_equal(ranks[:, 0], rankdata(halves.astype(np.float64)))


@pytest.mark.parametrize("n_sentences", [10, 5000])
def test_negative_zero_ties_with_zero(n_sentences: int) -> None:
    activations = np.zeros((n_sentences, 1), np.float16)
    activations[::2] = -0.0
    members = np.zeros((1, n_sentences))
    members[0, : n_sentences // 3] = 1.0
    np.testing.assert_array_equal(auroc(activations, csr_matrix(members)), [[0.5]])


@pytest.mark.parametrize("n_sentences", [10, 5000])
def test_infinities_are_the_ends(n_sentences: int) -> None:
    activations = np.zeros((n_sentences, 1), np.float16)
    activations[0], activations[1] = np.inf, -np.inf
    ranks = average_ranks(activations)[:, 0]
    assert (ranks[0], ranks[1], ranks[2]) == (n_sentences, 1.0, (n_sentences + 1) / 2)


def test_no_sentences_and_one_sentence_have_ranks() -> None:
    assert average_ranks(np.empty((0, 3), np.float16)).shape == (0, 3)
    np.testing.assert_array_equal(average_ranks(np.full((1, 2), 7.0)), [[1.0, 1.0]])


def test_sets_of_nothing_and_of_everything_have_no_auroc() -> None:
    sets = csr_matrix(np.array([[0, 0, 0], [1, 1, 1], [1, 0, 0]]))
    found = auroc(np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]), sets)
    np.testing.assert_array_equal(found, [[np.nan, np.nan], [np.nan, np.nan], [0.0, 0.5]])


def test_no_sets_have_no_auroc() -> None:
    assert auroc(np.ones((4, 2)), csr_matrix((0, 4))).shape == (0, 2)


def test_scores_do_not_weigh() -> None:
    activations = np.random.default_rng(2).normal(size=(9, 2))
    scores = np.array([[0.9, 0.1, 1e-30, 0, 0, 0, 0.5, 0, 0]])
    np.testing.assert_array_equal(
        auroc(activations, csr_matrix(scores)), auroc(activations, csr_matrix(scores > 0))
    )


def test_a_stored_zero_and_a_repeated_entry_are_one_member_each() -> None:
    stored = csr_matrix(
        (np.array([0.5, 0.4, 0.0]), np.array([4, 4, 1]), np.array([0, 3])), shape=(1, 6)
    )
    plain = csr_matrix(np.array([[0, 1, 0, 0, 1, 0]]))
    np.testing.assert_array_equal(set_sizes(stored), [2])
    np.testing.assert_array_equal(indicator(stored).toarray(), plain.toarray())
    activations = np.array([[3.0], [9.0], [1.0], [4.0], [1.0], [5.0]])
    np.testing.assert_array_equal(auroc(activations, stored), auroc(activations, plain))
    np.testing.assert_array_equal(stored.indices, [4, 4, 1])


def test_the_rarer_class_is_members_or_others() -> None:
    sets = csr_matrix(np.array([[1, 0, 0, 0, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 0]]))
    np.testing.assert_array_equal(set_sizes(sets), [1, 4, 0])
    np.testing.assert_array_equal(rarer_sizes(sets), [1, 1, 0])


def test_membership_of_other_sentences_is_refused() -> None:
    with pytest.raises(ValueError, match="covers 5 sentences, ranks cover 4"):
        auroc_from_ranks(np.ones((4, 1)), csr_matrix((2, 5)))


@given(activations=HALF_VALUES, sets=SETS)
@settings(max_examples=50, deadline=None)
def test_only_the_order_of_activations_counts(
    activations: NDArray[np.float16], sets: BoolArray
) -> None:
    membership = csr_matrix(sets)
    cubed = activations.astype(np.float64) ** 3 * 8.0
    np.testing.assert_array_equal(auroc(cubed, membership), auroc(activations, membership))


@given(activations=FEW_VALUES, sets=SETS)
@settings(max_examples=50, deadline=None)
def test_the_other_tail_and_the_other_sentences_mirror(
    activations: NDArray[np.float16], sets: BoolArray
) -> None:
    found = auroc(activations, csr_matrix(sets))
    np.testing.assert_allclose(auroc(-activations, csr_matrix(sets)), 1.0 - found, atol=1e-14)
    np.testing.assert_allclose(auroc(activations, csr_matrix(~sets)), 1.0 - found, atol=1e-14)


def test_the_sentences_have_no_order() -> None:
    generator = np.random.default_rng(4)
    activations = generator.integers(0, 6, (200, 5)).astype(np.float16)
    sets = generator.random((7, 200)) < 0.2
    order = generator.permutation(200)
    np.testing.assert_array_equal(
        auroc(activations[order], csr_matrix(sets[:, order])), auroc(activations, csr_matrix(sets))
    )
