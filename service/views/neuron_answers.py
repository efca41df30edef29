"""What a neuron of an opened run responds to; answers are kept for the next reader."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from cachetools import LRUCache

from indexer.errors import InputError, NotFoundError
from neurons.exemplars import NeuronTail
from neurons.records import NeuronId, Tail
from service.group_answers import group_of
from service.imported_stage import is_imported
from service.joint_answers import carried_together, exemplar_variety
from service.views.exemplar_sets import exemplar_sets
from service.views.records import NeuronAnswer, TailAnswer
from service.views.tail_lists import explanation_of
from service.word_answers import driving_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from neurons.token_exemplars import TopWord
    from service.views.opened_run import OpenedRun

_KEPT_ANSWERS = 256
"""An answer takes some 200 KB."""

_LONGEST_ADDRESS = 40


class NeuronAnswers:
    """Answers about the neurons of one run.

    Args:
        run: the run.
        name: of the run.
    """

    def __init__(self, run: OpenedRun, name: str) -> None:
        self._run = run
        self._name = name
        self._kept: LRUCache[str, NeuronAnswer] = LRUCache(_KEPT_ANSWERS)
        self._keeping = threading.Lock()
        self._computing = threading.Lock()

    def answer(self, address: str) -> NeuronAnswer:
        """What a neuron responds to.

        Raises:
            NotFoundError: the run has no such neuron.
            BackendError: the model computes what is no number.
            RunError: the model cannot be loaded, or has changed since.
        """
        found = self._found(address)
        if found is not None:
            return found
        neuron = self._neuron(address)
        # One at a time: whoever waits for the same neuron then finds its answer.
        with self._computing:
            found = self._found(address)
            if found is None:
                found = self._computed(neuron)
                with self._keeping:
                    self._kept[address] = found
            return found

    def _found(self, address: str) -> NeuronAnswer | None:
        with self._keeping:
            return self._kept.get(address)

    def _neuron(self, address: str) -> NeuronId:
        """The neuron of an address, which is written in one way only."""
        store = self._run.store
        sites = store.layer_sites
        try:
            neuron = NeuronId.parse(address[:_LONGEST_ADDRESS])
        except InputError as error:
            raise NotFoundError(str(error)) from error
        known = neuron.layer_site in sites and neuron.unit < store.units(neuron.layer_site)
        if not known or str(neuron) != address:
            there = ", ".join(f"{site} (units 0 to {store.units(site) - 1})" for site in sites)
            raise NotFoundError(
                f"the run has no neuron {address[:_LONGEST_ADDRESS]!r}; it has {there}"
            )
        return neuron

    def _computed(self, neuron: NeuronId) -> NeuronAnswer:
        run = self._run
        together = carried_together(run, neuron)
        words = self._words(neuron)
        exemplars = exemplar_sets(run, neuron)
        tails = []
        for tail in Tail:
            place = run.explanations.place(neuron, tail)
            if place is None:
                continue
            explanation = run.explanations.explanation(place)
            tails.append(
                TailAnswer(
                    tail=tail,
                    explanations=tuple(
                        explanation_of(run, neuron, tail, match) for match in explanation.matches
                    ),
                    reason=explanation.reason,
                    together=together[tail],
                    variety=exemplar_variety(run, NeuronTail(neuron, tail)),
                    words=words[tail],
                    exemplars=exemplars[tail],
                )
            )
        statistics = run.statistics
        return NeuronAnswer(
            run=self._name,
            neuron=str(neuron),
            layer=neuron.layer,
            site=neuron.site,
            unit=neuron.unit,
            tails=tuple(tails),
            statistics=None if statistics is None else statistics.of(neuron),
            group=group_of(run, neuron),
            groups_sought=not run.neuron_groups.too_few_sentences,
        )

    def _words(self, neuron: NeuronId) -> Mapping[Tail, tuple[TopWord, ...]]:
        run = self._run
        if is_imported(run.settings):
            return driving_words(run, neuron)
        with run.guarded_subject.lock:
            return driving_words(run, neuron)
