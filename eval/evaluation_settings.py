"""What the evaluation of a run is told: which protocols, and how each goes about it."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import field_validator

from eval.causal import CausalSettings
from eval.controls import ControlSettings
from eval.cosy import CosySettings
from eval.judges import JudgeSettings
from eval.label_recovery import LabelRecoverySettings
from eval.observational import ObservationalSettings
from eval.planted import PlantedSettings
from eval.planted_model import PlantedModelSettings
from eval.polysemanticity import PolysemanticitySettings
from eval.stability import StabilitySettings
from indexer.records import Record


class ProtocolName(StrEnum):
    """The protocols, as `evaluation.json` names them."""

    LABEL_RECOVERY = "label_recovery"
    CONTROLS = "controls"
    OBSERVATIONAL = "observational"
    STABILITY = "stability"
    POLYSEMANTICITY = "polysemanticity"
    PLANTED = "planted"
    PLANTED_MODEL = "planted_model"
    DETECTION = "detection"
    FUZZING = "fuzzing"
    SIMULATION = "simulation"
    COSY = "cosy"
    CAUSAL = "causal"


_JUDGED = (ProtocolName.DETECTION, ProtocolName.FUZZING, ProtocolName.SIMULATION)


class EvaluationSettings(Record):
    """The protocols of a run, and a field for what each is told.

    Those that take minutes are left to be asked for; `judges` is for all that ask a judge.
    """

    protocols: tuple[ProtocolName, ...] = (
        ProtocolName.LABEL_RECOVERY,
        ProtocolName.CONTROLS,
        ProtocolName.OBSERVATIONAL,
        ProtocolName.STABILITY,
    )
    label_recovery: LabelRecoverySettings = LabelRecoverySettings()
    controls: ControlSettings = ControlSettings()
    observational: ObservationalSettings = ObservationalSettings()
    stability: StabilitySettings = StabilitySettings()
    polysemanticity: PolysemanticitySettings = PolysemanticitySettings()
    planted: PlantedSettings = PlantedSettings()
    planted_model: PlantedModelSettings = PlantedModelSettings()
    judges: JudgeSettings = JudgeSettings()
    cosy: CosySettings = CosySettings()
    causal: CausalSettings = CausalSettings()

    @field_validator("protocols")
    @classmethod
    def _distinct(cls, names: tuple[ProtocolName, ...]) -> tuple[ProtocolName, ...]:
        if len(set(names)) != len(names):
            raise ValueError(f"expected protocols that are all different, found {names}")
        return names

    def of(self, name: ProtocolName) -> Record:
        """What one protocol is told."""
        found: Record = getattr(self, "judges" if name in _JUDGED else name.value)
        return found

    def judged_by(self, lm: str) -> Self:
        """The same with a generative LM as one more judge."""
        return self.model_copy(update={"judges": self.judges.model_copy(update={"lm": lm})})
