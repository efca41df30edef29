"""What groups of neurons carry: the signed mean of a group is matched like a neuron.

Groups are formed on discover and must hold on validation; their descriptors are chosen on discover
and validation; test is only told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import DoubleArray, FloatArray, IntArray
from neurons.explanation_file import abstention
from neurons.group_records import (
    ExplainedGroup,
    GroupMember,
    GroupTail,
    NeuronGroups,
    NeuronGroupSettings,
)
from neurons.matching import TAILS, Matches, MatchingSettings, match
from neurons.neuron_groups import NeuronGroup, correlation_groups
from neurons.records import Match, NeuronId
from neurons.split_rows import Activations, Block, SplitRows, Watch, unwatched, wanted_columns

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FEWEST_ROWS = 10
"""With fewer sentences in discover or validation nearly all neurons correlate by chance."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What groups are found in: all neurons, and the sentences each descriptor holds for.

    Attributes:
        activations: of all neurons.
        neurons: address of each column of `activations`.
        membership: every stored entry is a member (`n_descriptors, n_sentences`).
        descriptors: id and text of each membership row.
        handicaps: AUROC by which each comes after others in matching (`n_descriptors`).
        rows: rows of each split.
    """

    activations: Activations
    neurons: Sequence[NeuronId]
    membership: csr_matrix
    descriptors: Sequence[tuple[str, str]]
    handicaps: DoubleArray
    rows: SplitRows


def find_neuron_groups(
    evidence: Evidence,
    settings: NeuronGroupSettings,
    matching: MatchingSettings,
    seed: int,
    watch: Watch = unwatched,
) -> NeuronGroups:
    """Groups of neurons that move together, and the descriptors that each group carries.

    Args:
        evidence: what they are found in.
        settings: when neurons make a group.
        matching: how descriptors are matched with the mean of a group.
        seed: of the sketch, the shuffles and the permutations.
        watch: wraps the comparison of all neurons, for a progress bar.

    Raises:
        ValueError: parts of the evidence cover different sentences or activations are not finite.
    """
    rows = evidence.rows
    if min(len(rows.discover), len(rows.validation)) < FEWEST_ROWS:
        return NeuronGroups(settings=settings, too_few_sentences=True)
    found = correlation_groups(
        evidence.activations, rows, settings.threshold, settings.minimum_size, seed, watch
    )
    groups = [group for group in found if group.coherence > group.null_coherence]
    not_replicated = len(found) - len(groups)
    if not groups:
        return NeuronGroups(settings=settings, not_replicated=not_replicated)
    means = signed_means(evidence.activations, groups, rows.discover)
    matches = match(
        _of_columns(means),
        evidence.membership,
        rows,
        _as_many_draws(matching, len(groups)),
        seed,
        handicaps=evidence.handicaps,
    )
    tails = _tails(matches, evidence.descriptors)
    return NeuronGroups(
        settings=settings,
        not_replicated=not_replicated,
        groups=tuple(
            ExplainedGroup(
                id=f"G{number}",
                members=tuple(
                    GroupMember(neuron=str(evidence.neurons[member]), sign=1 if sign > 0 else -1)
                    for member, sign in group.members
                ),
                coherence=group.coherence,
                null_coherence=group.null_coherence,
                tails=own,
            )
            for number, (group, own) in enumerate(zip(groups, tails, strict=True), 1)
        ),
    )


def signed_means(
    activations: Activations, groups: Sequence[NeuronGroup], fitted_on: IntArray
) -> FloatArray:
    """The mean of each group's members, turned by their signs (`n_sentences, n_groups`).

    Members are standardised on the rows `fitted_on`; one that is constant there counts as 0.
    """
    owner = np.full(activations.n_neurons, -1, dtype=np.int64)
    weight = np.zeros(activations.n_neurons)
    for number, group in enumerate(groups):
        for member, sign in group.members:
            owner[member], weight[member] = number, sign / len(group.members)
    means = np.zeros((len(groups), activations.n_sentences), dtype=np.float32)
    every = np.arange(activations.n_sentences)
    for neurons, stored in wanted_columns(activations, every, owner >= 0):
        # Less its first value a constant is exactly 0; less its rounded mean it would be noise.
        values = stored.astype(np.float64)
        values -= values[fitted_on[:1]]
        values -= values[fitted_on].mean(axis=0)
        spread = values[fitted_on].std(axis=0)
        spread[spread == 0.0] = np.inf
        values *= weight[neurons] / spread
        for number, column in zip(owner[neurons], values.T, strict=True):
            means[number] += column
    return np.ascontiguousarray(means.T)


def _of_columns(columns: FloatArray) -> Activations:
    def blocks(n_units: int) -> Iterator[Block]:
        for first in range(0, columns.shape[1], n_units):
            yield columns[:, first : first + n_units]

    return Activations(columns.shape[1], columns.shape[0], blocks)


def _as_many_draws(settings: MatchingSettings, n_groups: int) -> MatchingSettings:
    """Settings whose null rests on as many draws for a few groups as for all neurons."""
    draws = settings.null_neurons * settings.null_repeats
    repeats = math.ceil(draws / min(n_groups, settings.null_neurons))
    return settings.model_copy(update={"null_repeats": repeats})


def _tails(
    matches: Matches, descriptors: Sequence[tuple[str, str]]
) -> Iterator[tuple[GroupTail, ...]]:
    """Both tails of every group."""
    for group in range(len(matches.constant)):
        tails = []
        for number, tail in enumerate(TAILS):
            own = np.flatnonzero((matches.neuron == group) & (matches.tail == number))
            found = tuple(_match(matches, int(entry), descriptors) for entry in own)
            reason = None if found else abstention(matches, group, number)
            tails.append(GroupTail(tail=tail, matches=found, reason=reason))
        yield tuple(tails)


def _match(matches: Matches, entry: int, descriptors: Sequence[tuple[str, str]]) -> Match:
    identifier, text = descriptors[matches.descriptor[entry]]
    return Match(
        rank=int(matches.rank[entry]),
        descriptor_id=identifier,
        descriptor=text,
        auroc=float(matches.auroc[entry]),
        ci_low=float(matches.ci_low[entry]),
        ci_high=float(matches.ci_high[entry]),
        q=float(matches.q[entry]),
        exemplar_z=float(matches.exemplar_z[entry]),
    )
