from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from descriptors.competition import competing, nearest_competitors
from indexer.arrays import BoolArray, DoubleArray


def test_two_compete_unless_one_would_have_most_of_the_other() -> None:
    supports = [(0, 1, 2, 3), (4, 5, 6, 7), (0, 1), (8, 9)]
    members = csr_matrix(
        [
            [1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
            [0, 0, 1, 1, 1, 1, 1, 1, 0, 0],
            [1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 1, 1, 1, 1, 1],
        ]
    )
    # The second has half of the first's, the fourth three quarters of the second's, and the first
    # all of the third's.
    found = competing(supports, members, 0.65)
    expected = [
        [False, True, False, True],
        [True, False, True, False],
        [False, True, False, True],
        [True, False, True, False],
    ]
    np.testing.assert_array_equal(found, expected)
    assert not competing(supports, members, 0.5)[0, 1]


def test_without_support_nothing_competes() -> None:
    assert not competing([(), (0, 1), ()], csr_matrix((3, 4)), 0.65).any()
    assert competing([], csr_matrix((0, 4)), 0.65).shape == (0, 0)


def test_at_no_share_nothing_competes() -> None:
    assert not competing([(0, 1), (2, 3)], csr_matrix(np.eye(2, 4)), 0.0).any()


def test_a_member_with_a_cosine_of_zero_counts() -> None:
    nearly = csr_matrix((np.zeros(3), [0, 1, 2], [0, 2, 3]), shape=(2, 4))
    assert not competing([(0, 1), (2, 1)], nearly, 0.5)[0, 1]
    assert competing([(0, 1), (3,)], nearly, 0.5)[0, 1]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 11), max_size=8), st.sets(st.integers(0, 11))),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]),
)
def test_competing_equals_sets(each: list[tuple[set[int], set[int]]], most: float) -> None:
    members = np.zeros((len(each), 12))
    for number, (_, held) in enumerate(each):
        members[number, sorted(held)] = 1.0
    found = competing([sorted(support) for support, _ in each], csr_matrix(members), most)
    for row, (one, of_one) in enumerate(each):
        for column, (other, of_other) in enumerate(each):
            expected = bool(one and other and row != column) and (
                len(one & of_other) / max(len(one), 1) < most
                and len(other & of_one) / max(len(other), 1) < most
            )
            assert found[row, column] == expected


def test_a_sentence_goes_to_the_nearest_by_hand() -> None:
    similarities = csr_matrix([[0.9, 0.5, 0.0], [0.8, 0.6, 0.4], [0.7, 0.0, 0.3]])
    rivals = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=np.bool_)
    left = nearest_competitors(similarities, rivals)
    # The third keeps the first sentence: the nearest does not compete with it, but the second does
    # and is nearer.
    np.testing.assert_array_equal(left.toarray(), [[0.9, 0, 0], [0, 0.6, 0.4], [0, 0, 0]])


def test_equally_near_ones_keep_it_both() -> None:
    similarities = csr_matrix([[0.5], [0.5 + 1e-8], [0.4]])
    left = nearest_competitors(similarities, ~np.eye(3, dtype=np.bool_))
    np.testing.assert_array_equal(left.toarray().ravel() > 0, [True, True, False])


def test_a_member_with_a_cosine_of_zero_stays_one() -> None:
    similarities = csr_matrix((np.zeros(1), [1], [0, 1]), shape=(1, 2))
    left = nearest_competitors(similarities, np.zeros((1, 1), np.bool_))
    assert left.nnz == 1


def test_nothing_to_share_out() -> None:
    left = nearest_competitors(csr_matrix((2, 3)), ~np.eye(2, dtype=np.bool_))
    assert left.shape == (2, 3)
    assert left.nnz == 0


def brute_force(cosines: DoubleArray, rivals: BoolArray) -> DoubleArray:
    left = cosines.copy()
    for owner in range(len(cosines)):
        for sentence in range(cosines.shape[1]):
            others = cosines[rivals[owner], sentence]
            if len(others) and others.max() > cosines[owner, sentence]:
                left[owner, sentence] = 0.0
    return left


@settings(deadline=None)
@given(st.integers(1, 7), st.integers(1, 9), st.integers(0, 999))
def test_nearest_competitors_equals_a_loop(n: int, n_sentences: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    # Steps far above the tolerance, so that only true ties are ties; 0 is no member.
    cosines = random.integers(0, 6, (n, n_sentences)) / 8.0
    rivals = np.triu(random.random((n, n)) < 0.6, 1)
    rivals = rivals | rivals.T
    left = nearest_competitors(csr_matrix(cosines), rivals)
    expected = brute_force(cosines, rivals)
    np.testing.assert_array_equal(left.toarray(), expected)
    assert left.has_sorted_indices
    # Whoever is nearest keeps the sentence.
    np.testing.assert_array_equal(expected.any(axis=0), cosines.any(axis=0))
