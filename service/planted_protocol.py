"""The planted-units protocol on a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eval.planted import PlantedSettings, PlantedTask, planted_units

if TYPE_CHECKING:
    from eval.records import Figure
    from service.evaluated_run import EvaluatedRun


def figures(run: EvaluatedRun, settings: PlantedSettings) -> list[Figure]:
    """Whether concepts planted in shuffled neurons of the run are found again.

    Parts that the run has too little for, for example labels, are refused with the reason.
    """
    task = PlantedTask(
        activations=run.activations,
        membership=run.membership,
        handicaps=run.handicaps,
        labels=run.labels,
        rows=run.split_rows,
        matching=run.settings.matching,
        seed=run.settings.seed,
        watch=run.watched("planted units"),
    )
    return planted_units(task, settings)
