"""Label recovery on a finished run: do descriptors that never saw the labels find them again?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eval.contributions import contribution_figures
from eval.meaning import contained_meaning, f1_meaning
from eval.metrics import Ranking
from eval.records import Figure
from eval.recovery import RecoveryInputs, label_recovery
from indexer.arrays import BoolArray, DoubleArray, IntArray
from neurons.auroc import auroc_from_ranks, set_sizes
from neurons.matching import TAILS, Matcher, Matches, MatchingSettings
from neurons.null import permuted_rows
from neurons.records import Explanation, Tail
from neurons.split_rows import Activations, SplitRows, Watch, ranked_blocks, unwatched

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from descriptors.corpus import Labels

PROTOCOL = "label_recovery"
N_RANKS = 5


@dataclass(frozen=True)
class Population:
    """Neurons that are judged together, for example those of one site (`n_judged`)."""

    name: str
    neurons: IntArray


@dataclass(frozen=True)
class LabelRecoveryTask:
    """A finished run as the protocol sees it.

    Attributes:
        activations: the neurons whose explanations are judged.
        membership: kept descriptors by sentences (`n_descriptors, n_sentences`).
        rankings: the run's ranked descriptors of every neuron, one ranking for each of `TAILS`.
        populations: which neurons are judged together.
        labels: all labels of the corpus; facets are judged one by one.
        rows: rows of each split.
        settings: of the run's matcher, used again for null and upper bound.
        seed: of the null and the bootstrap.
        proposers: who proposed each kept descriptor, in order; empty to leave out what the
            proposers contributed.
        watch: wraps the blocks of each pass over the activations, for a progress bar.
    """

    activations: Activations
    membership: csr_matrix
    rankings: tuple[Ranking, Ranking]
    populations: tuple[Population, ...]
    labels: Labels
    rows: SplitRows
    settings: MatchingSettings
    seed: int
    proposers: tuple[str, ...] = ()
    watch: Watch = unwatched


def rankings_of(matches: Matches, n_ranks: int = N_RANKS) -> tuple[Ranking, Ranking]:
    """The ranked descriptors of every neuron for each of `TAILS`; abstentions have length 0."""
    return (_ranking(matches, 0, n_ranks), _ranking(matches, 1, n_ranks))


def _ranking(matches: Matches, tail: int, n_ranks: int) -> Ranking:
    n_neurons = len(matches.constant)
    own = np.flatnonzero((matches.tail == tail) & (matches.rank <= n_ranks))
    lengths = np.bincount(matches.neuron[own], minlength=n_neurons)
    descriptors = np.zeros((n_neurons, n_ranks), dtype=np.int64)
    descriptors[matches.neuron[own], matches.rank[own] - 1] = matches.descriptor[own]
    return Ranking(descriptors, lengths.astype(np.int64))


def explained_rankings(
    explanations: Sequence[Explanation], descriptor_ids: Sequence[str], n_ranks: int = N_RANKS
) -> tuple[Ranking, Ranking]:
    """The rankings that explanations hold, neurons in their order, for each of `TAILS`.

    Raises:
        ValueError: an explanation names a descriptor that is not in the catalog.
    """
    place = {identifier: number for number, identifier in enumerate(descriptor_ids)}
    rankings = []
    for tail in TAILS:
        own = [explanation for explanation in explanations if explanation.tail is tail]
        descriptors = np.zeros((len(own), n_ranks), dtype=np.int64)
        lengths = np.zeros(len(own), dtype=np.int64)
        for neuron, explanation in enumerate(own):
            shown = explanation.matches[:n_ranks]
            lengths[neuron] = len(shown)
            for rank, found in enumerate(shown):
                if found.descriptor_id not in place:
                    raise ValueError(f"{found.descriptor_id} is not in the catalog")
                descriptors[neuron, rank] = place[found.descriptor_id]
        rankings.append(Ranking(descriptors, lengths))
    return (rankings[0], rankings[1])


def judged_labels(labels: Labels, rows: SplitRows, settings: MatchingSettings) -> BoolArray:
    """Labels that the matcher could judge as descriptors (`n_labels`).

    Only these have an upper bound, so only these are gold.
    """
    least = (settings.minimum_discover, settings.minimum_held_out, settings.minimum_held_out)
    judged = np.ones(len(labels), dtype=bool)
    for own, minimum in zip((rows.discover, rows.validation, rows.test), least, strict=True):
        sizes = set_sizes(labels.membership[:, own])
        judged &= (sizes >= minimum) & (len(own) - sizes >= minimum)
    return judged


def shuffled_documents(membership: csr_matrix, rows: SplitRows, seed: int) -> csr_matrix:
    """The membership with its sentences dealt to other documents of the same split.

    Matching it against the activations is matching shuffled activations against the membership.
    """
    generator = np.random.default_rng(seed)
    columns = np.arange(membership.shape[1])
    for own in (rows.discover, rows.validation, rows.test):
        columns[own] = own[permuted_rows(rows.documents[own], generator)]
    return membership[:, columns]


def recover_labels(
    task: LabelRecoveryTask,
    ks: tuple[int, ...] = (1, 2, 5),
    taus: tuple[float, ...] = (0.8, 0.9),
) -> list[Figure]:
    """The figures of the protocol for every facet, population and tail.

    The variant of a figure ends with its tail and population. Labels too rare for the matcher, or
    too common, are not judged; `judged_labels` says how many were.
    """
    facets = [_judged_facet(task, name) for name in task.labels.facets]
    figures = [_judged_figure(facet) for facet in facets]
    judged = [facet for facet in facets if facet.n_judged]
    if not judged:
        return figures
    compared = _compare(task, [facet.gold_sets for facet in judged])
    for facet, gold in zip(judged, compared.gold, strict=True):
        figures += _facet_figures(task, facet, gold, compared.shuffled, ks, taus)
    return figures


@dataclass(frozen=True)
class _Facet:
    name: str
    n_labels: int
    gold_sets: csr_matrix

    @property
    def n_judged(self) -> int:
        return int(self.gold_sets.shape[0])


@dataclass(frozen=True)
class _Gold:
    """Test AUROC of a facet's labels for every neuron, and the labels matched as descriptors."""

    test_auroc: DoubleArray
    upper: tuple[Ranking, Ranking]


@dataclass(frozen=True)
class _Compared:
    shuffled: tuple[Ranking, Ranking]
    gold: tuple[_Gold, ...]


def _judged_facet(task: LabelRecoveryTask, name: str) -> _Facet:
    labels = task.labels.facet(name)
    judged = np.flatnonzero(judged_labels(labels, task.rows, task.settings))
    return _Facet(name, len(labels), labels.membership[judged])


def _judged_figure(facet: _Facet) -> Figure:
    return Figure(
        protocol=PROTOCOL,
        variant="every_label",
        metric="judged_labels",
        split="test",
        facet=facet.name,
        value=float(facet.n_judged),
        n=facet.n_labels,
    )


def _compare(task: LabelRecoveryTask, gold_sets: list[csr_matrix]) -> _Compared:
    """Null, upper bounds and gold AUROC in one pass over the activations."""

    def matcher(membership: csr_matrix) -> Matcher:
        return Matcher(task.activations, membership, task.rows, task.settings, task.seed)

    shuffled = matcher(shuffled_documents(task.membership, task.rows, task.seed))
    upper = [matcher(sets) for sets in gold_sets]
    on_test = [sets[:, task.rows.test] for sets in gold_sets]
    areas: list[list[DoubleArray]] = [[] for _ in gold_sets]
    for ranks in ranked_blocks(task.activations, task.rows, task.watch):
        for each in (shuffled, *upper):
            each.add(ranks)
        for own, sets in zip(areas, on_test, strict=True):
            own.append(auroc_from_ranks(ranks.test, sets))
    gold = [
        _Gold(np.concatenate(own, axis=1), rankings_of(each.result()))
        for own, each in zip(areas, upper, strict=True)
    ]
    return _Compared(rankings_of(shuffled.result()), tuple(gold))


def _facet_figures(
    task: LabelRecoveryTask,
    facet: _Facet,
    gold: _Gold,
    shuffled: tuple[Ranking, Ranking],
    ks: tuple[int, ...],
    taus: tuple[float, ...],
) -> list[Figure]:
    validation = task.rows.validation
    own, sets = task.membership[:, validation], facet.gold_sets[:, validation]
    meanings, contained = f1_meaning(own, sets).means, contained_meaning(own, sets).means
    sizes = set_sizes(task.membership[:, task.rows.discover])
    figures: list[Figure] = []
    for number, tail in enumerate(TAILS):
        for population in task.populations:
            neurons = population.neurons
            area = gold.test_auroc[:, neurons]
            inputs = RecoveryInputs(
                test_auroc=area if tail is Tail.POSITIVE else 1.0 - area,
                ranking=task.rankings[number].take(neurons),
                meanings=meanings,
                contained_meanings=contained,
                descriptor_sizes=sizes,
                shuffled_ranking=shuffled[number].take(neurons),
                upper_ranking=gold.upper[number].take(neurons),
                facet=facet.name,
            )
            found = [
                *label_recovery(inputs, ks=ks, taus=taus, seed=task.seed),
                *contribution_figures(inputs, task.proposers, taus=taus, seed=task.seed),
            ]
            where = f"tail={tail.value} site={population.name}"
            figures += [
                figure.model_copy(update={"variant": f"{figure.variant} {where}"})
                for figure in found
            ]
    return figures
