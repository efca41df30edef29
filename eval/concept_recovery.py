"""The concept side of label recovery: are the units of a label found by its descriptors?

A facet may have labels that no single neuron carries strongly. Here the question is turned round:
for each label, gold are the units of highest test AUROC for it, and predicted are the units that
the matcher fits best, on discover and validation, to the descriptors that mean the label. A label
without a descriptor scores zero, and one half where AUROC is asked for, which is what knowing
nothing gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eval.concept_units import Evidence, Picked, combined_auroc
from eval.mean_figures import mean_figure
from eval.measures import Measure
from eval.records import Figure
from eval.variants import Reading, Variant
from indexer.arrays import BoolArray, DoubleArray, IntArray
from neurons.split_rows import Activations, SplitRows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PROTOCOL = "label_recovery"
LABELS_WITH_A_DESCRIPTOR = "labels_with_a_descriptor"

_SPEARMAN = Measure("Spearman")
_NEAREST_IN_SIZE = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class ConceptInputs:
    """What the labels of a facet are judged on, for the units of one site.

    Attributes:
        gold: evidence from the labels on test.
        descriptors: evidence from the descriptors that mean each label.
        shuffled: the same after the sentences of those descriptors were dealt to other documents.
        random: evidence from descriptors of the same sizes that do not mean the label.
        labels: evidence from the labels themselves, the upper bound.
        neurons: which neurons the units are (`n_units`).
        facet: which labels these are.
        site: where the units sit.
    """

    gold: Evidence
    descriptors: Evidence
    shuffled: Evidence
    random: Evidence
    labels: Evidence
    neurons: IntArray
    facet: str
    site: str

    @property
    def predicted(self) -> tuple[Evidence, Evidence, Evidence, Evidence]:
        """Evidence without test: descriptors, null, baseline and upper bound."""
        return (self.descriptors, self.shuffled, self.random, self.labels)


@dataclass(frozen=True, eq=False)
class ConceptSets:
    """Places of the descriptors that stand for each label, among the judgeable ones.

    Attributes:
        descriptors: those that mean it.
        shuffled: whose shuffled sentences are the null: the same, or a random one if there is none.
        random: as many others of the same sizes, or one of the label's size.
    """

    descriptors: tuple[IntArray, ...]
    shuffled: tuple[IntArray, ...]
    random: tuple[IntArray, ...]

    @classmethod
    def draw(
        cls, means: BoolArray, related: BoolArray, sizes: IntArray, label_sizes: IntArray, seed: int
    ) -> ConceptSets:
        """Choose the descriptors that stand for each label.

        Args:
            means: the label each judgeable descriptor means (`n_descriptors, n_labels`).
            related: labels that it has to do with in any reading; of the same shape.
            sizes: members of each descriptor on discover (`n_descriptors`).
            label_sizes: members of each label on discover (`n_labels`).
            seed: of the random descriptors, each drawn from the ten unrelated ones of the nearest
                size; there may be none.
        """
        generator = np.random.default_rng(seed)
        own, shuffled, random = [], [], []
        for label, size in enumerate(label_sizes):
            meant = np.flatnonzero(means[:, label])
            unrelated = np.flatnonzero(~related[:, label] & ~means[:, label])
            drawn = []
            for wanted in sizes[meant] if meant.size else [size]:
                nearest = np.argsort(np.abs(sizes[unrelated] - wanted), kind="stable")
                pool = unrelated[nearest[:_NEAREST_IN_SIZE]]
                drawn += [int(generator.choice(pool))] if pool.size else []
            own.append(meant)
            random.append(np.array(drawn, dtype=np.int64))
            shuffled.append(meant if meant.size else random[-1])
        return cls(tuple(own), tuple(shuffled), tuple(random))


def labels_with_a_descriptor(means: BoolArray, shuffled_means: BoolArray, facet: str) -> Figure:
    """How many labels some judgeable descriptor means; `null` counts them for shuffled sentences.

    `n` counts the labels.
    """
    return Figure(
        protocol=PROTOCOL,
        variant=Reading.CONCEPT,
        metric=LABELS_WITH_A_DESCRIPTOR,
        split="validation",
        facet=facet,
        value=float(means.any(axis=0).sum()),
        null=float(shuffled_means.any(axis=0).sum()),
        n=means.shape[1],
    )


def concept_figures(
    inputs: ConceptInputs,
    activations: Activations,
    labels: csr_matrix,
    rows: SplitRows,
    *,
    n_best: int = 50,
    seed: int,
) -> list[Figure]:
    """How well the units of each label are found, averaged over the labels of a facet.

    All have the variant `concept site=S` and average over labels; `null` is the prediction from
    shuffled descriptors, `baseline` that from random ones of the same size, and `concept
    upper_bound` the prediction from the labels themselves on discover and validation:

    * P@n_best, the share of the best predicted units that are gold; `concept chance` is what units
      drawn at random have;
    * Spearman, of the predicted fit and the test AUROC of all units;
    * AUROC@n_best, which the mean of the predicted units' standardised activations reaches on test,
      and AUROC@1, of the best predicted unit alone.

    Refused for a site of fewer than twice `n_best` units, of which half would be gold.

    Args:
        inputs: evidence on the units.
        activations: all neurons.
        labels: sentences of each label (`n_labels, n_sentences`).
        rows: rows of each split.
        n_best: units of a label.
        seed: of the bootstrap.
    """
    n_units = inputs.neurons.size
    if n_units < 2 * n_best:
        return [_too_few_units(inputs, n_best)]
    gold = inputs.gold.best(n_best)
    picked = [each.best(n_best) for each in inputs.predicted]
    combined = combined_auroc(activations, inputs.neurons, picked, labels, rows)
    found: list[tuple[str, int | None, list[DoubleArray]]] = [
        ("P", n_best, [_precision(gold, each, n_units) for each in picked]),
        ("Spearman", None, [_correlations(each, inputs.gold) for each in inputs.predicted]),
        ("AUROC", n_best, list(combined)),
        ("AUROC", 1, [_single_auroc(each, inputs.gold) for each in picked]),
    ]

    def figure(reading: Reading, metric: str, k: int | None, *values: DoubleArray) -> Figure:
        return mean_figure(
            values[0],
            protocol=PROTOCOL,
            variant=str(Variant(reading, site=inputs.site)),
            metric=metric,
            k=k,
            facet=inputs.facet,
            null=values[1] if len(values) > 1 else None,
            baseline=values[2] if len(values) > 1 else None,
            seed=seed,
        )

    figures = []
    for metric, k, (own, null, baseline, upper) in found:
        figures.append(figure(Reading.CONCEPT, metric, k, own, null, baseline))
        figures.append(figure(Reading.CONCEPT_UPPER_BOUND, metric, k, upper))
    chance = np.full(len(gold.units), n_best / n_units)
    return [*figures, figure(Reading.CONCEPT_CHANCE, "P", n_best, chance)]


def _too_few_units(inputs: ConceptInputs, n_best: int) -> Figure:
    return Figure.refused(
        PROTOCOL,
        f"{inputs.site} has {inputs.neurons.size} units, expected at least {2 * n_best} to find "
        f"{n_best} among them; fewer `concept_units` would do",
        metric="P",
        variant=str(Variant(Reading.CONCEPT, site=inputs.site)),
        k=n_best,
        facet=inputs.facet,
        n=inputs.neurons.size,
    )


def _precision(gold: Picked, predicted: Picked, n_units: int) -> DoubleArray:
    """Share of the predicted units that are gold, for each label; tails do not count."""
    n_labels, n_best = gold.units.shape
    is_gold = np.zeros((n_labels, n_units), dtype=np.bool_)
    np.put_along_axis(is_gold, gold.units, True, axis=1)
    hits = np.take_along_axis(is_gold, predicted.units, axis=1) & predicted.known[:, None]
    return Measure("P", n_best).per_neuron(hits, np.full(n_labels, n_best))


def _correlations(predicted: Evidence, gold: Evidence) -> DoubleArray:
    """Rank correlation over units for each label, but for those where it is undefined."""
    found = [
        _SPEARMAN.of(fit, area) if known else 0.0
        for fit, area, known in zip(predicted.fit, gold.fit, predicted.known, strict=True)
    ]
    return np.array([each for each in found if each is not None], dtype=np.float64)


def _single_auroc(predicted: Picked, gold: Evidence) -> DoubleArray:
    """Test AUROC of the best predicted unit by its predicted tail, for each label."""
    labels, first = np.arange(len(predicted.units)), predicted.units[:, 0]
    area = gold.fit[labels, first].astype(np.float64)
    same_tail = gold.negative[labels, first] == predicted.negative[:, 0]
    return np.where(predicted.known, np.where(same_tail, area, 1.0 - area), 0.5)
