"""Memberships that have nothing to do with the sentences they name: what nulls are matched with."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from eval.label_recovery import shuffled_documents
from indexer.arrays import IntArray
from neurons.auroc import members_of
from neurons.null import permuted_rows
from neurons.split_rows import SplitRows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


class NullKind(StrEnum):
    """What is put out of order; in each of them no neuron has anything to find.

    Sentences are dealt to other documents for all descriptors alike, which keeps how descriptors
    overlap; or for each descriptor on its own, which keeps only how its sentences share documents;
    or descriptors hold for sentences drawn at random, as many in each split.
    """

    SHUFFLED_SENTENCES = "shuffled_sentences"
    SHUFFLED_MEMBERSHIPS = "shuffled_memberships"
    RANDOM_DESCRIPTORS = "random_descriptors"


def null_membership(
    kind: NullKind, membership: csr_matrix, rows: SplitRows, seed: int, repeat: int = 0
) -> csr_matrix:
    """A null of the membership, descriptors of the same sizes in every split.

    Args:
        kind: what is put out of order.
        membership: sentences of each descriptor (`n_descriptors, n_sentences`).
        rows: rows of each split; sentences stay in theirs.
        seed: of the run.
        repeat: other numbers give other nulls.
    """
    number = list(NullKind).index(kind)
    # A stream of its own: the permutations of the matcher's thresholds come from the same seed.
    drawn = int(np.random.SeedSequence([seed, number, repeat]).generate_state(1)[0])
    if kind is NullKind.SHUFFLED_SENTENCES:
        return shuffled_documents(membership, rows, drawn)
    deal = _other_documents if kind is NullKind.SHUFFLED_MEMBERSHIPS else _other_sentences
    return _dealt(membership, rows, np.random.default_rng(drawn), deal)


_Deal = Callable[[IntArray, IntArray, np.random.Generator], IntArray]


def _dealt(
    membership: csr_matrix, rows: SplitRows, generator: np.random.Generator, deal: _Deal
) -> csr_matrix:
    """Each descriptor's sentences dealt on its own: `deal` says to which places of the split."""
    from scipy.sparse import csr_matrix

    sets = membership.copy()
    sets.sum_duplicates()
    splits = (rows.discover, rows.validation, rows.test)
    split_of, place_of = _places(splits, sets.shape[1])
    columns = np.empty(sets.nnz, dtype=np.int64)
    for descriptor in range(sets.shape[0]):
        members = members_of(sets, descriptor)
        entries = slice(sets.indptr[descriptor], sets.indptr[descriptor + 1])
        for number, own in enumerate(splits):
            inside = split_of[members] == number
            dealt = deal(place_of[members[inside]], rows.documents[own], generator)
            members[inside] = own[dealt]
        columns[entries] = members
    found = csr_matrix((sets.data, columns, sets.indptr), shape=sets.shape)
    found.sort_indices()
    return found


def _places(splits: tuple[IntArray, ...], n_sentences: int) -> tuple[IntArray, IntArray]:
    """The split of every sentence, and its place among the rows of that split (`n_sentences`)."""
    split_of = np.full(n_sentences, len(splits), dtype=np.int64)
    place_of = np.zeros(n_sentences, dtype=np.int64)
    for number, own in enumerate(splits):
        split_of[own] = number
        place_of[own] = np.arange(len(own))
    return split_of, place_of


def _other_documents(
    places: IntArray, documents: IntArray, generator: np.random.Generator
) -> IntArray:
    return permuted_rows(documents, generator)[places]


def _other_sentences(
    places: IntArray, documents: IntArray, generator: np.random.Generator
) -> IntArray:
    return generator.choice(len(documents), size=len(places), replace=False)
