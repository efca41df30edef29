from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_matrix

from descriptors.phrase_scores import choose_diverse, class_tf_idf, contrast_precision
from indexer.arrays import DoubleArray, IntArray

COUNTS = np.array([[2, 1, 0], [0, 1, 1], [0, 0, 3]])


def test_class_tf_idf_by_hand() -> None:
    # A = 8 / 3 occurrences per group, f = (2, 2, 4).
    expected = [
        [2 / 3 * log(7 / 3), 1 / 3 * log(7 / 3), 0],
        [0, 1 / 2 * log(7 / 3), 1 / 2 * log(5 / 3)],
        [0, 0, log(5 / 3)],
    ]
    found = class_tf_idf(csr_matrix(COUNTS), csr_matrix((3, 3), dtype=np.int64))
    np.testing.assert_allclose(found.toarray(), expected)


def test_contrast_counts_as_one_more_group_for_its_own_group_only() -> None:
    # For the first group A = 12 / 4 and f = (2, 5, 5); the others are as without contrast.
    contrast = csr_matrix(np.array([[0, 3, 1], [0, 0, 0], [0, 0, 0]]))
    found = class_tf_idf(csr_matrix(COUNTS), contrast).toarray()
    np.testing.assert_allclose(found[0], [2 / 3 * log(5 / 2), 1 / 3 * log(8 / 5), 0])
    np.testing.assert_allclose(found[2], [0, 0, log(5 / 3)])


def _oracle(counts: IntArray, contrast: IntArray) -> DoubleArray:
    found = np.zeros(counts.shape)
    for group, phrase in np.argwhere(counts):
        classes = [*counts, contrast[group]] if contrast[group].any() else [*counts]
        average = np.mean([row.sum() for row in classes])
        frequency = sum(row[phrase] for row in classes)
        share = counts[group, phrase] / counts[group].sum()
        found[group, phrase] = share * np.log(1 + average / frequency)
    return found


small = arrays(np.int64, (4, 5), elements=st.integers(0, 3))


@given(small, small)
def test_class_tf_idf_against_brute_force(counts: IntArray, contrast: IntArray) -> None:
    found = class_tf_idf(csr_matrix(counts), csr_matrix(contrast))
    np.testing.assert_allclose(found.toarray(), _oracle(counts, contrast))


def test_contrast_precision_by_hand() -> None:
    # (3.5 / 5) / (3.5 / 5 + 0.5 / 5) and (1.5 / 5) / (1.5 / 5 + 3.5 / 5).
    found = contrast_precision(
        csr_matrix([[3, 1], [2, 0]]),
        csr_matrix([[0, 3], [0, 0]]),
        np.array([4, 4]),
        np.array([4, 0]),
    )
    np.testing.assert_allclose(found.toarray(), [[0.875, 0.3], [1.0, 0.0]])


VECTORS = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], dtype=np.float32)
RELEVANCE = np.array([1.0, 0.9, 0.5])
APART = [frozenset({"a"}), frozenset({"b"}), frozenset({"c"})]


def pick(
    weight: float = 0.5,
    words: list[frozenset[str]] = APART,
    n_phrases: int = 3,
    minimum: float = 0.0,
    maximum: float = 1.0,
) -> tuple[tuple[int, ...], int, int]:
    choice = choose_diverse(
        RELEVANCE,
        VECTORS,
        words,
        n_phrases=n_phrases,
        relevance_weight=weight,
        minimum_relevance=minimum,
        maximum_similarity=maximum,
    )
    return choice.chosen, choice.near_duplicates, choice.irrelevant


@pytest.mark.parametrize(
    ("name", "found", "expected"),
    [
        # After the first: 0.45 - 0.4 = 0.05 for the second, 0.25 - 0 for the third.
        ("marginal relevance", pick(), ((0, 2, 1), 0, 0)),
        ("relevance alone", pick(weight=1.0), ((0, 1, 2), 0, 0)),
        ("two are enough", pick(n_phrases=2), ((0, 2), 0, 0)),
        ("too similar", pick(maximum=0.7), ((0, 2), 1, 0)),
        ("irrelevant", pick(minimum=0.6), ((0, 1), 0, 1)),
        (
            "contained words",
            pick(words=[frozenset({"a", "b"}), frozenset({"b"}), frozenset({"c"})]),
            ((0, 2), 1, 0),
        ),
        (
            "containing words",
            pick(words=[frozenset({"a"}), frozenset({"a", "b"}), frozenset({"c"})]),
            ((0, 2), 1, 0),
        ),
    ],
)
def test_choose_diverse_by_hand(
    name: str, found: tuple[tuple[int, ...], int, int], expected: tuple[tuple[int, ...], int, int]
) -> None:
    assert found == expected, name
