"""Memberships in which nothing is there to find."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from eval.null_memberships import NullKind, null_membership
from neurons.split_rows import SplitRows


def rows_of(documents: np.ndarray, seed: int) -> SplitRows:
    """Documents dealt to the splits, about a half, a quarter and a quarter."""
    generator = np.random.default_rng(seed)
    place = generator.random(int(documents.max()) + 1)[documents]
    return SplitRows(
        np.flatnonzero(place < 0.5),
        np.flatnonzero((place >= 0.5) & (place < 0.75)),
        np.flatnonzero(place >= 0.75),
        documents,
    )


def scored(n_sets: int, n_sentences: int, seed: int) -> csr_matrix:
    generator = np.random.default_rng(seed)
    members = generator.random((n_sets, n_sentences)) < 0.2
    return csr_matrix(members * generator.uniform(0.1, 1.0, size=members.shape))


def splits(rows: SplitRows) -> tuple[np.ndarray, ...]:
    return rows.discover, rows.validation, rows.test


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(NullKind),
    size=st.integers(1, 4),
    seed=st.integers(0, 10_000),
    n_sets=st.integers(0, 6),
)
def test_sizes_and_scores_of_every_split_are_kept(
    kind: NullKind, size: int, seed: int, n_sets: int
) -> None:
    rows = rows_of(np.repeat(np.arange(40), size), seed)
    membership = scored(n_sets, 40 * size, seed)
    before = membership.copy()
    found = null_membership(kind, membership, rows, seed)
    assert (membership != before).nnz == 0
    assert found.shape == membership.shape
    for own in splits(rows):
        for number in range(n_sets):
            one, other = membership[number][:, own], found[number][:, own]
            assert one.nnz == other.nnz
            np.testing.assert_array_equal(np.sort(one.data), np.sort(other.data))


@pytest.mark.parametrize("kind", list(NullKind))
def test_sentences_change_with_seed_and_repeat_alone(kind: NullKind) -> None:
    rows, membership = rows_of(np.arange(400), 0), scored(5, 400, 0)
    drawn = [null_membership(kind, membership, rows, *key) for key in ((0, 0), (0, 1), (1, 0))]
    again = null_membership(kind, membership, rows, 0)
    assert (drawn[0] != again).nnz == 0
    for number, one in enumerate([membership, *drawn]):
        for other in [membership, *drawn][:number]:
            assert (one != other).nnz > 100


def test_only_shuffled_sentences_keep_how_descriptors_overlap() -> None:
    rows = rows_of(np.arange(600), 0)
    members = np.zeros((2, 600))
    members[0, ::5] = members[1, ::5] = 1.0
    membership = csr_matrix(members)
    common = {}
    for kind in NullKind:
        found = null_membership(kind, membership, rows, 0)
        common[kind] = int((found[0].multiply(found[1])).nnz)
    assert common[NullKind.SHUFFLED_SENTENCES] == 120
    # Drawn independently a fifth of each is in the other.
    assert 8 < common[NullKind.SHUFFLED_MEMBERSHIPS] < 45
    assert 8 < common[NullKind.RANDOM_DESCRIPTORS] < 45


def test_only_random_descriptors_tear_documents_apart() -> None:
    documents = np.repeat(np.arange(100), 3)
    rows = rows_of(documents, 0)
    whole = np.random.default_rng(0).random((4, 100)) < 0.3
    membership = csr_matrix(np.repeat(whole, 3, axis=1).astype(np.float64))
    torn = {}
    for kind in NullKind:
        found = null_membership(kind, membership, rows, 0).toarray().reshape(4, 100, 3)
        members = found.sum(axis=2)
        torn[kind] = int(((members > 0) & (members < 3)).sum())
    assert torn[NullKind.SHUFFLED_SENTENCES] == torn[NullKind.SHUFFLED_MEMBERSHIPS] == 0
    assert torn[NullKind.RANDOM_DESCRIPTORS] > 50
