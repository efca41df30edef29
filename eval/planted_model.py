"""The protocol of units planted in the model: weights are edited, and the pipeline must notice.

Chosen feed-forward units of a copy of the subject model are made to respond to one concept each
(`neurons.planting`), read by the ordinary extraction, and matched with the run's catalog and
settings among natural units of the run. A unit is found if its first descriptor is the one it was
planted with (`gold=descriptors`), or means the label it was planted with (`gold=labels`). Only
discover sentences are fitted on. See METHODS 1.5 (a).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from eval.planted_concepts import Concepts, Plantable, catalog_concepts, label_concepts, no_labels
from eval.records import Figure
from indexer.arrays import BoolArray, DoubleArray, IntArray
from indexer.records import Record
from neurons.auroc import indicator, members_of
from neurons.matching import MatchingSettings
from neurons.records import LayerSite, NeuronId, Site
from neurons.split_rows import SplitRows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from descriptors.corpus import Labels

PROTOCOL = "planted_model"
SPLIT = "test"
FEWEST_UNITS = 10

_LARGEST_SHARE = 0.5
_STREAM = 111


class PlantedModelSettings(Record):
    """How units are planted in the model.

    `units` are planted for the catalog and again for each facet of labels, fewer where that would
    plant a concept twice in one layer. A concept is planted if it holds for `minimum_positives`
    sentences or more on discover and on test, and for `maximum_share` of discover at most. Each
    unit is fitted on up to `fitted_positives` discover sentences of its concept and on
    `fitted_others` drawn from all. The edited units are matched among `natural_units` of the run.
    """

    units: int = Field(default=30, ge=FEWEST_UNITS)
    minimum_positives: int = Field(default=20, ge=2)
    maximum_share: float = Field(default=0.5, gt=0.0, lt=1.0)
    fitted_positives: int = Field(default=60, ge=2)
    fitted_others: int = Field(default=1500, ge=20)
    natural_units: int = Field(default=512, ge=20)


@dataclass(frozen=True, kw_only=True)
class PlantedModelTask:
    """A finished run as the protocol sees it.

    Attributes:
        membership: kept descriptors by sentences (`n_descriptors, n_sentences`).
        labels: all labels of the corpus; each facet is planted in units of its own.
        rows: rows of each split.
        matching: settings of the run's matcher, which are used again.
        layers: the layer sites of the run and how many units each has.
        seed: of the draws, the null and the intervals.
        handicaps: AUROC by which each descriptor comes after others in matching (`n_descriptors`);
            none if None.
    """

    membership: csr_matrix
    labels: Labels
    rows: SplitRows
    matching: MatchingSettings
    layers: Mapping[LayerSite, int]
    seed: int
    handicaps: DoubleArray | None = None


@dataclass(frozen=True, eq=False)
class PlantedGroup:
    """Units planted with concepts of one kind.

    Attributes:
        concepts: what is planted.
        units: the places of the group's units among all planted (`n_units`).
        gold: the concept of each of them (`n_units`).
    """

    concepts: Concepts
    units: IntArray
    gold: IntArray


@dataclass(frozen=True, eq=False)
class Plan:
    """What to plant where, and what to fit it on.

    Attributes:
        neurons: the units to edit, ascending.
        groups: who belongs together.
        rows: the discover sentences to fit on, ascending (`n_fitted`).
        members: which of them each unit's concept holds for (`n_neurons, n_fitted`).
        refused: what cannot be planted.
    """

    neurons: tuple[NeuronId, ...]
    groups: tuple[PlantedGroup, ...]
    rows: IntArray
    members: BoolArray
    refused: tuple[Figure, ...]


def plan_planting(task: PlantedModelTask, settings: PlantedModelSettings) -> Plan:
    """Draw concepts, units over all layers, and the sentences to fit on.

    Kinds of concepts that have too little to go on are refused; without any other, or with too few
    feed-forward units, the plan has no neurons.
    """
    plantable = Plantable(
        rows=task.rows,
        matching=task.matching,
        minimum_positives=settings.minimum_positives,
        maximum_share=settings.maximum_share,
        on_test=True,
    )
    kinds = [
        catalog_concepts(task.membership, plantable),
        *(
            label_concepts(task.labels, facet, task.membership, plantable)
            for facet in task.labels.facets
        ),
    ]
    refused = [each for kind in kinds for each in kind.refusal(PROTOCOL, SPLIT, plantable)]
    if not len(task.labels):
        refused.append(no_labels(PROTOCOL, SPLIT))
    kinds = [kind for kind in kinds if not kind.refusal(PROTOCOL, SPLIT, plantable)]
    ffn = {place: units for place, units in task.layers.items() if place.site is Site.FFN}
    room = int(_LARGEST_SHARE * sum(ffn.values())) // max(1, len(kinds))
    if kinds and room < FEWEST_UNITS:
        reason = (
            f"the run has {sum(ffn.values())} units of the {Site.FFN} site, expected "
            f"{round(FEWEST_UNITS * len(kinds) / _LARGEST_SHARE)} or more to plant {FEWEST_UNITS} "
            f"for each of {len(kinds)} kinds of concepts; extract {Site.FFN} of a larger model"
        )
        refused.append(Figure.refused(PROTOCOL, reason, split=SPLIT, n=sum(ffn.values())))
        kinds = []
    refused += [each for kind in kinds for each in _too_alike(kind, len(ffn))]
    kinds = [kind for kind in kinds if not _too_alike(kind, len(ffn))]
    counts = [min(settings.units, room, kind.n_concepts * len(ffn)) for kind in kinds]
    return _drawn(task, settings, kinds, counts, _places(ffn, sum(counts), task.seed), refused)


def _too_alike(concepts: Concepts, n_layers: int) -> list[Figure]:
    """One refused figure if concepts and layers give too few units that are not the same twice."""
    n_different = concepts.n_concepts * n_layers
    if n_different >= FEWEST_UNITS:
        return []
    reason = (
        f"{concepts.n_concepts} concepts in {n_layers} layers give {n_different} different units, "
        f"expected {FEWEST_UNITS} or more; use a deeper model or more concepts"
    )
    refused = Figure.refused(
        PROTOCOL,
        reason,
        variant=concepts.variant,
        split=SPLIT,
        facet=concepts.facet,
        n=n_different,
    )
    return [refused]


def _places(ffn: Mapping[LayerSite, int], n_wanted: int, seed: int) -> tuple[NeuronId, ...]:
    """Units drawn from all layers in turn, in random order."""
    generator = np.random.default_rng([seed, _STREAM, 0])
    orders = [(place, generator.permutation(units).tolist()) for place, units in ffn.items()]
    deepest = max((len(units) for _, units in orders), default=0)
    dealt = [
        NeuronId(place.layer, place.site, units[depth])
        for depth in range(deepest)
        for place, units in orders
        if depth < len(units)
    ]
    return tuple(dealt[:n_wanted])


def _drawn(
    task: PlantedModelTask,
    settings: PlantedModelSettings,
    kinds: list[Concepts],
    counts: list[int],
    places: tuple[NeuronId, ...],
    refused: list[Figure],
) -> Plan:
    generator = np.random.default_rng([task.seed, _STREAM, 1])
    discover = task.rows.discover
    neurons = tuple(sorted(places))
    number = {neuron: place for place, neuron in enumerate(neurons)}
    groups, chosen = [], [generator.permutation(discover)[: settings.fitted_others]]
    holds = np.zeros((len(neurons), task.membership.shape[1]), dtype=np.bool_)
    firsts = np.cumsum([0, *counts]).tolist()
    for concepts, first, last in zip(kinds, firsts, firsts[1:], strict=False):
        own = places[first:last]
        units = np.asarray([number[neuron] for neuron in own], dtype=np.int64)
        order = generator.permutation(concepts.n_concepts)
        n_layers = len({neuron.layer for neuron in own})
        gold = order[_concept_turns(len(own), concepts.n_concepts, n_layers)]
        groups.append(PlantedGroup(concepts, units, gold))
        sets = indicator(concepts.sets)
        for concept in np.unique(gold).tolist():
            members = members_of(sets, concept)
            holds[np.ix_(units[gold == concept], members)] = True
            positives = generator.permutation(np.intersect1d(members, discover))
            chosen.append(positives[: settings.fitted_positives])
    rows = np.unique(np.concatenate(chosen))
    return Plan(neurons, tuple(groups), rows, holds[:, rows], tuple(refused))


def _concept_turns(n_units: int, n_concepts: int, n_layers: int) -> IntArray:
    """Which concept's turn it is for each unit, layers taking turns too (`n_units`).

    Concept and layer together decide what is fitted, so no pair may come twice. Both take turns
    until the pairs would repeat, and then the concepts move on by one.
    """
    turns = np.arange(n_units)
    moved = turns // np.lcm(n_layers, n_concepts)
    return np.asarray((turns + moved) % n_concepts, dtype=np.int64)
