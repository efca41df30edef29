"""The protocols that judge a run: what each asks, and where it is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any

from eval.evaluation_settings import ProtocolName
from eval.null_distributions import DISTRIBUTIONS_FILE

if TYPE_CHECKING:
    from eval.records import Figure
    from service.evaluated_run import EvaluatedRun

Adapter = Callable[["EvaluatedRun", Any], "list[Figure]"]


class Cost(StrEnum):
    """Roughly what a protocol takes on 20,000 sentences and two cores."""

    SECONDS = "seconds"
    MINUTE = "a minute"
    MINUTES = "minutes"


@dataclass(frozen=True)
class Protocol:
    """One protocol.

    Attributes:
        name: as in `evaluation.json`; also the field of `EvaluationSettings` that it is told.
        asks: the question it answers, for `--help` and tables.
        place: module and function of its adapter.
        cost: roughly.
        reads: stages besides the common ones whose files decide its figures.
        writes: files of the run besides its figures.
    """

    name: ProtocolName
    asks: str
    place: str
    cost: Cost
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()

    @property
    def adapter(self) -> Adapter:
        """What computes its figures."""
        module, _, function = self.place.partition(":")
        found: Adapter = getattr(import_module(module), function)
        return found


_LABELS = ("corpus",)

PROTOCOLS: dict[ProtocolName, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            ProtocolName.LABEL_RECOVERY,
            "do descriptors find the hidden labels that neurons carry?",
            "service.label_recovery_protocol:figures",
            Cost.SECONDS,
            reads=_LABELS,
        ),
        Protocol(
            ProtocolName.CONTROLS,
            "is anything described where nothing is there to find, and what would random weights "
            "get?",
            "service.controls_protocol:figures",
            Cost.MINUTE,
            reads=("lexical",),
            writes=(DISTRIBUTIONS_FILE,),
        ),
        Protocol(
            ProtocolName.OBSERVATIONAL,
            "does a neuron fire on all and only the sentences its description names?",
            "service.observational_protocol:figures",
            Cost.SECONDS,
        ),
        Protocol(
            ProtocolName.STABILITY,
            "does another half of the corpus give the same descriptions?",
            "service.stability_protocol:figures",
            Cost.MINUTE,
        ),
        Protocol(
            ProtocolName.POLYSEMANTICITY,
            "how many things does a neuron respond to?",
            "service.polysemanticity_protocol:figures",
            Cost.SECONDS,
        ),
        Protocol(
            ProtocolName.PLANTED,
            "are concepts found that were planted in activations?",
            "service.planted_protocol:figures",
            Cost.MINUTE,
            reads=_LABELS,
        ),
        Protocol(
            ProtocolName.PLANTED_MODEL,
            "are concepts found that were planted in the model's weights?",
            "service.planted_model_protocol:figures",
            Cost.MINUTES,
            reads=_LABELS,
        ),
        Protocol(
            ProtocolName.DETECTION,
            "can a judge tell from its description on which sentences a neuron fires?",
            "service.judge_protocols:detection_figures",
            Cost.SECONDS,
        ),
        Protocol(
            ProtocolName.FUZZING,
            "can a judge tell from its description on which words a neuron fires?",
            "service.judge_protocols:fuzzing_figures",
            Cost.MINUTE,
        ),
        Protocol(
            ProtocolName.SIMULATION,
            "does the description predict how strongly a neuron fires?",
            "service.judge_protocols:simulation_figures",
            Cost.MINUTE,
        ),
        Protocol(
            ProtocolName.COSY,
            "is a neuron more active on held-out sentences near its description?",
            "service.cosy_protocol:figures",
            Cost.SECONDS,
        ),
        Protocol(
            ProtocolName.CAUSAL,
            "does changing a neuron move the model's output toward its description?",
            "service.causal_protocol:figures",
            Cost.MINUTE,
        ),
    )
}
