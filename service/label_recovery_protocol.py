"""Label recovery of a run: do its descriptions name labels that nothing before has seen?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.tail_samples import site_populations

if TYPE_CHECKING:
    from eval.label_recovery import LabelRecoverySettings
    from eval.records import Figure
    from indexer.arrays import DoubleArray
    from service.evaluated_run import EvaluatedRun


def figures(run: EvaluatedRun, settings: LabelRecoverySettings) -> list[Figure]:
    """What label recovery tells of a run, see `eval.label_recovery`; refused without labels.

    Raises:
        RunError: an activation is no finite number.
    """
    from eval.label_recovery import PROTOCOL, LabelRecoveryTask, recover_labels
    from eval.records import Figure
    from eval.risk_coverage import match_confidences

    if not len(run.labels):
        reason = (
            "the corpus has no labels; expected labels on its sentences, such as `topic:sport`, "
            "which the evaluation alone reads"
        )
        return [Figure.refused(PROTOCOL, reason)]
    neurons = run.neurons
    task = LabelRecoveryTask(
        activations=run.activations,
        membership=run.membership,
        handicaps=run.handicaps,
        rankings=run.rankings,
        populations=site_populations(run),
        labels=run.labels,
        rows=run.split_rows,
        settings=run.settings.matching,
        seed=run.settings.seed,
        proposers=tuple(descriptor.proposer for descriptor in run.catalog),
        layers=np.array([neuron.layer for neuron in neurons], dtype=np.int64),
        cosines=_cosines(run),
        confidences=match_confidences(list(run.explanations.values())),
        watch=run.watched("label recovery"),
    )
    return recover_labels(task, settings)


def _cosines(run: EvaluatedRun) -> DoubleArray:
    """Of each descriptor's text and each label's words (`n_descriptors, n_labels`)."""
    from eval.naming import label_words

    texts = run.encoder.encode([descriptor.text for descriptor in run.catalog])
    words = run.encoder.encode([label_words(name) for name in run.labels.names])
    return texts.astype(np.float64) @ words.astype(np.float64).T
