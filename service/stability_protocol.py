"""Stability on a run: do halves of its corpus give its neurons the same descriptors?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.tail_samples import site_populations

if TYPE_CHECKING:
    from eval.records import Figure
    from eval.stability import StabilitySettings
    from service.evaluated_run import EvaluatedRun


def figures(run: EvaluatedRun, settings: StabilitySettings) -> list[Figure]:
    """Agreement of the halves of discover and validation; see `eval.stability`.

    The neurons of each site are drawn by the run's seed, described or not: to draw among those that
    the whole corpus describes would favour neurons that its halves describe alike.
    """
    import numpy as np

    from eval.halves import HalvedTask
    from eval.label_recovery import Population
    from eval.stability import StabilityTask, stability
    from neurons.chosen_neurons import ChosenNeurons

    neurons = run.neurons
    generator = np.random.default_rng(run.settings.seed)
    drawn = [
        neurons[number]
        for population in site_populations(run)
        for number in generator.permutation(population.neurons)[: settings.neurons].tolist()
    ]
    chosen = ChosenNeurons.of_store(run.store, drawn)
    sites = np.array([neuron.site.value for neuron in chosen.neurons])
    task = HalvedTask(
        activations=chosen.activations,
        membership=run.membership,
        handicaps=run.handicaps,
        rows=run.split_rows,
        settings=run.settings.matching,
        counted=settings.k,
        exemplar_share=settings.exemplar_share,
        fewest_exemplars=settings.fewest_exemplars,
        seed=run.settings.seed,
        watch=run.watched("stability"),
    )
    populations = tuple(
        Population(each.name, np.flatnonzero(sites == each.name)) for each in site_populations(run)
    )
    return stability(StabilityTask(task, populations), settings)
