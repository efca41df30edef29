"""What a tail of a neuron carries altogether: descriptors that add up, and groups of exemplars."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from neurons.exemplars import NeuronTail, top_rows
from neurons.records import Tail
from service.explained import (
    CarriedTogether,
    DescriptorPart,
    ExemplarGroup,
    ExemplarVariety,
)

if TYPE_CHECKING:
    from neurons.joint import JointExplanation
    from neurons.records import NeuronId
    from service.finished_run import FinishedRun

GROUPED_EXEMPLARS = 50
"""Exemplars that are told apart; a group of fewer than four or five is no more than chance."""


def carried_together(run: FinishedRun, neuron: NeuronId) -> dict[Tail, CarriedTogether]:
    """The fewest descriptors that together explain each tail.

    Raises:
        RunError: the run is damaged.
    """
    from neurons.joint import JointSettings, joint_explanations

    column = run.store.columns(neuron.layer_site, slice(neuron.unit, neuron.unit + 1))
    found = joint_explanations(
        column, run.membership, run.split_rows, JointSettings(), run.settings.seed
    )
    return {each.tail: _together(run, each) for each in found}


def _together(run: FinishedRun, found: JointExplanation) -> CarriedTogether:
    catalog = run.catalog
    combination = found.combination
    variance = found.explained_variance
    return CarriedTogether(
        parts=tuple(
            DescriptorPart(
                descriptor_id=catalog[number].id, descriptor=catalog[number].text, weight=weight
            )
            for number, weight in zip(combination.sets, combination.weights, strict=True)
        ),
        explained_variance=None if math.isnan(variance) else variance,
        null=tuple(0.0 if math.isnan(each) else each for each in found.null),
    )


def exemplar_variety(run: FinishedRun, tail: NeuronTail) -> ExemplarVariety:
    """The distinct descriptors that the strongest sentences of a tail belong to.

    Raises:
        RunError: the run is damaged.
    """
    from neurons.exemplar_groups import ExemplarGroupSettings, distinct_groups

    rows = np.arange(len(run.corpus), dtype=np.int64)
    exemplars = top_rows(run.store, tail, rows, GROUPED_EXEMPLARS)
    found = distinct_groups(
        exemplars,
        run.membership,
        rows,
        run.split_rows.documents,
        ExemplarGroupSettings(),
        run.settings.seed,
    )
    return ExemplarVariety(
        exemplars=len(exemplars),
        groups=tuple(
            ExemplarGroup(
                descriptor_id=run.catalog[number].id,
                descriptor=run.catalog[number].text,
                exemplars=len(own),
            )
            for number, own in zip(found.descriptors, found.exemplars, strict=True)
        ),
        covered=found.covered,
        null=found.null,
    )
