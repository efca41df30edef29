"""The protocol of units planted in the model, on a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eval.planted_model import (
    PROTOCOL,
    SPLIT,
    PlantedModelSettings,
    PlantedModelTask,
    plan_planting,
)
from indexer.errors import InputError

if TYPE_CHECKING:
    from eval.planted_model import Plan
    from eval.records import Figure
    from neurons.store import HalfArray
    from neurons.subject import SubjectModel
    from service.evaluated_run import EvaluatedRun


def figures(run: EvaluatedRun, settings: PlantedModelSettings) -> list[Figure]:
    """Whether concepts planted in weights of the run's model are found again.

    The model of the run stays untouched. Parts that the run has too little for, for example labels,
    are refused with the reason; so is all of it if the model cannot be edited or is not there.
    """
    from eval.planted_model_figures import PlantedReadings, planted_model_figures
    from eval.records import Figure
    from neurons.planting import plant
    from neurons.split_rows import sampled_units

    task = PlantedModelTask(
        membership=run.membership,
        handicaps=run.handicaps,
        labels=run.labels,
        rows=run.split_rows,
        matching=run.settings.matching,
        layers={place: run.store.units(place) for place in run.store.layer_sites},
        seed=run.settings.seed,
    )
    plan = plan_planting(task, settings)
    if not plan.neurons:
        return list(plan.refused)
    extraction = run.settings.extraction
    texts = run.corpus.texts_at(plan.rows)
    try:
        edited = plant(run.subject, plan.neurons, texts, plan.members, extraction)
    except InputError as error:
        return [Figure.refused(PROTOCOL, str(error), split=SPLIT)]
    readings = PlantedReadings(
        planted=_read(run, edited, plan),
        before=_before(run, plan),
        natural=sampled_units(run.activations, settings.natural_units, run.settings.seed),
    )
    return planted_model_figures(task, plan, readings, run.watched("planted in the model"))


def _read(run: EvaluatedRun, edited: SubjectModel, plan: Plan) -> HalfArray:
    """Activations of the edited units on all sentences (`n_sentences, n_planted`)."""
    from indexer.progress_bar import ProgressBar
    from neurons.planting import pooled_activations

    with ProgressBar(
        total=len(run.corpus), desc="edited model", unit="sentence", disable=not run.progress
    ) as bar:
        extraction = run.settings.extraction
        return pooled_activations(edited, run.corpus, plan.neurons, extraction, bar.update)


def _before(run: EvaluatedRun, plan: Plan) -> HalfArray:
    """Activations of the same units as the run has them (`n_sentences, n_planted`)."""
    import numpy as np

    from neurons.chosen_neurons import ChosenNeurons

    chosen = ChosenNeurons.of_store(run.store, plan.neurons)
    columns = np.concatenate(list(chosen.activations.blocks(len(plan.neurons))), axis=1)
    place = {neuron: column for column, neuron in enumerate(chosen.neurons)}
    found: HalfArray = columns[:, [place[neuron] for neuron in plan.neurons]]
    return found
