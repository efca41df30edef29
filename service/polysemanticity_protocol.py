"""Polysemanticity on a run: how many things do its neurons respond to?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.tail_samples import described_samples

if TYPE_CHECKING:
    from eval.polysemanticity import PolysemanticitySettings
    from eval.records import Figure
    from service.evaluated_run import EvaluatedRun


def figures(run: EvaluatedRun, settings: PolysemanticitySettings) -> list[Figure]:
    """Groups among exemplars, likeness of descriptors, variance; see `eval.polysemanticity`."""
    from eval.polysemanticity import PolysemanticityTask, polysemanticity

    task = PolysemanticityTask(
        activations=run.activations,
        membership=run.membership,
        rows=run.split_rows,
        descriptor_vectors=run.encoder.encode([each.text for each in run.catalog]),
        samples=described_samples(run, settings.neurons),
        seed=run.settings.seed,
        watch=run.watched("polysemanticity"),
    )
    return polysemanticity(task, settings)
