"""What fires on a text, for a run that is asked often."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING

from service.explain import check_text
from service.text_levels import TailLevel, TextLevels
from service.views.records import TextAnswer, TextNeuron
from service.views.tail_lists import explanation_of

if TYPE_CHECKING:
    from neurons.tokens import TokenActivations
    from service.views.opened_run import OpenedRun

_KEPT_EXPLANATIONS = 16_384


class TextReader:
    """Answers about texts; safe for many threads, which take turns with the model.

    The first answer loads the model and computes the usual levels of all described neurons.

    Args:
        run: the run.
    """

    def __init__(self, run: OpenedRun) -> None:
        self._run = run
        # Texts are many and described tails few; not a method, which would hold this for good.
        self._explanation = lru_cache(_KEPT_EXPLANATIONS)(partial(explanation_of, run))

    def answer(self, name: str, text: str, n_neurons: int) -> TextAnswer:
        """The described tails that `text` drives furthest above their usual level.

        Args:
            name: of the run.
            text: what is read.
            n_neurons: at most so many tails.

        Raises:
            InputError: `text` is blank or not valid Unicode, or the run has no model.
            BackendError: the model computes what is no finite number, or runs out of memory.
            RunError: the run is damaged, or its model has changed.
        """
        check_text(text)
        found = self._levels.strongest(text, n_neurons)
        return TextAnswer(
            run=name,
            text=text,
            tokens=tuple(token.text for token in found.tokens.tokens),
            starts=tuple(token.start for token in found.tokens.tokens),
            truncated_tokens=found.tokens.truncated_tokens,
            n_described=found.n_described,
            neurons=tuple(
                self._neuron(level, found.tokens, place) for place, level in enumerate(found.levels)
            ),
        )

    def prepare(self) -> Iterator[object]:
        """Load and compute, in one step, what the first answer would wait for.

        Raises:
            InputError: the run has no model.
            RunError: the run is damaged, or its model has changed.
        """
        yield self._levels

    @cached_property
    def _levels(self) -> TextLevels:
        run = self._run
        return TextLevels(run, run.explanations, run.guarded_subject.lock)

    def _neuron(self, level: TailLevel, tokens: TokenActivations, column: int) -> TextNeuron:
        return TextNeuron(
            neuron=str(level.neuron),
            tail=level.tail,
            explanation=self._explanation(level.neuron, level.tail, level.match),
            activation=level.activation,
            z=level.z,
            percentile=level.percentile,
            activations=tuple(tokens.activations[:, column].tolist()),
        )
