"""The stage that judges a run: each protocol a stage of its own, their figures in one file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.evaluation_settings import EvaluationSettings, ProtocolName
from service.group_stage import GroupStage
from service.protocols import PROTOCOLS, Protocol

if TYPE_CHECKING:
    from eval.records import Figure
    from service.evaluated_run import EvaluatedRun
    from service.finished_run import FinishedRun

EVALUATION = "evaluation.json"
HUMAN = "human"
_PARTS = "evaluation"
_COMMON = ("match", "extract", "catalog", "index")


class EvaluationStage(GroupStage):
    """Adds the evaluation to the stages of a run."""

    @cached_property
    def evaluated(self) -> EvaluatedRun:
        """The run as protocols see it."""
        from service.evaluated_run import EvaluatedRun

        return EvaluatedRun(
            self.run.path,
            self.settings,
            subject=lambda: self.subject,
            encoder=lambda: self.encoder,
            engine=self.engine,
            progress=self.progress,
        )

    def evaluate(
        self,
        names: Iterable[ProtocolName] | None = None,
        told: EvaluationSettings | None = None,
    ) -> None:
        """`evaluation.json`: the protocols `names` (those of the settings if None).

        Others that were computed for the same explanations keep their figures; those of other
        explanations go.
        """
        settings = told or self.settings.evaluation
        wanted = set(settings.protocols if names is None else names)
        parts: list[str] = []
        for protocol in PROTOCOLS.values():
            stage = stage_name(protocol.name)
            inputs = self._protocol_inputs(protocol, settings)
            if protocol.name in wanted:
                outputs = [_part(protocol.name), *protocol.writes]
                self.run.stage(stage, inputs, outputs, self._action(protocol, settings))
                parts.append(protocol.name)
            elif self._kept(protocol, settings):
                parts.append(protocol.name)
            else:
                self.run.withdraw(stage)
        parts += self._told_parts()
        inputs = {"parts": {name: self.outputs(stage_name(name)) for name in parts}}
        self.run.stage("evaluate", inputs, [EVALUATION], lambda: self._collect(parts))

    def take_answers(self, files: Sequence[Path]) -> None:
        """Figures of what people have answered, one file a rater.

        Raises:
            InputError: no questions were drawn for the run, or a file holds no answers to them.
        """
        from service.human_check import answered_figures

        self._tell(HUMAN, answered_figures(self.run.path, files, self.settings.seed))

    def compare(self, other: FinishedRun) -> None:
        """Whether another run says the same of the neurons.

        Raises:
            InputError: it is about other neurons.
        """
        from service.against import figures_against

        model = self.run.stages()["extract"].inputs["model"]
        stability = self.settings.evaluation.stability
        figures = figures_against(self.evaluated, model, other, stability)
        self._tell(f"against-{other.path.name}", figures)

    def _tell(self, name: str, figures: list[Figure]) -> None:
        """Keep figures that come from elsewhere, as long as they are about the explanations."""
        from eval.evaluation_file import write_figures

        def action() -> Any:
            write_figures(self.run.path / _part(name), figures)
            return {"figures": len(figures)}

        self.run.withdraw(stage_name(name))
        self.run.stage(stage_name(name), self._told_inputs(), [_part(name)], action)

    def _told_inputs(self) -> dict[str, Any]:
        return {"explanations": self.outputs("match")}

    def _told_parts(self) -> list[str]:
        """What was told of these explanations from elsewhere; the rest goes."""
        found = []
        for stage in self.run.stages():
            name = stage.removeprefix(stage_name(""))
            if name == stage or name in set(ProtocolName):
                continue
            if self.run.holds(stage, self._told_inputs()):
                found.append(name)
            else:
                self.run.withdraw(stage)
        return found

    def _kept(self, protocol: Protocol, settings: EvaluationSettings) -> bool:
        """Whether what an earlier evaluation found is still true; told otherwise, it is."""
        record = self.run.stages().get(stage_name(protocol.name))
        if record is None:
            return False
        inputs = {
            **self._protocol_inputs(protocol, settings),
            "settings": record.inputs["settings"],
        }
        return self.run.holds(stage_name(protocol.name), inputs)

    def _protocol_inputs(self, protocol: Protocol, settings: EvaluationSettings) -> dict[str, Any]:
        return {
            "run": {name: self.outputs(name) for name in (*_COMMON, *protocol.reads)},
            "corpus": self.corpus.fingerprint,
            "encoder": self.encoder.fingerprint,
            "matching": self.settings.matching.model_dump(mode="json"),
            "seed": self.settings.seed,
            "settings": settings.of(protocol.name).model_dump(mode="json"),
        }

    def _action(self, protocol: Protocol, settings: EvaluationSettings) -> Any:
        def action() -> Any:
            from eval.evaluation_file import write_figures

            figures = protocol.adapter(self.evaluated, settings.of(protocol.name))
            write_figures(self.run.path / _part(protocol.name), figures)
            return {"figures": len(figures)}

        return action

    def _collect(self, names: Sequence[str]) -> Any:
        from eval.evaluation_file import read_figures, write_evaluation

        parts = [read_figures(self.run.path / _part(name)) for name in names]
        figures = [figure for part in parts for figure in part]
        write_evaluation(self.run.path, figures)
        labels = self.evaluated.labels
        return {
            "figures": len(figures),
            "protocols": list(names),
            "labels": len(labels),
            "facets": list(labels.facets),
        }


def stage_name(protocol: str) -> str:
    """The stage that a protocol is."""
    return f"evaluate-{protocol}"


def _part(protocol: str) -> str:
    return f"{_PARTS}/{protocol}.json"
