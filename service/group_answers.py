"""Neurons that belong together: the group of a neuron, the neurons and groups of a descriptor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from neurons.records import NeuronId, Tail
from service.explained import CarryingGroup, NeuronSet, SetMember

if TYPE_CHECKING:
    from indexer.arrays import BoolArray
    from neurons.group_records import ExplainedGroup
    from neurons.split_rows import SplitRows
    from service.finished_run import FinishedRun

COMBINED_NEURONS = 10
"""How many neurons of a descriptor are read together."""


class CarryingTail(Protocol):
    """A tail that carries a descriptor."""

    @property
    def neuron(self) -> str:
        """The address of its neuron."""
        ...

    @property
    def tail(self) -> Tail:
        """Which end of the neuron it is."""
        ...


def group_of(run: FinishedRun, neuron: NeuronId) -> ExplainedGroup | None:
    """The group that a neuron belongs to, or None where no other neuron moves with it.

    Raises:
        RunError: the run is damaged.
    """
    address = str(neuron)
    groups = run.neuron_groups.groups
    return next((each for each in groups if _has_member(each, address)), None)


def _has_member(group: ExplainedGroup, address: str) -> bool:
    return any(member.neuron == address for member in group.members)


def carrying_groups(run: FinishedRun, descriptor_id: str) -> list[CarryingGroup]:
    """The groups with a tail that a descriptor is a match of, the surest first.

    Raises:
        RunError: the run is damaged.
    """
    found = [
        CarryingGroup(
            group=group.id,
            tail=tail.tail,
            match=match,
            members=group.members,
            coherence=group.coherence,
            null_coherence=group.null_coherence,
        )
        for group in run.neuron_groups.groups
        for tail in group.tails
        for match in tail.matches
        if match.descriptor_id == descriptor_id
    ]
    return sorted(found, key=lambda carrier: carrier.match.evidence)


def neuron_set(run: FinishedRun, number: int, carriers: Sequence[CarryingTail]) -> NeuronSet | None:
    """What the best neurons of a descriptor tell together; None without neurons.

    Args:
        run: the run.
        number: of the descriptor in the catalog.
        carriers: the neurons' tails that carry it, the surest first.

    Raises:
        RunError: the run is damaged.
    """
    from neurons.chosen_neurons import ChosenNeurons
    from neurons.descriptor_neurons import descriptor_neurons
    from neurons.neuron_groups import SignedNeuron

    tails: dict[NeuronId, Tail] = {}
    for carrier in carriers:
        # A neuron has one place in the set: that of its surer tail.
        tails.setdefault(NeuronId.parse(carrier.neuron), carrier.tail)
    holds = np.zeros(len(run.corpus), dtype=np.bool_)
    holds[run.membership[number].indices] = True
    if not tails or not _tells_apart(holds, run.split_rows):
        return None
    chosen = ChosenNeurons.of_store(run.store, tails)
    carrying = tuple(
        SignedNeuron(place, 1 if tails[neuron] is Tail.POSITIVE else -1)
        for place, neuron in enumerate(chosen.neurons)
    )
    found = descriptor_neurons(
        chosen.activations, carrying, holds, run.split_rows, COMBINED_NEURONS
    )
    first = [chosen.neurons[member.neuron] for member in found.members[: found.n_combined]]
    return NeuronSet(
        n_neurons=len(found.members),
        members=tuple(SetMember(neuron=str(neuron), tail=tails[neuron]) for neuron in first),
        combined_auroc=found.combined_auroc,
        single_auroc=found.single_auroc,
    )


def _tells_apart(holds: BoolArray, rows: SplitRows) -> bool:
    """Whether test, and the other splits together, hold sentences of both kinds."""
    fitted = np.concatenate([rows.discover, rows.validation])
    return all(0 < holds[own].sum() < len(own) for own in (fitted, rows.test))
