"""The controls of a finished run: its nulls, and the lexical baseline that its stage has left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eval.controls import (
    PROTOCOL,
    ControlSettings,
    nothing_to_match,
    null_distributions,
    null_figures,
)
from eval.lexical import LEXICAL_FILE, LexicalControl, LexicalRecord, read_lexical
from eval.lexical_figures import TrainedUnits, lexical_figures
from eval.null_distributions import NullDistributions, write_distributions
from eval.null_matching import Matched, NullTask, match_nulls
from eval.null_memberships import NullKind
from eval.records import Figure
from neurons.matching import TAILS

if TYPE_CHECKING:
    from service.evaluated_run import EvaluatedRun


def figures(run: EvaluatedRun, settings: ControlSettings) -> list[Figure]:
    """The figures of the protocol `controls`; `RUN/null_distributions.json` is written beside them.

    Raises:
        RunError: a file of the run is damaged, or that file cannot be written.
    """
    reason = nothing_to_match(run.membership, run.split_rows, run.settings.matching)
    if reason:
        write_distributions(run.path, NullDistributions(reason=reason))
        controls = (*NullKind, LexicalControl.RANDOM_WEIGHTS)
        return [Figure.refused(PROTOCOL, reason, variant=control) for control in controls]
    observed, nulls = match_nulls(_task(run, settings))
    neurons = run.neurons
    write_distributions(run.path, null_distributions(observed, nulls, neurons, settings.levels))
    seed = run.settings.seed
    return [
        *null_figures(observed, nulls, neurons, settings, seed),
        *lexical_figures(_lexical(run), _trained(run, observed), settings, seed),
    ]


def _task(run: EvaluatedRun, settings: ControlSettings) -> NullTask:
    from neurons.auroc_torch import ranks_on
    from neurons.subject import choose_device

    return NullTask(
        activations=run.activations,
        membership=run.membership,
        handicaps=run.handicaps,
        rows=run.split_rows,
        settings=run.settings.matching,
        seed=run.settings.seed,
        levels=settings.levels,
        repeats=settings.repeats,
        watch=run.watched("controls"),
        arithmetic=ranks_on(choose_device(run.settings.device)),
    )


def _lexical(run: EvaluatedRun) -> LexicalRecord:
    path = run.path / LEXICAL_FILE
    if path.is_file():
        return read_lexical(path)
    return LexicalRecord(
        reason=f"the run has no {LEXICAL_FILE}: an older version made it; run again with --update"
    )


def _trained(run: EvaluatedRun, observed: Matched) -> TrainedUnits:
    neurons = run.neurons
    described = np.zeros((len(neurons), len(TAILS)), dtype=np.bool_)
    first_match = np.zeros(described.shape)
    for number, neuron in enumerate(neurons):
        for place, tail in enumerate(TAILS):
            matches = run.explanations[(neuron, tail)].matches
            if matches:
                described[number, place] = True
                first_match[number, place] = matches[0].auroc
    return TrainedUnits(
        neurons=neurons,
        varying=observed.varying,
        best=observed.best.test_auroc,
        described=described,
        first_match=first_match,
    )
