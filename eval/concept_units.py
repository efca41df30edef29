"""Which units carry a label: predicted from sentence sets without test, and told on test.

A unit is taken by whichever of its tails fits better, and the tail gives its sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from neurons.auroc import auroc
from neurons.match_block import JudgeableSets, SplitAreas, candidate_statistic, pooled_area
from neurons.matching import MatchingSettings
from neurons.split_rows import Activations, SplitRows, wanted_columns

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_PARTS_PER_DEVIATION = float(1 << 20)


@dataclass(frozen=True, eq=False)
class Evidence:
    """How well each unit fits each label (`n_labels, n_units`), the better tail counting.

    Single precision, so that units of equal fit by different tails are tied.

    Attributes:
        fit: higher is better; 0 for a label that there is nothing to go by for.
        negative: whether the negative tail fits better.
        known: labels that there is something to go by for (`n_labels`).
    """

    fit: FloatArray
    negative: BoolArray
    known: BoolArray

    @classmethod
    def of_auroc(cls, area: DoubleArray) -> Evidence:
        """From the AUROC of each label for each unit (`n_labels, n_units`)."""
        return cls(
            np.maximum(area, 1.0 - area).astype(np.float32),
            area < 0.5,
            np.ones(len(area), dtype=np.bool_),
        )

    def take(self, units: IntArray) -> Evidence:
        """The evidence on some units, in the order given."""
        return Evidence(self.fit[:, units], self.negative[:, units], self.known)

    def best(self, n_best: int) -> Picked:
        """The units that fit each label best; of equals the first."""
        units = np.argsort(-self.fit, axis=1, kind="stable")[:, :n_best]
        return Picked(units, np.take_along_axis(self.negative, units, axis=1), self.known)


@dataclass(frozen=True, eq=False)
class Picked:
    """The units of each label, best first, with their tails (`n_labels, n_best`)."""

    units: IntArray
    negative: BoolArray
    known: BoolArray


class EvidenceCollector:
    """Puts together, block by block, what sentence sets tell of each unit and label.

    Args:
        sets_of_label: for each label the places of its sets among the judgeable ones; a unit fits
            the label as well as it fits the best of them.
    """

    def __init__(self, sets_of_label: Sequence[IntArray]) -> None:
        self._sets_of_label = sets_of_label
        self._fits: list[FloatArray] = []
        self._negative: list[BoolArray] = []

    def add(self, tails: tuple[DoubleArray, DoubleArray]) -> None:
        """The next block's statistic of both tails, positive first (`n_sets, n_units` each)."""
        n_units = tails[0].shape[1]
        fit = np.zeros((len(self._sets_of_label), n_units), dtype=np.float32)
        negative = np.zeros(fit.shape, dtype=np.bool_)
        for label, own in enumerate(self._sets_of_label):
            if own.size:
                positive, other = (each[own].max(axis=0) for each in tails)
                negative[label] = other > positive
                fit[label] = np.maximum(positive, other)
        self._fits.append(fit)
        self._negative.append(negative)

    def result(self) -> Evidence:
        """The evidence on all units that were added."""
        return Evidence(
            np.concatenate(self._fits, axis=1),
            np.concatenate(self._negative, axis=1),
            np.array([own.size > 0 for own in self._sets_of_label], dtype=np.bool_),
        )


def statistic_of_tails(
    areas: SplitAreas, sets: JudgeableSets, settings: MatchingSettings
) -> tuple[DoubleArray, DoubleArray]:
    """The matcher's own statistic of both tails, positive first (`n_sets, n_units` each)."""
    return (
        candidate_statistic(pooled_area(areas, sets), sets, settings),
        candidate_statistic(pooled_area(areas.mirrored(), sets), sets, settings),
    )


def combined_auroc(
    activations: Activations,
    neurons: IntArray,
    picked: Sequence[Picked],
    labels: csr_matrix,
    rows: SplitRows,
) -> DoubleArray:
    """Test AUROC of the mean of the picked units' activations (`n_picked, n_labels`).

    Activations are standardised by their mean and standard deviation on discover and signed by
    tail. A unit that discover never moved has no scale and adds nothing. Where nothing is known of
    a label the mean is 0 for all sentences, and its AUROC one half.

    Args:
        activations: all neurons.
        neurons: which of them the picked units are (`n_units`).
        picked: units of each label, as places in `neurons`.
        labels: sentences of each label (`n_labels, n_sentences`).
        rows: rows of each split.
    """
    n_labels = labels.shape[0]
    weights = _signs(activations.n_neurons, neurons, picked)
    wanted = np.diff(weights.indptr) > 0
    read = np.concatenate([rows.discover, rows.test])
    sums = np.zeros((len(rows.test), weights.shape[1]))
    for block, values in wanted_columns(activations, read, wanted):
        sums += _standardised(values, len(rows.discover)) @ weights[block]
    on_test = labels[:, rows.test]
    areas = np.empty((len(picked), n_labels))
    for label in range(n_labels):
        areas[:, label] = auroc(sums[:, label::n_labels], on_test[label])[0]
    return areas


def _signs(n_neurons: int, neurons: IntArray, picked: Sequence[Picked]) -> csr_matrix:
    """Sign of each neuron in each mean (`n_neurons, n_picked * n_labels`), labels varying first."""
    from scipy.sparse import csr_matrix

    places: list[IntArray] = []
    columns: list[IntArray] = []
    signs: list[DoubleArray] = []
    for number, own in enumerate(picked):
        n_labels, n_best = own.units.shape
        known = np.flatnonzero(own.known)
        places.append(neurons[own.units[known]].ravel())
        columns.append(np.repeat(number * n_labels + known, n_best))
        signs.append(np.where(own.negative[known], -1.0, 1.0).ravel())
    n_columns = sum(len(own.units) for own in picked)
    entries = (np.concatenate(places), np.concatenate(columns))
    return csr_matrix((np.concatenate(signs), entries), shape=(n_neurons, n_columns))


def _standardised(values: np.ndarray, n_discover: int) -> DoubleArray:
    """Test activations in standard deviations of discover (`n_test, n_units`).

    Rounded to parts of which sums are exact, so that they do not depend on the order of units.
    """
    units = np.ascontiguousarray(values.T, dtype=np.float64)
    discover, test = units[:, :n_discover], units[:, n_discover:]
    spread = discover.std(axis=1, keepdims=True)
    spread[(discover == discover[:, :1]).all(axis=1)] = np.inf
    scaled = (test - discover.mean(axis=1, keepdims=True)) / spread
    return np.asarray(np.rint(scaled.T * _PARTS_PER_DEVIATION) / _PARTS_PER_DEVIATION)
