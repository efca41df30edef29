"""One pass over the neurons for all that label recovery compares explanations with.

These are gold (what the labels tell on test), the null (descriptors of shuffled sentences), the
upper bound (labels as descriptors), and the evidence of the concept side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from descriptors.corpus import Labels, label_facet
from eval.concept_recovery import ConceptSets
from eval.concept_units import Evidence, EvidenceCollector, statistic_of_tails
from eval.label_recovery_task import LabelRecoverySettings, LabelRecoveryTask
from eval.meaning import contained_meaning, f1_meaning
from eval.metrics import Ranking
from eval.naming import NamingThreshold, naming_threshold
from eval.rankings import rankings_of
from indexer.arrays import BoolArray, DoubleArray, IntArray
from neurons.auroc import indicator, set_sizes
from neurons.match_block import JudgeableSets, SplitAreas, match_block, split_areas
from neurons.matching import Matcher, MatchingSettings, judgeable
from neurons.null import shuffled_order
from neurons.split_rows import SplitRanks, SplitRows, ranked_blocks

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def judged_labels(
    labels: Labels, rows: SplitRows, settings: MatchingSettings, minimum_positives: int = 0
) -> BoolArray:
    """Labels that the matcher could judge as descriptors (`n_labels`).

    Only these have an upper bound, so only these are gold. `minimum_positives` asks for more test
    sentences with the label, and without it, than the matcher does.
    """
    return judgeable(labels.membership, rows, settings, minimum_positives)


def shuffled_documents(membership: csr_matrix, rows: SplitRows, seed: int) -> csr_matrix:
    """The membership with its sentences dealt to other documents of the same split.

    Matching it against the activations is matching shuffled activations against the membership.
    """
    return membership[:, shuffled_order(rows, membership.shape[1], seed)]


@dataclass(frozen=True, eq=False)
class JudgedFacet:
    """The labels of a facet that can be judged, and the descriptors that mean them.

    Attributes:
        name: of the facet.
        n_labels: how many labels it has, judged or not.
        labels: sentences of the judged ones (`n_labels, n_sentences`).
        meanings: the label each descriptor means (`n_descriptors, n_labels`).
        contained_meanings: the second reading of it.
        shuffled_meanings: the label each descriptor means after its sentences were shuffled.
        named_meanings: those of `meanings` that the descriptor also says, if that was measured.
        naming: the cosine from which on it does.
    """

    name: str
    n_labels: int
    labels: csr_matrix
    meanings: BoolArray
    contained_meanings: BoolArray
    shuffled_meanings: BoolArray
    named_meanings: BoolArray | None = None
    naming: NamingThreshold | None = None

    @classmethod
    def of(
        cls,
        name: str,
        task: LabelRecoveryTask,
        shuffled: csr_matrix,
        settings: LabelRecoverySettings,
    ) -> JudgedFacet:
        """The facet `name` of a task, `shuffled` being `shuffled_documents` of its membership."""
        facet = task.labels.facet(name)
        judged = judged_labels(facet, task.rows, task.settings, settings.minimum_positives)
        labels = facet.membership[np.flatnonzero(judged)]
        validation = task.rows.validation
        own, held_out = task.membership[:, validation], labels[:, validation]
        means = f1_meaning(own, held_out).means
        contained = contained_meaning(own, held_out).means
        found = cls(
            name=name,
            n_labels=len(facet),
            labels=labels,
            meanings=means,
            contained_meanings=contained,
            shuffled_meanings=f1_meaning(shuffled[:, validation], held_out).means,
        )
        if task.cosines is None:
            return found
        of_facet = np.array([label_facet(each) == name for each in task.labels.names])
        cosines = task.cosines[:, np.flatnonzero(of_facet)[judged]]
        naming = naming_threshold(cosines, means | contained, settings.naming_share)
        named = None if naming is None else means & (cosines > naming.cosine)
        return replace(found, named_meanings=named, naming=naming)

    @property
    def n_judged(self) -> int:
        """How many of the labels can be judged."""
        return int(self.labels.shape[0])


@dataclass(frozen=True, eq=False)
class ConceptEvidence:
    """Evidence on all neurons for each judged label, without test but for `gold`."""

    gold: Evidence
    descriptors: Evidence
    shuffled: Evidence
    random: Evidence
    labels: Evidence


@dataclass(frozen=True, eq=False)
class FacetGold:
    """Test AUROC of a facet's labels for every neuron, and the labels matched as descriptors.

    Attributes:
        test_auroc: `n_labels, n_neurons`.
        upper: the rankings of labels, for each of `TAILS`.
        concept: which units carry each label.
    """

    test_auroc: DoubleArray
    upper: tuple[Ranking, Ranking]
    concept: ConceptEvidence


@dataclass(frozen=True, eq=False)
class Comparison:
    """What explanations are compared with.

    Attributes:
        shuffled: the rankings of shuffled descriptors, for each of `TAILS`.
        usable: the descriptors that the matcher could judge, by their rows in the membership.
        gold: one for each facet.
    """

    shuffled: tuple[Ranking, Ranking]
    usable: IntArray
    gold: tuple[FacetGold, ...]


def compare(
    task: LabelRecoveryTask, shuffled: csr_matrix, facets: Sequence[JudgedFacet]
) -> Comparison:
    """Null, upper bounds, gold and evidence in one pass over the activations."""
    null = Matcher(
        task.activations,
        shuffled,
        task.rows,
        task.settings,
        task.seed,
        handicaps=task.handicaps,
    )
    # Shuffling within splits keeps the sizes, so the same descriptors can be judged.
    own = _sets_like(null.sets, task.membership, task.rows)
    collectors = [_FacetCollector(task, facet, null.sets) for facet in facets]
    for ranks in ranked_blocks(task.activations, task.rows, task.watch):
        null_areas = split_areas(ranks, null.sets)
        null.take(match_block(ranks, null.sets, task.settings, null_areas))
        tails = _Tails(
            statistic_of_tails(split_areas(ranks, own), own, task.settings),
            statistic_of_tails(null_areas, null.sets, task.settings),
        )
        for each in collectors:
            each.add(ranks, tails)
    return Comparison(
        rankings_of(null.result()), null.sets.rows, tuple(each.result() for each in collectors)
    )


def _sets_like(sets: JudgeableSets, membership: csr_matrix, rows: SplitRows) -> JudgeableSets:
    """The same rows of another membership; what else there is must not be relied on."""
    own = membership[sets.rows]
    discover, validation, test = (
        indicator(own[:, each]) for each in (rows.discover, rows.validation, rows.test)
    )
    return replace(sets, discover=discover, validation=validation, test=test)


@dataclass(frozen=True, eq=False)
class _Tails:
    """The matcher's statistic of a block, for descriptors as they are and shuffled."""

    own: tuple[DoubleArray, DoubleArray]
    shuffled: tuple[DoubleArray, DoubleArray]


class _FacetCollector:
    """Gold, upper bound and evidence of one facet, block by block."""

    def __init__(self, task: LabelRecoveryTask, facet: JudgedFacet, sets: JudgeableSets) -> None:
        self._settings = task.settings
        self._upper = Matcher(task.activations, facet.labels, task.rows, task.settings, task.seed)
        discover = task.rows.discover
        stand = ConceptSets.draw(
            facet.meanings[sets.rows],
            (facet.meanings | facet.contained_meanings)[sets.rows],
            set_sizes(task.membership[sets.rows][:, discover]),
            set_sizes(facet.labels[:, discover]),
            task.seed,
        )
        self._descriptors = EvidenceCollector(stand.descriptors)
        self._shuffled = EvidenceCollector(stand.shuffled)
        self._random = EvidenceCollector(stand.random)
        self._labels = EvidenceCollector([np.array([label]) for label in range(facet.n_judged)])
        self._areas: list[DoubleArray] = []

    def add(self, ranks: SplitRanks, tails: _Tails) -> None:
        """The next block of neurons."""
        areas: SplitAreas = split_areas(ranks, self._upper.sets)
        self._upper.take(match_block(ranks, self._upper.sets, self._settings, areas))
        self._labels.add(statistic_of_tails(areas, self._upper.sets, self._settings))
        self._descriptors.add(tails.own)
        self._random.add(tails.own)
        self._shuffled.add(tails.shuffled)
        self._areas.append(areas.test)

    def result(self) -> FacetGold:
        area = np.concatenate(self._areas, axis=1)
        evidence = ConceptEvidence(
            Evidence.of_auroc(area),
            self._descriptors.result(),
            self._shuffled.result(),
            self._random.result(),
            self._labels.result(),
        )
        return FacetGold(area, rankings_of(self._upper.result()), evidence)
