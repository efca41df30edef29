"""The descriptors near a concept in words, with the neurons and groups that carry them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from indexer.errors import InputError
from service.explained import (
    CarryingNeuron,
    ExplainedConcept,
    NearDescriptor,
    NeuronSet,
)

if TYPE_CHECKING:
    from indexer.arrays import IntArray
    from service.explanation_table import ExplanationTable
    from service.finished_run import FinishedRun

_KEPT_DESCRIPTORS = 4096
"""Descriptors whose neuron set is kept."""


@dataclass(frozen=True, eq=False)
class _Carried:
    """The neurons of a descriptor: matches as numbers of the table, the surest first."""

    matches: IntArray
    neuron_set: NeuronSet | None


class ConceptAnswers:
    """Looks concepts up among the kept descriptors of a run.

    The descriptors are embedded once, when this is made. What a descriptor's neurons tell together
    is computed when it is first answered with, or ahead of that by `prepare`.

    Args:
        run: with a kept descriptor.
        table: the explanations of the run.
        encoder_lock: held while the encoder reads.

    Raises:
        InputError: the run has kept no descriptor, or the encoder cannot be loaded.
        RunError: the run is damaged, or its encoder has changed.
    """

    def __init__(
        self, run: FinishedRun, table: ExplanationTable, encoder_lock: AbstractContextManager[Any]
    ) -> None:
        from indexer.index import VectorIndex
        from service.group_answers import carrying_groups

        if not run.catalog:
            raise InputError(
                f"{run.path} has kept no descriptor; a concept cannot be looked up in it"
            )
        self._run = run
        self._table = table
        self._encoder_lock = encoder_lock
        self._encoder = run.encoder
        self._groups = carrying_groups(run)
        with encoder_lock:
            vectors = self._encoder.encode([descriptor.text for descriptor in run.catalog])
        self._index = VectorIndex.build(vectors)
        # Not a method: what is kept would hold this, and with it the run, until it is collected.
        self._carried = lru_cache(_KEPT_DESCRIPTORS)(partial(_read_carried, run, table))

    def prepare(self) -> Iterator[None]:
        """Compute what any answer tells of a descriptor's neurons, a descriptor a step."""
        for place in range(len(self._run.catalog)):
            self._carried(place)
            yield

    def near(
        self, concept: str, n_descriptors: int, n_neurons: int, n_groups: int
    ) -> ExplainedConcept:
        """The descriptors nearest to `concept`, and the neurons and groups that carry them.

        Raises:
            InputError: `concept` is not valid Unicode.
            RunError: the run is damaged.
        """
        with self._encoder_lock:
            query = self._encoder.encode([concept.strip()])
        found = self._index.search(query, n_descriptors)
        descriptors = []
        for place, similarity in zip(found.ids[0].tolist(), found.similarities[0], strict=True):
            descriptor, carried = self._run.catalog[place], self._carried(place)
            groups = self._groups.get(descriptor.id, ())
            descriptors.append(
                NearDescriptor(
                    descriptor_id=descriptor.id,
                    descriptor=descriptor.text,
                    similarity=float(similarity),
                    n_neurons=len(carried.matches),
                    neurons=tuple(map(self._neuron, carried.matches[:n_neurons].tolist())),
                    neuron_set=carried.neuron_set,
                    n_groups=len(groups),
                    groups=groups[:n_groups],
                )
            )
        return ExplainedConcept(concept=concept.strip(), descriptors=tuple(descriptors))

    def _neuron(self, number: int) -> CarryingNeuron:
        """The neuron's tail that a match is of, beside the lexical baseline."""
        neuron, tail = self._table.key(int(self._table.matches.tail[number]))
        match = self._table.match(number)
        standing = self._run.standing(neuron, tail, match)
        return CarryingNeuron(neuron=str(neuron), tail=tail, match=match, standing=standing)


def _read_carried(run: FinishedRun, table: ExplanationTable, place: int) -> _Carried:
    from service.group_answers import neuron_set

    matches = table.carrying(run.catalog[place].id)
    tails = map(table.key, table.matches.tail[matches].tolist())
    return _Carried(matches=matches, neuron_set=neuron_set(run, place, tails))
