"""Label recovery of rival matchers: judged as our own explanations are, on the same neurons.

What is gold comes from test, what a descriptor means from validation, and matchers select on
discover and validation; see `eval.label_recovery`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from eval.label_comparison import judged_labels
from eval.label_recovery_task import Population
from eval.matcher_task import MatcherTask, Rankings
from eval.matchers import RivalMatcher
from eval.meaning import contained_meaning, f1_meaning
from eval.records import Figure
from eval.recovery import brief_recovery
from eval.recovery_inputs import RecoveryInputs
from indexer.arrays import BoolArray, DoubleArray, IntArray
from neurons.auroc import auroc_from_ranks, average_ranks, set_sizes
from neurons.matching import TAILS, MatchingSettings
from neurons.records import Tail
from neurons.split_rows import (
    Activations,
    Block,
    SplitRows,
    Watch,
    finite_blocks,
    unwatched,
    wanted_columns,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from descriptors.corpus import Labels

NULL_NEURONS = 1024


@dataclass(frozen=True, eq=False)
class GoldFacet:
    """The labels of a facet that can be judged, and which neurons tell them apart.

    Attributes:
        name: of the facet.
        labels: sentences of each judged label (`n_labels, n_sentences`).
        test_auroc: of each label for each neuron on test (`n_labels, n_neurons`).
    """

    name: str
    labels: csr_matrix
    test_auroc: DoubleArray


@dataclass(frozen=True, kw_only=True)
class Judging:
    """How rankings are judged.

    Attributes:
        rows: rows of each split.
        populations: neurons that are judged together.
        ks: ranks that count.
        taus: AUROC from which on a label is gold.
        seed: of intervals and nulls.
        null_neurons: how many neurons the null is taken over, drawn from all; 0 for none.
    """

    rows: SplitRows
    populations: tuple[Population, ...]
    ks: tuple[int, ...] = (1, 2)
    taus: tuple[float, ...] = (0.8, 0.9)
    seed: int = 0
    null_neurons: int = NULL_NEURONS


def gold_facets(
    activations: Activations,
    labels: Labels,
    rows: SplitRows,
    settings: MatchingSettings,
    minimum_positives: int,
    watch: Watch = unwatched,
) -> tuple[GoldFacet, ...]:
    """Facets with labels that can be judged, measured in one pass over the activations.

    Args:
        activations: all neurons.
        labels: of all facets.
        rows: rows of each split.
        settings: of the run's matcher.
        minimum_positives: test sentences with a label, and without it, that judging it takes.
        watch: wraps the blocks, for a progress bar.

    Raises:
        RunError: an activation is no finite number.
    """
    found = []
    for name in labels.facets:
        own = labels.facet(name)
        judged = np.flatnonzero(judged_labels(own, rows, settings, minimum_positives))
        if len(judged):
            found.append((name, own.membership[judged]))
    areas: list[list[DoubleArray]] = [[] for _ in found]
    if found:
        for block in finite_blocks(activations, watch):
            ranks = average_ranks(block[rows.test])
            for area, (_, sets) in zip(areas, found, strict=True):
                area.append(auroc_from_ranks(ranks, sets[:, rows.test]))
    return tuple(
        GoldFacet(name, sets, np.concatenate(area, axis=1))
        for area, (name, sets) in zip(areas, found, strict=True)
    )


@dataclass(frozen=True, eq=False)
class RivalRecovery:
    """Figures of a rival matcher, and the seconds it took to rank for all neurons."""

    figures: list[Figure]
    seconds: float


def rival_recovery(
    rival: RivalMatcher, task: MatcherTask, facets: Sequence[GoldFacet], judging: Judging
) -> RivalRecovery:
    """Precision and recall of a rival matcher for every facet, population and tail.

    Their `null` is taken over the neurons that qualify among `judging.null_neurons` drawn ones, for
    which the matcher was given shuffled sentences. `baseline` is the commonest descriptors, or
    labels where the matcher ranks those.

    Args:
        rival: the matcher.
        task: with the descriptors of the run; labels take their place where the matcher sees them.
        facets: gold, see `gold_facets`.
        judging: how.

    Raises:
        ValueError: the matcher compares texts and the task has no vectors.
        RunError: an activation is no finite number.
    """
    everyone = np.arange(task.activations.n_neurons)
    sample = _sampled(task, judging)
    figures: list[Figure] = []
    seconds = 0.0
    ranked: _Ranked | None = None
    for facet in facets:
        if ranked is None or rival.sees_labels:
            ranked = _ranked(rival, task, sample, facet, judging.seed)
            seconds += ranked.seconds
        judge = _Judge(facet, judging, *_meanings(rival, task, facet))
        nulls = {}
        if sample is not None and ranked.null is not None:
            nulls = {_key(each): each.value for each in judge.figures(ranked.null, sample.neurons)}
        figures += [
            each.model_copy(update={"null": nulls.get(_key(each))})
            for each in judge.figures(ranked.rankings, everyone)
        ]
    return RivalRecovery(figures, seconds)


@dataclass(frozen=True, eq=False)
class _Sample:
    """Some neurons of a task, and which they are (`n_sampled`)."""

    task: MatcherTask
    neurons: IntArray


@dataclass(frozen=True, eq=False)
class _Ranked:
    """What a matcher ranked for all neurons, and for shuffled sentences of the sample."""

    rankings: Rankings
    null: Rankings | None
    seconds: float


def _ranked(
    rival: RivalMatcher, task: MatcherTask, sample: _Sample | None, facet: GoldFacet, seed: int
) -> _Ranked:
    def told(own: MatcherTask) -> MatcherTask:
        if not rival.sees_labels:
            return own
        return replace(own, membership=facet.labels, descriptor_vectors=None)

    began = time.perf_counter()
    rankings = rival.rank(told(task))
    seconds = time.perf_counter() - began
    null = None if sample is None else rival.rank(told(sample.task).shuffled(seed))
    return _Ranked(rankings, null, seconds)


@dataclass(frozen=True, eq=False)
class _Judge:
    """Judges rankings against one facet; see `eval.recovery.RecoveryInputs` for the arrays."""

    facet: GoldFacet
    judging: Judging
    meanings: BoolArray
    contained: BoolArray
    sizes: IntArray

    def figures(self, rankings: Rankings, neurons: IntArray) -> list[Figure]:
        """Headline precision and recall; the rankings are those of `neurons`, which rise."""
        found = []
        for tail, ranking in zip(TAILS, rankings, strict=True):
            for population in self.judging.populations:
                chosen = np.flatnonzero(np.isin(neurons, population.neurons))
                area = self.facet.test_auroc[:, neurons[chosen]]
                inputs = RecoveryInputs(
                    test_auroc=area if tail is Tail.POSITIVE else 1.0 - area,
                    ranking=ranking.take(chosen),
                    meanings=self.meanings,
                    contained_meanings=self.contained,
                    descriptor_sizes=self.sizes,
                    facet=self.facet.name,
                )
                where = f"tail={tail.value} site={population.name}"
                found += [
                    figure.model_copy(update={"variant": f"{figure.variant} {where}"})
                    for figure in brief_recovery(
                        inputs,
                        ks=self.judging.ks,
                        taus=self.judging.taus,
                        seed=self.judging.seed,
                    )
                    if figure.metric in ("P", "R")
                ]
        return found


def _meanings(
    rival: RivalMatcher, task: MatcherTask, facet: GoldFacet
) -> tuple[BoolArray, BoolArray, IntArray]:
    """What descriptors mean in both readings, and their sizes; a label means itself."""
    rows = task.rows
    if rival.sees_labels:
        itself = np.eye(facet.labels.shape[0], dtype=np.bool_)
        return itself, itself, set_sizes(facet.labels[:, rows.discover])
    own, labels = task.membership[:, rows.validation], facet.labels[:, rows.validation]
    sizes = set_sizes(task.membership[:, rows.discover])
    return f1_meaning(own, labels).means, contained_meaning(own, labels).means, sizes


def _sampled(task: MatcherTask, judging: Judging) -> _Sample | None:
    n_neurons = task.activations.n_neurons
    n_wanted = min(judging.null_neurons, n_neurons)
    if n_wanted == 0:
        return None
    drawn = np.random.default_rng(judging.seed).permutation(n_neurons)[:n_wanted]
    neurons = np.sort(drawn)
    return _Sample(
        replace(task, activations=_taken(task.activations, neurons), layers=task.layers[neurons]),
        neurons,
    )


def _taken(activations: Activations, neurons: IntArray) -> Activations:
    """Some neurons of all, held in memory."""
    wanted = np.zeros(activations.n_neurons, dtype=np.bool_)
    wanted[neurons] = True
    every = np.arange(activations.n_sentences)
    held: Block = np.concatenate(
        [values for _, values in wanted_columns(activations, every, wanted)], axis=1
    )
    return Activations(
        n_neurons=len(neurons),
        n_sentences=activations.n_sentences,
        blocks=lambda units: (
            held[:, first : first + units] for first in range(0, held.shape[1], units)
        ),
        name=lambda number: activations.name(int(neurons[number])),
    )


def _key(figure: Figure) -> tuple[str, str, int | None]:
    return figure.variant, figure.metric, figure.k
