"""The plain reading of the paper, and descriptors that do not depend on the neuron."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eval.matcher_task import (
    MatcherTask,
    RankingBuilder,
    Rankings,
    mirrored,
    strongest_sentences,
)
from eval.rankings import commonest_descriptors
from indexer.arrays import DoubleArray, IntArray
from neurons.auroc import set_sizes

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def exemplar_counts(task: MatcherTask) -> Rankings:
    """Rank descriptors by the share of a tail's exemplars that they hold for, and nothing else.

    The plain reading of Mondal et al. 2024 (arXiv 2401.16731): a descriptor that holds for many
    sentences holds for many exemplars of any neuron, and nothing is done about that. Descriptors
    that hold for equally many come in the order of the catalog; those that hold for none are not
    named.
    """
    membership = task.selected_membership
    builders = (RankingBuilder(task.n_ranks), RankingBuilder(task.n_ranks))
    for columns in task.columns():
        for builder, tail in zip(builders, mirrored(columns), strict=True):
            exemplars = strongest_sentences(tail, task.settings.n_exemplars)
            shares = _shares(exemplars, columns.shape[1], membership)
            builder.add(np.where(shares > 0.0, shares, -np.inf))
    return builders[0].ranking(), builders[1].ranking()


def frequency(task: MatcherTask) -> Rankings:
    """The commonest descriptors of discover for every neuron, the first in order among equals."""
    sizes = set_sizes(task.membership[:, task.rows.discover])
    ranking = commonest_descriptors(sizes, task.n_ranks, task.activations.n_neurons)
    return ranking, ranking


def _shares(exemplars: IntArray, n_sentences: int, membership: csr_matrix) -> DoubleArray:
    """Share of each unit's exemplars in each set (`n_units, n_sets`)."""
    from scipy.sparse import csr_matrix

    n_units, n_exemplars = exemplars.shape
    limits = np.arange(n_units + 1) * n_exemplars
    ones = np.ones(exemplars.size)
    chosen = csr_matrix((ones, exemplars.ravel(), limits), shape=(n_units, n_sentences))
    hits = (chosen @ membership.T).toarray()
    return np.asarray(hits / n_exemplars, dtype=np.float64)
