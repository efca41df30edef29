"""Neurons that belong together: the group of a neuron, the neurons and groups of a descriptor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from neurons.records import NeuronId, Tail
from service.explained import CarryingGroup, NeuronSet, SetMember

if TYPE_CHECKING:
    from neurons.group_records import ExplainedGroup
    from neurons.store import HalfArray
    from service.finished_run import FinishedRun

COMBINED_NEURONS = 10
"""How many neurons of a descriptor are read together."""


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


def carrying_groups(run: FinishedRun) -> dict[str, tuple[CarryingGroup, ...]]:
    """By the identifier of a descriptor, the groups with a tail it is a match of, surest first.

    Raises:
        RunError: the run is damaged.
    """
    found: defaultdict[str, list[CarryingGroup]] = defaultdict(list)
    for group in run.neuron_groups.groups:
        for tail in group.tails:
            for match in tail.matches:
                carrier = CarryingGroup(
                    group=group.id,
                    tail=tail.tail,
                    match=match,
                    members=group.members,
                    coherence=group.coherence,
                    null_coherence=group.null_coherence,
                )
                found[match.descriptor_id].append(carrier)
    return {
        descriptor: tuple(sorted(carriers, key=lambda carrier: carrier.match.evidence))
        for descriptor, carriers in found.items()
    }


def neuron_set(
    run: FinishedRun, number: int, carriers: Iterable[tuple[NeuronId, Tail]]
) -> NeuronSet | None:
    """What the surest neurons of a descriptor tell together; None without neurons.

    Args:
        run: the run.
        number: of the descriptor in the catalog.
        carriers: the neurons' tails that carry it, the surest first.

    Raises:
        RunError: the run is damaged.
    """
    from neurons.descriptor_neurons import combine_neurons

    tails: dict[NeuronId, Tail] = {}
    for neuron, tail in carriers:
        # A neuron has one place in the set: that of its surer tail.
        tails.setdefault(neuron, tail)
    holds = np.zeros(len(run.corpus), dtype=np.bool_)
    holds[run.membership[number].indices] = True
    if not tails or not 0 < holds[run.split_rows.test].sum() < len(run.split_rows.test):
        return None
    first = list(islice(tails.items(), COMBINED_NEURONS))
    directed = np.column_stack([_directed(run, neuron, tail) for neuron, tail in first])
    found = combine_neurons(directed, holds, run.split_rows)
    return NeuronSet(
        n_neurons=len(tails),
        members=tuple(SetMember(neuron=str(neuron), tail=tail) for neuron, tail in first),
        combined_auroc=found.combined_auroc,
        single_auroc=found.single_auroc,
    )


def _directed(run: FinishedRun, neuron: NeuronId, tail: Tail) -> HalfArray:
    """The activations of a neuron, high where its tail responds (`n_sentences`)."""
    column = run.store.array(neuron.layer_site)[:, neuron.unit]
    return column if tail is Tail.POSITIVE else -column
