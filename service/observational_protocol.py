"""The observational protocol on a run: do its neurons fire on what their descriptors name?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.tail_samples import described_samples

if TYPE_CHECKING:
    from eval.observational import ObservationalSettings
    from eval.records import Figure
    from service.evaluated_run import EvaluatedRun


def figures(run: EvaluatedRun, settings: ObservationalSettings) -> list[Figure]:
    """Precision, recall and F1 on test of every described neuron; see `eval.observational`."""
    from eval.observational import ObservationalTask, observational

    task = ObservationalTask(
        activations=run.activations,
        membership=run.membership,
        rows=run.split_rows,
        samples=described_samples(run),
        seed=run.settings.seed,
        watch=run.watched("observational"),
    )
    return observational(task, settings)
