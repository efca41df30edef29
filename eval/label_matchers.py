"""Matchers that are told the true labels: what neurons could be given at best.

With labels in place of descriptors they rank, for each neuron, the labels it tells apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eval.matcher_task import Columns, MatcherTask, RankingBuilder, Rankings, key_type, mirrored
from indexer.arrays import DoubleArray, IntArray
from neurons.auroc import half_keys, indicator, set_sizes

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def probeless(task: MatcherTask) -> Rankings:
    """Rank by the absolute difference of class means, alike for both tails.

    Antverg and Belinkov 2022, "On the pitfalls of analyzing individual neurons"; each label is
    compared with all sentences that lack it, so that sentences may carry several labels.
    Standardising a neuron's activations divides all its differences by one number, so that the
    ranking of its labels would stay as it is.
    """
    return _by_means(task, np.abs)


def signed_probeless(task: MatcherTask) -> Rankings:
    """Rank by the difference of class means towards the tail: Probeless for a one-sided question.

    A label whose sentences lie on the other side of all others is not named.
    """
    return _by_means(task, _rising)


def average_precision(task: MatcherTask) -> Rankings:
    """Rank by the average precision of the activation as a detector of the label.

    NeuroX calls this measure IoU. Without its cut of small activations, which would silence neurons
    by their scale.
    """
    labels = task.selected_membership
    builders = (RankingBuilder(task.n_ranks), RankingBuilder(task.n_ranks))
    for columns in task.columns():
        for builder, tail in zip(builders, mirrored(columns), strict=True):
            builder.add(_without_undefined(average_precisions(tail, labels).T))
    return builders[0].ranking(), builders[1].ranking()


def mean_differences(columns: Columns, labels: csr_matrix) -> DoubleArray:
    """Mean activation with each label minus that without it (`n_labels, n_units`).

    NaN where no sentence has the label, or none lacks it.

    Args:
        columns: activations (`n_units, n_sentences`).
        labels: every stored entry is a member (`n_labels, n_sentences`).
    """
    values = columns.astype(np.float64)
    members = set_sizes(labels).astype(np.float64)[:, np.newaxis]
    others = values.shape[1] - members
    inside = np.asarray(indicator(labels) @ values.T)
    outside = values.sum(axis=1) - inside
    defined = (members > 0) & (others > 0)
    differences = inside / np.maximum(members, 1.0) - outside / np.maximum(others, 1.0)
    return np.where(defined, differences, np.nan)


def average_precisions(columns: Columns, labels: csr_matrix) -> DoubleArray:
    """Average precision of each unit for each label (`n_labels, n_units`).

    AP = sum over thresholds of (recall gained) times precision, sentences of equal activation
    passing the threshold together, as scikit-learn defines it. NaN for a label without sentences.

    Args:
        columns: activations (`n_units, n_sentences`).
        labels: every stored entry is a member (`n_labels, n_sentences`).
    """
    sets = indicator(labels)
    sizes = np.diff(sets.indptr).astype(np.int64)
    precisions = np.full((len(sizes), len(columns)), np.nan)
    used = np.flatnonzero(sizes)
    starts = sets.indptr[:-1][used].astype(np.int64)
    before = np.repeat(sets.indptr[:-1], sizes)
    span = columns.shape[1] + 1
    kind = key_type(span * len(sizes))
    offsets = np.repeat(np.arange(len(sizes)) * span, sizes).astype(kind)
    for unit, reached in enumerate(_at_least(columns) if len(used) else ()):
        # Sorted within each label, because labels come one after the other.
        ordered = np.sort(offsets + reached[sets.indices].astype(kind))
        found = _end_of_run(ordered) - before
        sums = np.add.reduceat(found / (ordered - offsets), starts)
        precisions[used, unit] = sums / sizes[used]
    return precisions


def _rising(differences: DoubleArray) -> DoubleArray:
    return np.where(differences > 0.0, differences, -np.inf)


def _by_means(task: MatcherTask, score: Callable[[DoubleArray], DoubleArray]) -> Rankings:
    labels = task.selected_membership
    builders = (RankingBuilder(task.n_ranks), RankingBuilder(task.n_ranks))
    for columns in task.columns():
        differences = mean_differences(columns, labels).T
        for builder, tail in zip(builders, (differences, -differences), strict=True):
            builder.add(_without_undefined(score(tail)))
    return builders[0].ranking(), builders[1].ranking()


def _without_undefined(scores: DoubleArray) -> DoubleArray:
    return np.where(np.isnan(scores), -np.inf, scores)


def _at_least(columns: Columns) -> IntArray:
    """How many sentences are as active as each one, for each unit (`n_units, n_sentences`)."""
    keys = half_keys(columns) if columns.dtype == np.float16 else columns
    order = np.argsort(-keys, axis=1, kind="stable")
    ordered = np.take_along_axis(keys, order, axis=1)
    reached = np.empty(keys.shape, dtype=np.int64)
    for unit, falling in enumerate(ordered):
        reached[unit, order[unit]] = _end_of_run(falling)
    return reached


def _end_of_run(ordered: NDArray[Any]) -> IntArray:
    """The place after the last of its equals, for each of some sorted numbers (`n_numbers`)."""
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    return np.repeat(ends + 1, np.diff(ends, prepend=-1))
