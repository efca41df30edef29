"""The planted-units protocol: are concepts found again in units that were made to respond to them?

With `gold=descriptors` the concepts are descriptors of the catalog, so that the matcher alone is
judged. With `gold=labels` they are hidden labels of a facet and the whole pipeline is judged: a
descriptor is right if it means the label (`eval.meaning`), and a label that no descriptor means
counts as missed. Planted units are matched among as many units without a signal, so that the false
discovery rate has something to hold against. See METHODS 1.5 (a) and 8.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from eval.label_recovery import rankings_of, shuffled_documents
from eval.planted_concepts import (
    Concepts,
    Plantable,
    catalog_concepts,
    label_concepts,
    no_labels,
)
from eval.planted_figures import FEWEST_UNITS, PROTOCOL, SPLIT, PlantedInputs, planted_figures
from eval.planted_units import Noise, draw_gold, gold_numbers, planted_activations, signals
from eval.records import Figure
from indexer.arrays import BoolArray, DoubleArray
from indexer.records import Record
from neurons.auroc import set_sizes
from neurons.matching import MatchingSettings, match_all
from neurons.split_rows import Activations, SplitRows, Watch, unwatched

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from descriptors.corpus import Labels


class PlantedSettings(Record):
    """How units are planted.

    `units` are planted at each strength, among as many without a signal; `strengths` are in
    standard deviations of the noise. `number_shares` are the shares of the units that get 1, 2, …
    gold concepts: 3 on average, as the numbers of Mondal et al. 2024 imply (METHODS 1.1). Concepts
    with fewer than `minimum_positives` sentences on discover are not planted, and the concepts of a
    unit hold for `maximum_share` of the sentences at most.
    """

    units: int = Field(default=300, ge=FEWEST_UNITS)
    strengths: tuple[float, ...] = Field(default=(0.5, 1.0, 1.5, 2.0, 3.0), min_length=1)
    number_shares: tuple[float, ...] = Field(default=(0.1, 0.2, 0.3, 0.4), min_length=1)
    minimum_positives: int = Field(default=20, ge=2)
    maximum_share: float = Field(default=0.5, gt=0.0, lt=1.0)
    ks: tuple[int, ...] = Field(default=(1, 2, 5), min_length=1)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if min(self.strengths) <= 0.0:
            raise ValueError(f"strengths are {self.strengths}, expected more than 0")
        if min(self.number_shares) < 0.0 or abs(sum(self.number_shares) - 1.0) > 1e-9:
            raise ValueError(f"number_shares are {self.number_shares}, expected a sum of 1")
        if min(self.ks) < 1:
            raise ValueError(f"ks are {self.ks}, expected 1 or more")
        return self


@dataclass(frozen=True, kw_only=True)
class PlantedTask:
    """A finished run as the protocol sees it.

    Attributes:
        activations: the neurons whose shuffled columns are the noise.
        membership: kept descriptors by sentences (`n_descriptors, n_sentences`).
        labels: all labels of the corpus; facets are planted one by one.
        rows: rows of each split.
        matching: settings of the run's matcher, which are used again.
        seed: of the noise, the draws, the null and the intervals.
        watch: wraps the blocks of each pass over planted units, for a progress bar.
        handicaps: AUROC by which each descriptor comes after others in matching (`n_descriptors`);
            none if None.
    """

    activations: Activations
    membership: csr_matrix
    labels: Labels
    rows: SplitRows
    matching: MatchingSettings
    seed: int
    watch: Watch = unwatched
    handicaps: DoubleArray | None = None


def planted_units(task: PlantedTask, settings: PlantedSettings) -> list[Figure]:
    """Figures for concepts from the catalog, then for those of each facet of labels.

    `every_concept` figures say how many concepts can be planted, and what share of them some
    descriptor means; for the others see `eval.planted_figures.planted_figures`. A part that has too
    little to go on is refused with its reason.
    """
    noise = Noise.of_real_units(task.activations, task.rows, 2 * settings.units, task.seed)
    if noise.n_units < 2 * FEWEST_UNITS:
        reason = (
            f"found {noise.n_units} neurons that vary, expected {2 * FEWEST_UNITS} or more, whose "
            "shuffled activations are the noise; use a larger model or more sites"
        )
        return [Figure.refused(PROTOCOL, reason, split=SPLIT, n=noise.n_units)]
    plantable = Plantable(
        rows=task.rows,
        matching=task.matching,
        minimum_positives=settings.minimum_positives,
        maximum_share=settings.maximum_share,
    )
    kinds = [
        catalog_concepts(task.membership, plantable),
        *(
            label_concepts(task.labels, facet, task.membership, plantable)
            for facet in task.labels.facets
        ),
    ]
    figures = []
    for concepts in kinds:
        refused = concepts.refusal(PROTOCOL, SPLIT, plantable)
        figures += refused or _planted(task, settings, noise, concepts)
    return figures if len(task.labels) else [*figures, no_labels(PROTOCOL, SPLIT)]


def _planted(
    task: PlantedTask, settings: PlantedSettings, noise: Noise, concepts: Concepts
) -> list[Figure]:
    gold = draw_gold(
        concepts.sets[:, task.rows.discover],
        gold_numbers(noise.n_units // 2, settings.number_shares),
        maximum_overlap=task.matching.maximum_overlap,
        maximum_share=settings.maximum_share,
        seed=task.seed,
    )
    signal = signals(gold, concepts.sets)
    figures = concepts.figures(PROTOCOL, SPLIT)
    for strength in settings.strengths:
        activations = planted_activations(noise, signal, strength)
        variant = f"{concepts.variant} strength={strength:g}"
        inputs = _matched(task, concepts, activations, gold, variant)
        figures += planted_figures(inputs, settings.ks)
    return figures


def _matched(
    task: PlantedTask, concepts: Concepts, activations: Activations, gold: BoolArray, variant: str
) -> PlantedInputs:
    """One pass over the units: catalog, shuffled catalog, and for labels the labels themselves."""
    memberships = [task.membership, shuffled_documents(task.membership, task.rows, task.seed)]
    handicaps = [task.handicaps, task.handicaps]
    if concepts.are_labels:
        memberships.append(concepts.sets)
        handicaps.append(None)
    matched = match_all(
        activations,
        memberships,
        task.rows,
        task.matching,
        task.seed,
        task.watch,
        handicaps=handicaps,
    )
    own, shuffled, *upper = (rankings_of(each) for each in matched)
    return PlantedInputs(
        gold=gold,
        meanings=concepts.meanings,
        contained=concepts.contained,
        rankings=own,
        shuffled=shuffled,
        upper=upper[0] if upper else None,
        descriptor_sizes=set_sizes(task.membership[:, task.rows.discover]),
        variant=variant,
        facet=concepts.facet,
        seed=task.seed,
    )
