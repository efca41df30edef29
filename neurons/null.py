"""The permutation null: how well the best of all descriptors fits neurons that know nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import DoubleArray, IntArray
from indexer.records import Record
from neurons.auroc import rarer_sizes, set_sizes
from neurons.rank_arithmetic import NUMPY_RANKS, RankArithmetic
from neurons.significance import mann_whitney_z
from neurons.split_rows import SplitRows, block_units

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Statistic = Callable[[DoubleArray, IntArray], DoubleArray]

_FEWEST_EXCHANGED = 5
_STREAM = 1


class NullThresholds(Record):
    """What a match must exceed: on discover as the best of all, on validation as a single one."""

    discover: float
    validation: float


@dataclass(frozen=True)
class PermutationNull:
    """What activations that belong to other documents reach.

    `z_spread` is the standard deviation of each set's `mann_whitney_z` on discover, 1 or more
    (`n_sets`): sentences of one document resemble each other, so that z values scatter more than
    the independent sentences that their formula counts on would let them.
    """

    thresholds: NullThresholds
    z_spread: DoubleArray


def permuted_rows(documents: IntArray, generator: np.random.Generator) -> IntArray:
    """A permutation of sentence positions that moves whole documents (`n_sentences`).

    Position i is dealt the sentence at the i-th place of the answer. Sentences of one document
    resemble each other; a permutation that tears them apart would make the null too narrow. So
    documents trade places with documents of the same size, wherever their sentences stand; sizes
    with fewer than 5 documents are pooled with their neighbours.
    """
    _, of_sentence, sizes = np.unique(documents, return_inverse=True, return_counts=True)
    shuffled = generator.permutation(len(sizes))
    in_order = shuffled[np.argsort(sizes[shuffled], kind="stable")]
    dealt = np.concatenate(
        [generator.permutation(pool) for pool in np.split(in_order, _pool_ends(sizes[in_order]))]
    )
    permutation = np.empty(len(documents), dtype=np.int64)
    permutation[_grouped(of_sentence, in_order)] = _grouped(of_sentence, dealt)
    return permutation


def shuffled_order(rows: SplitRows, n_sentences: int, seed: int) -> IntArray:
    """An order of all sentences that deals each to another document of its split (`n_sentences`).

    Sentences of no split stay where they are.
    """
    generator = np.random.default_rng(seed)
    order = np.arange(n_sentences)
    for own in (rows.discover, rows.validation, rows.test):
        order[own] = own[permuted_rows(rows.documents[own], generator)]
    return order


def _pool_ends(sizes: IntArray) -> list[int]:
    """Where to cut ascending document sizes so that each pool has enough documents."""
    ends: list[int] = []
    for end in np.flatnonzero(np.diff(sizes)) + 1:
        pooled = int(end) - (ends[-1] if ends else 0)
        if min(pooled, len(sizes) - int(end)) >= _FEWEST_EXCHANGED:
            ends.append(int(end))
    return ends


def _grouped(of_sentence: IntArray, documents: IntArray) -> IntArray:
    """Sentence positions document by document, in this order of documents."""
    place = np.empty(len(documents), dtype=np.int64)
    place[documents] = np.arange(len(documents))
    return np.argsort(place[of_sentence], kind="stable")


def permutation_null(
    sample: NDArray[np.floating[Any]],
    sets: tuple[csr_matrix, csr_matrix],
    rows: tuple[IntArray, IntArray],
    documents: IntArray,
    statistic: Statistic,
    repeats: int,
    quantile: float,
    seed: int,
    arithmetic: RankArithmetic = NUMPY_RANKS,
) -> PermutationNull:
    """Quantiles of a statistic, and spread of z, when activations belong to other documents.

    Constant neurons fit nothing and would lower the quantiles, so they are left out. Without sets,
    or without neurons that vary, nothing can be judged and nothing exceeds the thresholds.

    Args:
        sample: activations of some neurons (`n_sentences, n_sampled`).
        sets: memberships of discover and of validation (`n_sets, n_rows`).
        rows: the rows of those two splits.
        documents: document of every sentence (`n_sentences`).
        statistic: from AUROC (`n_sets, n_units`) and `rarer_sizes` to what is compared.
        repeats: permutations.
        quantile: of the largest statistic of a tail on discover, and of all on validation.
        seed: of the permutations.
        arithmetic: of the ranks; the null does not depend on it.
    """
    fitted = sample[rows[0]]
    varying = (fitted != fitted[:1]).any(axis=0)
    n_sets = sets[0].shape[0]
    if not n_sets or not varying.any():
        return PermutationNull(NullThresholds(discover=1.0, validation=1.0), np.ones(n_sets))
    # A stream of its own: a control that shuffles with the same seed would be shuffled back.
    generator = np.random.default_rng([seed, _STREAM])
    permutations = [
        [permuted_rows(documents[own], generator) for own in rows] for _ in range(repeats)
    ]
    largest, single = [], []
    squares = np.zeros(n_sets)
    units = block_units(len(sample))
    columns = np.flatnonzero(varying)
    for first in range(0, len(columns), units):
        block = sample[:, columns[first : first + units]]
        ranks = [arithmetic.average_ranks(block[own]) for own in rows]
        variances = arithmetic.variances(ranks[0])
        for permutation in permutations:
            discover, validation = (
                arithmetic.auroc(arithmetic.reordered(own_ranks, own), own_sets)
                for own_ranks, own, own_sets in zip(ranks, permutation, sets, strict=True)
            )
            largest.append(_both_tails(discover, rarer_sizes(sets[0]), statistic).max(axis=0))
            single.append(_both_tails(validation, rarer_sizes(sets[1]), statistic).ravel())
            z = mann_whitney_z(discover, set_sizes(sets[0]), len(rows[0]), variances)
            squares += np.square(z).sum(axis=1)
    spread = np.sqrt(squares / (len(columns) * repeats))
    thresholds = NullThresholds(
        discover=float(np.quantile(np.concatenate(largest), quantile)),
        validation=float(np.quantile(np.concatenate(single), quantile)),
    )
    return PermutationNull(thresholds, np.maximum(spread, 1.0))


def _both_tails(area: DoubleArray, n_rarer: IntArray, statistic: Statistic) -> DoubleArray:
    """The statistic of both tails (`n_sets, 2 n_units`)."""
    return statistic(np.concatenate([area, 1.0 - area], axis=1), n_rarer)
