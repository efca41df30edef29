"""Does a neuron fire on all and only the sentences that its descriptors name?

The observational mode of Huang, Geiger, D'Oosterlinck, Wu & Potts 2023 ("Rigorously assessing
natural language explanations of neurons"): precision, recall and F1 of firing. *Named* are the
sentences that a descriptor holds for, which its embedding decided and the neuron did not. A neuron
*fires* where its activation reaches a threshold, chosen for each neuron and set of sentences as the
one of best F1 on discover and validation; precision, recall and F1 are those on test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from eval.defined_means import defined_mean
from eval.described_tails import DescribedTails, listed, tail_columns, too_few
from eval.firing import Firing, SortedActivations, firing
from eval.null_memberships import NullKind, null_membership
from eval.random_descriptors import size_matched
from eval.reading_scores import BEST, FIRST, UNION, ReadingScores
from eval.records import Figure
from indexer.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from indexer.records import Record
from neurons.auroc import indicator, members_of, set_sizes
from neurons.split_rows import Activations, SplitRows, Watch, unwatched

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PROTOCOL = "observational"
METRICS = ("precision", "recall", "F1")
_READINGS = (FIRST, UNION, BEST)


class ObservationalSettings(Record):
    """What is judged; counts of sentences, of neurons and of descriptors.

    `k` descriptors of a neuron are read together, or the best of them. A descriptor with fewer than
    `minimum_members` test sentences, or as few others, is not judged. Fewer neurons than
    `minimum_neurons` give no figure. Random descriptors are drawn among the `nearest_sizes` that
    are most like the neuron's own in size.
    """

    k: int = Field(default=5, ge=1)
    minimum_members: int = Field(default=20, ge=1)
    minimum_neurons: int = Field(default=10, ge=1)
    nearest_sizes: int = Field(default=10, ge=1)


@dataclass(frozen=True)
class ObservationalTask:
    """A finished run as the protocol sees it.

    Attributes:
        activations: all neurons.
        membership: kept descriptors by sentences (`n_descriptors, n_sentences`).
        rows: rows of each split.
        samples: the tails that are judged.
        seed: of the shuffle, the random descriptors and the bootstrap.
        watch: wraps the blocks of the pass over the activations, for a progress bar.
    """

    activations: Activations
    membership: csr_matrix
    rows: SplitRows
    samples: tuple[DescribedTails, ...]
    seed: int
    watch: Watch = unwatched


def observational(task: ObservationalTask, settings: ObservationalSettings) -> list[Figure]:
    """All figures of the protocol, sample by sample.

    Only F1 can be compared with null and baseline by itself: a unit that knows nothing has its best
    F1 where it fires on almost everything, with a recall near 1.

    Readings: the first descriptor; `union`, the sentences of any of the first k; `best`, of the
    first k the one of best F1 on discover and validation. F1 is also told for the neurons that have
    several descriptors, `several`, for which alone the three differ. `null` deals the activations
    to other documents of the same split and chooses thresholds anew; `baseline` takes as many
    random descriptors of like size. `judged` is the share of the described neurons that the figures
    average over.
    """
    allowed = _judgeable(task.membership, task.rows, settings)
    samples = tuple(each.restricted(allowed, settings.k) for each in task.samples)
    figures: list[Figure] = []
    for every, sample, scores in zip(
        task.samples, samples, _scores(task, settings, samples, allowed), strict=True
    ):
        if len(sample) < settings.minimum_neurons:
            what = (
                f"of {len(every)} described neurons whose first descriptor has "
                f"{settings.minimum_members} test sentences"
            )
            figures.append(
                too_few(PROTOCOL, sample.name, len(sample), settings.minimum_neurons, what)
            )
            continue
        share = np.isin(every.neurons, sample.neurons).astype(np.float64)
        figures.append(defined_mean(PROTOCOL, every.name, "judged", share, seed=task.seed))
        figures += scores.figures(
            PROTOCOL,
            sample,
            k=settings.k,
            minimum_neurons=settings.minimum_neurons,
            several_metrics=("F1",),
            seed=task.seed,
        )
    return figures


class _Sets:
    """A membership on the sentences that thresholds are chosen on, and on test."""

    def __init__(self, membership: csr_matrix, fitted: IntArray, test: IntArray) -> None:
        self._parts = tuple(
            [members_of(sets, descriptor) for descriptor in range(sets.shape[0])]
            for sets in (indicator(membership[:, own]) for own in (fitted, test))
        )
        self._sizes = (fitted.size, test.size)

    def one(self, descriptor: int) -> tuple[IntArray, IntArray]:
        """Places of the sentences that a descriptor holds for, in both."""
        fitted, test = self._parts
        return fitted[descriptor], test[descriptor]

    def any_of(self, descriptors: Sequence[int]) -> tuple[IntArray, IntArray]:
        """Places of the sentences that one of the descriptors or more hold for, in both."""
        fitted, test = (
            _union([part[descriptor] for descriptor in descriptors], size)
            for part, size in zip(self._parts, self._sizes, strict=True)
        )
        return fitted, test


def _union(parts: Sequence[IntArray], size: int) -> IntArray:
    named = np.zeros(size, dtype=np.bool_)
    for part in parts:
        named[part] = True
    return np.flatnonzero(named)


def _judgeable(
    membership: csr_matrix, rows: SplitRows, settings: ObservationalSettings
) -> BoolArray:
    """Which descriptors have enough members and others on test, and any where they are fitted."""
    test = set_sizes(membership[:, rows.test])
    fitted = set_sizes(membership[:, np.concatenate([rows.discover, rows.validation])])
    enough = np.minimum(test, len(rows.test) - test) >= settings.minimum_members
    return np.asarray(enough & (fitted > 0))


def _scores(
    task: ObservationalTask,
    settings: ObservationalSettings,
    samples: tuple[DescribedTails, ...],
    allowed: BoolArray,
) -> list[ReadingScores]:
    """One pass over the activations for all samples."""
    rows = task.rows
    fitted = np.concatenate([rows.discover, rows.validation])
    shuffled = null_membership(NullKind.SHUFFLED_SENTENCES, task.membership, rows, task.seed)
    true_sets = _Sets(task.membership, fitted, rows.test)
    null_sets = _Sets(shuffled, fitted, rows.test)
    sizes = set_sizes(task.membership[:, rows.discover])
    random = [
        size_matched(
            sample.ranking, sizes, nearest=settings.nearest_sizes, allowed=allowed, seed=task.seed
        )
        for sample in samples
    ]
    scores = [ReadingScores.undefined(len(each), _READINGS, METRICS) for each in samples]
    both = np.concatenate([fitted, rows.test])
    for number, place, column in tail_columns(task.activations, both, samples, task.watch):
        unit = (
            SortedActivations.of(column[: fitted.size]),
            column[fitted.size :],
        )
        own = listed(samples[number].ranking, place)
        scores[number].own[place] = _readings(unit, own, true_sets)
        scores[number].null[place] = _readings(unit, own, null_sets)
        scores[number].baseline[place] = _readings(unit, listed(random[number], place), true_sets)
    return scores


_Unit = tuple[SortedActivations, FloatArray]
"""Activations where thresholds are chosen, and on test."""


def _readings(unit: _Unit, descriptors: IntArray, sets: _Sets) -> DoubleArray:
    """Precision, recall and F1 of each reading (`n_readings, 3`); NaN without descriptors."""
    if not descriptors.size:
        return np.full((len(_READINGS), len(METRICS)), np.nan)
    names = descriptors.tolist()
    single = [_told(unit, sets.one(descriptor)) for descriptor in names]
    best = max(single, key=lambda told: told[0])
    union = single[0] if len(names) == 1 else _told(unit, sets.any_of(names))
    chosen = {FIRST: single[0], UNION: union, BEST: best}
    told = [chosen[reading][1] for reading in _READINGS]
    return np.array([[each.precision, each.recall, each.f1] for each in told])


def _told(unit: _Unit, members: tuple[IntArray, IntArray]) -> tuple[float, Firing]:
    """The best F1 where the threshold is chosen, and what it comes to on test."""
    fitted, test = unit
    threshold, f1 = fitted.best_threshold(members[0])
    return f1, firing(test, threshold, members[1])
