from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from eval.causal import CausalShifts, causal_figures, cosine_shifts
from eval.causal_plan import random_directions
from eval.label_recovery import Population
from neurons.causal_outputs import causal_outputs
from neurons.experiments import Experiment, Steering
from neurons.output_vectors import SentenceEmbedding
from neurons.records import LayerSite, Site
from neurons.subject import SubjectModel
from neurons.token_moments import token_moments

TEXTS = [
    "the battery broke again",
    "very good sound",
    "late delivery or slow refund, not very good",
    "love the quiet case",
    "one button works",
]
N_NEURONS = 12
SITE = LayerSite(0, Site.FFN)


@pytest.mark.parametrize("planted", [True, False])
@pytest.mark.parametrize("sign", [-1, 1])
def test_units_that_write_their_target_are_told_from_others(
    tiny_model: Callable[[str], Path], planted: bool, sign: int
) -> None:
    subject = SubjectModel.load(str(tiny_model("bert")), "cpu")
    architecture, generator = subject.architecture, np.random.default_rng(3)
    # What the first block writes is the output, but for its mean and length: the block after it
    # adds nothing.
    with torch.no_grad():
        last_norm = architecture.blocks[0].get_submodule("output.LayerNorm")
        for module in (last_norm, *architecture.blocks[1:]):
            for name, parameter in module.named_parameters():
                is_norm = module is last_norm or "LayerNorm" in name
                parameter.fill_(1.0 if is_norm and name.endswith("weight") else 0.0)
    targets = random_directions(N_NEURONS, architecture.hidden_units, generator)
    if planted:
        weight = architecture.down_projections[0].weight
        with torch.no_grad():
            columns = torch.from_numpy(targets.T.copy())
            weight[:, :N_NEURONS] = columns * weight[:, :N_NEURONS].norm(dim=0)
    moments = token_moments(subject, TEXTS, [SITE])[SITE]

    experiments = [
        Experiment(
            unit=unit,
            operation=Steering(2.0 * sign),
            sentences=np.arange(len(TEXTS)),
            controls=np.arange(N_NEURONS, N_NEURONS + 9),
            directions=random_directions(5, architecture.hidden_units, generator),
        )
        for unit in range(N_NEURONS)
    ]
    outputs = causal_outputs(
        subject, SentenceEmbedding(), SITE, experiments, dict(enumerate(TEXTS)), moments
    )
    shifts = CausalShifts(
        variant="steer",
        sign=sign,
        cosines=np.stack([cosine_shifts(each.clean, each.changed, targets) for each in outputs]),
        own=np.arange(N_NEURONS),
        n_controls=9,
    )
    figures = causal_figures(shifts, [Population("", np.arange(N_NEURONS))], seed=0)
    found = {each.metric: each for each in reversed(figures)}
    excess, beats = found["excess"], found["beats_controls"]
    assert excess.ci_low is not None
    assert beats.value is not None
    if planted:
        assert excess.ci_low > 1.0
        assert beats.value == 1.0
    else:
        assert excess.ci_low < 0.0
        assert beats.value < 0.5
    assert beats.null is not None
    assert beats.null < 0.35
