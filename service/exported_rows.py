"""The rows of exported tables: explanations, descriptors, neurons."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from eval.lexical import LexicalLabel
from indexer.records import Record
from neurons.records import AbstentionReason, Match, NeuronId, Site, Tail

if TYPE_CHECKING:
    from neurons.records import Explanation
    from neurons.statistics_records import StoreStatistics
    from service.finished_run import FinishedRun

Wanted = Callable[[NeuronId], bool]


class ExplanationRow(Record):
    """A match of a neuron's tail, or the reason for having none; as in `explanations.parquet`.

    The match's standing beside the lexical baseline is added, where it is known.
    """

    neuron: str
    tail: Tail
    rank: int | None = None
    descriptor_id: str | None = None
    descriptor: str | None = None
    auroc: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    q: float | None = None
    exemplar_z: float | None = None
    lexical_excess: float | None = None
    lexical_p: float | None = None
    lexical_label: LexicalLabel | None = None
    reason: AbstentionReason | None = None


class DescriptorRow(Record):
    """A descriptor; `members` counts the sentences it holds for, `support` those it came from.

    `handicap` is by how much AUROC it comes after others in matching.
    """

    id: str
    text: str
    proposer: str
    group: str
    kept: bool
    reason: str
    locked: bool
    renamed_from: str
    handicap: float
    members: int | None
    support: tuple[str, ...]


class NeuronRow(Record):
    """A neuron: its group with its sign there, and the first match of each tail or the reason."""

    neuron: str
    layer: int
    site: Site
    unit: int
    group: str | None = None
    group_sign: int | None = None
    mean: float | None = None
    deviation: float | None = None
    minimum: float | None = None
    median: float | None = None
    maximum: float | None = None
    positive_share: float | None = None
    positive_descriptor: str | None = None
    positive_auroc: float | None = None
    positive_q: float | None = None
    positive_reason: AbstentionReason | None = None
    negative_descriptor: str | None = None
    negative_auroc: float | None = None
    negative_q: float | None = None
    negative_reason: AbstentionReason | None = None


def explanation_rows(run: FinishedRun, wanted: Wanted) -> Iterator[ExplanationRow]:
    """The explanations of the wanted neurons, in file order.

    Raises:
        RunError: the run is damaged.
    """
    for (neuron, tail), explanation in run.explanations.items():
        if not wanted(neuron):
            continue
        address = explanation.neuron
        for match in explanation.matches:
            standing = run.standing(neuron, tail, match)
            yield ExplanationRow(
                neuron=address,
                tail=tail,
                **match.model_dump(),
                lexical_excess=None if standing is None else standing.excess,
                lexical_p=None if standing is None else standing.p,
                lexical_label=None if standing is None else standing.label,
            )
        if explanation.reason is not None:
            yield ExplanationRow(neuron=address, tail=tail, reason=explanation.reason)


def descriptor_rows(run: FinishedRun) -> Iterator[DescriptorRow]:
    """Every descriptor, kept or not, in file order.

    Raises:
        RunError: the run is damaged.
    """
    sizes = np.diff(run.membership.indptr).tolist()
    members = {each.id: size for each, size in zip(run.catalog, sizes, strict=True)}
    for descriptor in run.descriptors:
        support = run.corpus.ids.take(list(descriptor.support)) if descriptor.support else ()
        yield DescriptorRow(
            **descriptor.model_dump(exclude={"support"}),
            members=members.get(descriptor.id),
            support=tuple(str(identifier) for identifier in support),
        )


def neuron_rows(run: FinishedRun, wanted: Wanted) -> Iterator[NeuronRow]:
    """The wanted neurons, in file order.

    Raises:
        RunError: the run is damaged.
    """
    groups = {
        member.neuron: (group.id, member.sign)
        for group in run.neuron_groups.groups
        for member in group.members
    }
    for neuron, tails in groupby(run.explanations.items(), lambda item: item[0][0]):
        if not wanted(neuron):
            continue
        own = {tail: explanation for (_, tail), explanation in tails}
        group, sign = groups.get(str(neuron), (None, None))
        positive, negative = own.get(Tail.POSITIVE), own.get(Tail.NEGATIVE)
        above, below = _first(positive), _first(negative)
        yield NeuronRow(
            neuron=str(neuron),
            layer=neuron.layer,
            site=neuron.site,
            unit=neuron.unit,
            group=group,
            group_sign=sign,
            **_figures(run.statistics, neuron),
            positive_descriptor=above.descriptor if above else None,
            positive_auroc=above.auroc if above else None,
            positive_q=above.q if above else None,
            positive_reason=positive.reason if positive else None,
            negative_descriptor=below.descriptor if below else None,
            negative_auroc=below.auroc if below else None,
            negative_q=below.q if below else None,
            negative_reason=negative.reason if negative else None,
        )


def _first(explanation: Explanation | None) -> Match | None:
    return explanation.matches[0] if explanation and explanation.matches else None


def _figures(statistics: StoreStatistics | None, neuron: NeuronId) -> dict[str, float]:
    """The distribution of a neuron by the names of the row's fields, nothing without statistics."""
    if statistics is None:
        return {}
    own = statistics.of(neuron)
    return {
        "mean": own.mean,
        "deviation": own.deviation,
        "minimum": own.minimum,
        "median": own.median,
        "maximum": own.maximum,
        "positive_share": own.positive_share,
    }
