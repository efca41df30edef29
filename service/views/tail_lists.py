"""Tails of a run that pass a filter, in the order a reader wants."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import BoolArray, IntArray
from neurons.matching import TAILS
from service.explanation_table import REASONS, SITES
from service.views.records import (
    ExplanationAnswer,
    NeuronFilter,
    NeuronOrder,
    TailCard,
    TailList,
)

if TYPE_CHECKING:
    from neurons.records import Match, NeuronId, Tail
    from service.views.opened_run import OpenedRun

NO_MATCH = -1
"""In place of the number of a match."""


def explanation_of(run: OpenedRun, neuron: NeuronId, tail: Tail, match: Match) -> ExplanationAnswer:
    """A match as it is answered."""
    return ExplanationAnswer(
        description=match.descriptor,
        descriptor_id=match.descriptor_id,
        rank=match.rank,
        score=match.auroc,
        ci_low=match.ci_low,
        ci_high=match.ci_high,
        q=match.q,
        exemplar_z=match.exemplar_z,
        standing=run.standing(neuron, tail, match),
    )


@dataclass(frozen=True)
class TailLists:
    """Lists of the tails of a run."""

    run: OpenedRun

    def answer(self, wanted: NeuronFilter, *, offset: int, limit: int) -> TailList:
        """A page of the tails that pass a filter."""
        places, shown = self._found(wanted)
        page = slice(offset, offset + limit)
        pairs = zip(places[page].tolist(), shown[page].tolist(), strict=True)
        return TailList(items=tuple(self.card(*pair) for pair in pairs), total=len(places))

    def carrying(self, identifier: str, limit: int) -> tuple[TailCard, ...]:
        """The tails that carry a descriptor, the surest first."""
        table = self.run.explanations
        found = table.carrying(identifier)[:limit]
        return tuple(self.card(int(table.matches.tail[each]), int(each)) for each in found)

    def card(self, place: int, match: int) -> TailCard:
        """One tail with one of its matches."""
        table = self.run.explanations
        neuron, tail = table.key(place)
        code = int(table.reason[place])
        shown = None
        if match != NO_MATCH:
            shown = explanation_of(self.run, neuron, tail, table.match(match))
        return TailCard(
            neuron=str(neuron),
            tail=tail,
            explanation=shown,
            reason=None if code < 0 else REASONS[code],
        )

    def _found(self, wanted: NeuronFilter) -> tuple[IntArray, IntArray]:
        """The tails that pass, in order, and the match that is shown of each."""
        table = self.run.explanations
        if wanted.descriptor is None:
            surest_first = wanted.order is NeuronOrder.SCORE
            places = self._surest_first if surest_first else np.arange(len(table))
            shown = np.where(table.described[places], table.first[:-1][places], NO_MATCH)
        else:
            shown = table.carrying(wanted.descriptor)
            if wanted.order is NeuronOrder.ADDRESS:
                shown = np.sort(shown)
            places = table.matches.tail[shown]
        passed = self._passed(wanted, places, shown)
        return places[passed], shown[passed]

    def _passed(self, wanted: NeuronFilter, places: IntArray, shown: IntArray) -> BoolArray:
        table = self.run.explanations
        passed = np.ones(len(places), dtype=np.bool_)
        if wanted.layer is not None:
            passed &= table.layer[places] == wanted.layer
        if wanted.site is not None:
            passed &= table.site[places] == SITES.index(wanted.site)
        if wanted.tail is not None:
            passed &= table.tail[places] == TAILS.index(wanted.tail)
        if wanted.described is not None:
            passed &= (shown != NO_MATCH) == wanted.described
        if wanted.reason is not None:
            passed &= table.reason[places] == REASONS.index(wanted.reason)
        if wanted.minimum_score is not None:
            known = np.append(table.matches.auroc, -np.inf)
            passed &= known[shown] >= wanted.minimum_score
        return passed

    @cached_property
    def _surest_first(self) -> IntArray:
        """All tails by the evidence of their first match, those without one last."""
        table = self.run.explanations
        first = np.where(table.described, table.first[:-1], NO_MATCH)
        q = np.append(table.matches.q, np.inf)[first]
        z = np.append(table.matches.exemplar_z, -np.inf)[first]
        return np.lexsort((-z, q))
