"""Label recovery on a finished run: do descriptors that never saw the labels find them again?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from eval.concept_recovery import ConceptInputs, concept_figures, labels_with_a_descriptor
from eval.contributions import contribution_figures
from eval.label_comparison import Comparison, FacetGold, JudgedFacet, compare
from eval.label_comparison import judged_labels as judged_labels
from eval.label_comparison import shuffled_documents as shuffled_documents
from eval.label_recovery_task import LabelRecoverySettings as LabelRecoverySettings
from eval.label_recovery_task import LabelRecoveryTask as LabelRecoveryTask
from eval.label_recovery_task import Population as Population
from eval.mean_figures import mean_figure
from eval.naming import FEWEST_PAIRS
from eval.rankings import N_RANKS as N_RANKS
from eval.rankings import explained_rankings as explained_rankings
from eval.rankings import rankings_of as rankings_of
from eval.records import Figure
from eval.recovery import RecoveryInputs, brief_recovery, label_recovery
from eval.risk_coverage import risk_coverage
from eval.variants import Reading, Variant
from indexer.arrays import IntArray
from neurons.auroc import set_sizes
from neurons.matching import TAILS
from neurons.records import Tail

PROTOCOL = "label_recovery"
JUDGED_LABELS = "judged_labels"
NAMED_DESCRIPTORS = "named_descriptors"
DEFAULTS = LabelRecoverySettings()


def recover_labels(
    task: LabelRecoveryTask,
    settings: LabelRecoverySettings = DEFAULTS,
) -> list[Figure]:
    """The figures of the protocol for every facet, population and tail.

    The variant of a figure ends with its tail and population, and with its layer where it is over
    one layer of a population. Labels too rare to judge, or too common, are not judged;
    `judged_labels` says how many were. What is told of neurons is in `eval.recovery`, of labels in
    `eval.concept_recovery`, of certainty in `eval.risk_coverage`.
    """
    shuffled = shuffled_documents(task.membership, task.rows, task.seed)
    facets = [JudgedFacet.of(name, task, shuffled, settings) for name in task.labels.facets]
    figures = [_judged_figure(facet) for facet in facets]
    judged = [facet for facet in facets if facet.n_judged]
    if not judged:
        return figures
    compared = compare(task, shuffled, judged)
    for facet, gold in zip(judged, compared.gold, strict=True):
        figures += [
            *_naming_figures(task, facet),
            *_neuron_figures(task, facet, gold, compared, settings),
            *_concept_figures(task, facet, gold, compared.usable, settings),
        ]
    return figures


def _judged_figure(facet: JudgedFacet) -> Figure:
    return Figure(
        protocol=PROTOCOL,
        variant=Reading.EVERY_LABEL,
        metric=JUDGED_LABELS,
        split="test",
        facet=facet.name,
        value=float(facet.n_judged),
        n=facet.n_labels,
    )


def _naming_figures(task: LabelRecoveryTask, facet: JudgedFacet) -> list[Figure]:
    """How many descriptors that mean a label say it; null is the share of unrelated pairs."""
    if task.cosines is None:
        return []
    if facet.naming is None or facet.named_meanings is None:
        return [
            Figure.refused(
                PROTOCOL,
                f"fewer than {FEWEST_PAIRS} pairs of a descriptor and a label do not mean each "
                "other, too few to tell which cosine they hardly ever reach; more descriptors or "
                "labels would do",
                metric=NAMED_DESCRIPTORS,
                variant=Reading.EVERY_LABEL,
                split="validation",
                facet=facet.name,
            )
        ]
    means = facet.meanings.any(axis=1)
    figure = mean_figure(
        np.asarray(facet.named_meanings[means].any(axis=1), dtype=np.float64),
        protocol=PROTOCOL,
        variant=Reading.EVERY_LABEL,
        metric=NAMED_DESCRIPTORS,
        split="validation",
        facet=facet.name,
        seed=task.seed,
    )
    return [figure.model_copy(update={"null": facet.naming.share})]


def _neuron_figures(
    task: LabelRecoveryTask,
    facet: JudgedFacet,
    gold: FacetGold,
    compared: Comparison,
    settings: LabelRecoverySettings,
) -> list[Figure]:
    sizes = set_sizes(task.membership[:, task.rows.discover])
    figures: list[Figure] = []
    for number, tail in enumerate(TAILS):
        for population in task.populations:
            neurons = population.neurons
            area = gold.test_auroc[:, neurons]
            inputs = RecoveryInputs(
                test_auroc=area if tail is Tail.POSITIVE else 1.0 - area,
                ranking=task.rankings[number].take(neurons),
                meanings=facet.meanings,
                contained_meanings=facet.contained_meanings,
                descriptor_sizes=sizes,
                shuffled_ranking=compared.shuffled[number].take(neurons),
                upper_ranking=gold.upper[number].take(neurons),
                named_meanings=facet.named_meanings,
                facet=facet.name,
            )
            place = Variant(tail=tail, site=population.name)
            found = [
                *label_recovery(inputs, ks=settings.ks, taus=settings.taus, seed=task.seed),
                *contribution_figures(inputs, task.proposers, taus=settings.taus, seed=task.seed),
                *_certainty(task, inputs, number, neurons, settings),
            ]
            figures += [
                *_placed(found, place),
                *_layer_figures(task, inputs, neurons, place, settings),
            ]
    return figures


def _certainty(
    task: LabelRecoveryTask,
    inputs: RecoveryInputs,
    tail: int,
    neurons: IntArray,
    settings: LabelRecoverySettings,
) -> list[Figure]:
    if task.confidences is None:
        return []
    return risk_coverage(
        inputs,
        task.confidences[tail][neurons],
        taus=settings.coverage_taus,
        coverages=settings.coverages,
        seed=task.seed,
    )


def _layer_figures(
    task: LabelRecoveryTask,
    inputs: RecoveryInputs,
    neurons: IntArray,
    place: Variant,
    settings: LabelRecoverySettings,
) -> list[Figure]:
    """The brief figures of each layer, but for those that no neuron of the layer qualifies for."""
    if task.layers is None:
        return []
    figures: list[Figure] = []
    for layer in np.unique(task.layers[neurons]).tolist():
        own = inputs.take(np.flatnonzero(task.layers[neurons] == layer))
        found = brief_recovery(own, ks=settings.layer_ks, taus=settings.taus, seed=task.seed)
        figures += _placed((each for each in found if each.n), replace(place, layer=layer))
    return figures


def _placed(figures: Iterable[Figure], place: Variant) -> list[Figure]:
    """The figures with the words that say which neurons they are over."""
    placed = []
    for figure in figures:
        variant = replace(
            Variant.parse(figure.variant), tail=place.tail, site=place.site, layer=place.layer
        )
        placed.append(figure.model_copy(update={"variant": str(variant)}))
    return placed


def _concept_figures(
    task: LabelRecoveryTask,
    facet: JudgedFacet,
    gold: FacetGold,
    usable: IntArray,
    settings: LabelRecoverySettings,
) -> list[Figure]:
    own, shuffled = facet.meanings[usable], facet.shuffled_meanings[usable]
    figures = [labels_with_a_descriptor(own, shuffled, facet.name)]
    evidence = gold.concept
    for population in task.populations:
        neurons = population.neurons
        inputs = ConceptInputs(
            gold=evidence.gold.take(neurons),
            descriptors=evidence.descriptors.take(neurons),
            shuffled=evidence.shuffled.take(neurons),
            random=evidence.random.take(neurons),
            labels=evidence.labels.take(neurons),
            neurons=neurons,
            facet=facet.name,
            site=population.name,
        )
        figures += concept_figures(
            inputs,
            task.activations,
            facet.labels,
            task.rows,
            n_best=settings.concept_units,
            seed=task.seed,
        )
    return figures
