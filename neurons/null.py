"""The permutation null: how well the best of all descriptors fits neurons that know nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from indexer.arrays import DoubleArray, IntArray
from neurons.auroc import auroc_from_ranks, average_ranks, set_sizes

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Statistic = Callable[[DoubleArray, IntArray], DoubleArray]


class NullThresholds(BaseModel):
    """What a match must exceed: on discover as the best of all, on validation as a single one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    discover: float
    validation: float


def permuted_rows(documents: IntArray, generator: np.random.Generator) -> IntArray:
    """A permutation of sentence positions that moves whole documents (`n_sentences`).

    Sentences of one document resemble each other; a permutation that tears them apart would make
    the null too narrow.
    """
    _, of_sentence = np.unique(documents, return_inverse=True)
    new_place = generator.permutation(int(of_sentence.max()) + 1)
    return np.argsort(new_place[of_sentence], kind="stable").astype(np.int64)


def null_thresholds(
    sample: NDArray[np.floating[Any]],
    sets: tuple[csr_matrix, csr_matrix],
    rows: tuple[IntArray, IntArray],
    documents: IntArray,
    statistic: Statistic,
    repeats: int,
    quantile: float,
    seed: int,
) -> NullThresholds:
    """Quantiles of a statistic when activations belong to other documents.

    Args:
        sample: activations of some neurons (`n_sentences, n_sampled`).
        sets: memberships of discover and of validation (`n_sets, n_rows`).
        rows: the rows of those two splits.
        documents: document of every sentence (`n_sentences`).
        statistic: from AUROC (`n_sets, n_units`) and set sizes to what is compared.
        repeats: permutations.
        quantile: of the largest statistic of a tail on discover, and of all on validation.
        seed: of the permutations.
    """
    if not sets[0].shape[0]:
        return NullThresholds(discover=1.0, validation=1.0)
    generator = np.random.default_rng(seed)
    largest, single = [], []
    for _ in range(repeats):
        values = [
            _permuted(sample, own_sets, own_rows, documents, statistic, generator)
            for own_sets, own_rows in zip(sets, rows, strict=True)
        ]
        largest.append(values[0].max(axis=0).ravel())
        single.append(values[1].ravel())
    return NullThresholds(
        discover=float(np.quantile(np.concatenate(largest), quantile)),
        validation=float(np.quantile(np.concatenate(single), quantile)),
    )


def _permuted(
    sample: NDArray[np.floating[Any]],
    sets: csr_matrix,
    rows: IntArray,
    documents: IntArray,
    statistic: Statistic,
    generator: np.random.Generator,
) -> DoubleArray:
    """The statistic of both tails under one permutation (`n_sets, 2 n_sampled`)."""
    own = sample[rows][permuted_rows(documents[rows], generator)]
    area = auroc_from_ranks(average_ranks(own), sets)
    return statistic(np.concatenate([area, 1.0 - area], axis=1), set_sizes(sets))
