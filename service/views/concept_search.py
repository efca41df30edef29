"""Concepts in words, for a run that is asked often."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from service.concept_answers import ConceptAnswers
from service.explain import check_concept

if TYPE_CHECKING:
    from service.explained import ExplainedConcept
    from service.views.opened_run import OpenedRun

_GROUPS = 5


class ConceptSearch:
    """Answers about concepts; safe for many threads, which take turns with the encoder.

    The first answer loads the encoder and embeds the descriptors.

    Args:
        run: the run.
    """

    def __init__(self, run: OpenedRun) -> None:
        self._run = run

    def answer(self, words: str, n_descriptors: int, n_neurons: int) -> ExplainedConcept:
        """The descriptors nearest to some words, and the neurons and groups that carry them.

        Raises:
            InputError: the words are blank or not valid Unicode, or no descriptor is kept.
            RunError: the run is damaged, or its encoder has changed.
        """
        check_concept(words)
        return self._answers.near(words, n_descriptors, n_neurons, _GROUPS)

    def prepare(self) -> Iterator[None]:
        """Load and compute, step by step, what the first answers would wait for.

        Raises:
            InputError: no descriptor is kept.
            RunError: the run is damaged, or its encoder has changed.
        """
        yield from self._answers.prepare()

    @cached_property
    def _answers(self) -> ConceptAnswers:
        run = self._run
        return ConceptAnswers(run, run.explanations, run.guarded_encoder.lock)
