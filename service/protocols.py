"""The protocols that judge a run: where each is computed, and what it reads and writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from eval.evaluation_settings import ProtocolName
from eval.null_distributions import DISTRIBUTIONS_FILE

if TYPE_CHECKING:
    from eval.records import Figure
    from service.evaluated_run import EvaluatedRun

Adapter = Callable[["EvaluatedRun", Any], "list[Figure]"]


@dataclass(frozen=True)
class Protocol:
    """One protocol.

    Attributes:
        name: as in `evaluation.json`; also the field of `EvaluationSettings` that it is told.
        place: module and function of its adapter.
        reads: stages besides the common ones whose files decide its figures.
        writes: files of the run besides its figures.
    """

    name: ProtocolName
    place: str
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
            "service.label_recovery_protocol:figures",
            reads=_LABELS,
        ),
        Protocol(
            ProtocolName.CONTROLS,
            "service.controls_protocol:figures",
            reads=("lexical",),
            writes=(DISTRIBUTIONS_FILE,),
        ),
        Protocol(
            ProtocolName.OBSERVATIONAL,
            "service.observational_protocol:figures",
        ),
        Protocol(
            ProtocolName.STABILITY,
            "service.stability_protocol:figures",
        ),
        Protocol(
            ProtocolName.POLYSEMANTICITY,
            "service.polysemanticity_protocol:figures",
        ),
        Protocol(
            ProtocolName.PLANTED,
            "service.planted_protocol:figures",
            reads=_LABELS,
        ),
        Protocol(
            ProtocolName.PLANTED_MODEL,
            "service.planted_model_protocol:figures",
            reads=_LABELS,
        ),
        Protocol(
            ProtocolName.DETECTION,
            "service.judge_protocols:detection_figures",
        ),
        Protocol(
            ProtocolName.FUZZING,
            "service.judge_protocols:fuzzing_figures",
        ),
        Protocol(
            ProtocolName.SIMULATION,
            "service.judge_protocols:simulation_figures",
        ),
        Protocol(
            ProtocolName.COSY,
            "service.cosy_protocol:figures",
        ),
        Protocol(
            ProtocolName.CAUSAL,
            "service.causal_protocol:figures",
        ),
    )
}
