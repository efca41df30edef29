from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from neurons.batching import padded, tokenize
from neurons.causal_outputs import causal_outputs
from neurons.experiments import Ablation, Experiment, Operation, Steering
from neurons.intervention import UnitIntervention, intervened
from neurons.output_vectors import SentenceEmbedding, output_vectors
from neurons.records import LayerSite, Site
from neurons.subject import SubjectModel
from neurons.token_moments import TokenMoments, token_moments

TEXTS = {
    10: "the battery broke again",
    11: "very good sound",
    30: "late delivery or slow refund, not very good",
    31: "love the quiet case",
}
OUTPUT = SentenceEmbedding()
SITES = [LayerSite(layer, site) for layer in (0, 1) for site in Site]


@pytest.fixture
def subject(family: str, tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model(family)), "cpu")


@pytest.fixture
def bert(tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model("bert")), "cpu")


def experiment(unit: int, operation: Operation, sentences: list[int]) -> Experiment:
    drawn = np.random.default_rng(unit).standard_normal((3, 32)).astype(np.float32)
    return Experiment(
        unit=unit,
        operation=operation,
        sentences=np.asarray(sentences),
        controls=np.asarray([unit + 1, unit + 5]),
        directions=drawn / np.linalg.norm(drawn, axis=1, keepdims=True),
    )


def moments_of(subject: SubjectModel, site: LayerSite) -> TokenMoments:
    return token_moments(subject, list(TEXTS.values()), [site])[site]


def by_hand(subject: SubjectModel, site: LayerSite, text: str, each: Experiment) -> np.ndarray:
    """Every condition in a whole forward pass of its own, hooked without the module under test."""
    architecture, moments = subject.architecture, moments_of(subject, site)
    batch = padded(subject, tokenize(subject, [text], subject.maximum_tokens))
    point = architecture.capture_point(site)
    if site.site is Site.FFN:
        columns = architecture.down_projections[site.layer].weight.detach().T
    else:
        columns = torch.eye(architecture.hidden_units)
    seen: list[torch.Tensor] = []

    def run(added: torch.Tensor | None) -> np.ndarray:
        def keep(_module: object, inputs: tuple[torch.Tensor, ...]) -> None:
            seen.append(inputs[0])

        def write(_module: object, _inputs: object, output: object) -> object:
            tensor = output[0] if isinstance(output, tuple) else output
            assert isinstance(tensor, torch.Tensor)
            seen.append(tensor)
            if added is None:
                return output
            return (tensor + added, *output[1:]) if isinstance(output, tuple) else tensor + added

        handles = [point.module.register_forward_hook(write)]
        if site.site is Site.FFN:
            handles.append(point.module.register_forward_pre_hook(keep))
        with torch.inference_mode():
            vector: np.ndarray = OUTPUT.of(subject, batch)[0].numpy()
        for handle in handles:
            handle.remove()
        return vector

    run(None)
    activations = seen[0][0, :, each.unit]
    if isinstance(each.operation, Steering):
        amounts = torch.full_like(
            activations, each.operation.deviations * moments.deviation[each.unit]
        )
    else:
        amounts = moments.mean[each.unit].item() - activations
    amounts = (amounts * batch.content_mask[0]).float()
    length = columns[each.unit].norm()
    unit_vectors = [columns[unit] / columns[unit].norm() for unit in each.units.tolist()]
    unit_vectors += list(torch.from_numpy(each.directions))
    return np.stack([run((amounts * length)[:, None] * vector) for vector in unit_vectors])


@pytest.mark.parametrize("site", SITES, ids=str)
def test_equals_one_whole_pass_for_each_change(subject: SubjectModel, site: LayerSite) -> None:
    experiments = [
        experiment(3, Ablation(), [10, 30]),
        experiment(9, Steering(-4.0), [30, 31, 11]),
    ]
    found = causal_outputs(
        subject, OUTPUT, site, experiments, TEXTS, moments_of(subject, site), token_budget=100
    )
    clean = dict(zip(TEXTS, output_vectors(subject, list(TEXTS.values()), OUTPUT), strict=True))
    for each, outputs in zip(experiments, found, strict=True):
        assert outputs.changed.shape == (6, len(each.sentences), 32)
        for place, sentence in enumerate(each.sentences.tolist()):
            np.testing.assert_allclose(outputs.clean[place], clean[sentence], atol=2e-5)
            expected = by_hand(subject, site, TEXTS[sentence], each)
            np.testing.assert_allclose(outputs.changed[:, place], expected, atol=2e-5)


def test_ablation_is_setting_the_mean(bert: SubjectModel) -> None:
    site = LayerSite(0, Site.FFN)
    moments = moments_of(bert, site)
    found = causal_outputs(bert, OUTPUT, site, [experiment(3, Ablation(), [10])], TEXTS, moments)[0]
    batch = padded(bert, tokenize(bert, [TEXTS[10]], bert.maximum_tokens))
    ablation = UnitIntervention.mean_ablate(np.asarray([0]), np.asarray([3]), moments.mean[[3]])
    with (
        torch.inference_mode(),
        intervened(bert.architecture, {site: [ablation]}, batch.content_mask),
    ):
        expected = OUTPUT.of(bert, batch)[0].numpy()
    np.testing.assert_allclose(found.changed[0, 0], expected, atol=1e-5)


def test_the_model_is_as_before(bert: SubjectModel) -> None:
    before = output_vectors(bert, list(TEXTS.values()), OUTPUT)
    site = LayerSite(1, Site.FFN)
    experiments = [experiment(3, Steering(9.0), [10, 11])]
    causal_outputs(bert, OUTPUT, site, experiments, TEXTS, moments_of(bert, site))
    np.testing.assert_array_equal(before, output_vectors(bert, list(TEXTS.values()), OUTPUT))


def test_what_cannot_be_measured_is_refused(bert: SubjectModel) -> None:
    site = LayerSite(0, Site.FFN)
    moments = moments_of(bert, site)
    with pytest.raises(ValueError, match="no sentences"):
        causal_outputs(bert, OUTPUT, site, [experiment(3, Ablation(), [])], TEXTS, moments)
    with torch.no_grad():
        bert.architecture.down_projections[0].weight[:, 4] = 0.0
    with pytest.raises(ValueError, match=r"L0.ffn.4 writes nothing"):
        causal_outputs(bert, OUTPUT, site, [experiment(3, Ablation(), [10])], TEXTS, moments)
