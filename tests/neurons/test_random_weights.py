"""The same architecture with weights that no training has touched."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neurons.parity import check_parity
from neurons.random_weights import with_random_weights
from neurons.reading import ExtractionSettings, read, tokenized
from neurons.records import Site
from neurons.subject import SubjectModel
from neurons.subject_files import Precision

TEXTS = ["The battery is very good.", "late", "", "Phone broke again after three days, or not?"]


@pytest.fixture
def subject(tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model("bert")), "cpu")


def weights(subject: SubjectModel) -> dict[str, torch.Tensor]:
    return dict(subject.model.state_dict())


def activations(subject: SubjectModel) -> np.ndarray:
    settings = ExtractionSettings()
    sites = subject.architecture.layer_sites(Site)
    return read([subject], tokenized(subject, TEXTS, settings), sites, settings).activations


def same(one: SubjectModel, other: SubjectModel) -> bool:
    mine, theirs = weights(one), weights(other)
    return mine.keys() == theirs.keys() and all(
        torch.equal(mine[name], theirs[name]) for name in mine
    )


def test_every_family_keeps_its_shape_and_can_be_read(
    family: str, tiny_model: Callable[[str], Path]
) -> None:
    trained = SubjectModel.load(str(tiny_model(family)), "cpu")
    before = copy.deepcopy(weights(trained))
    random = with_random_weights(trained, 3)

    assert type(random.model) is type(trained.model)
    assert not random.model.training
    found = random.model.config._attn_implementation
    assert found == trained.model.config._attn_implementation
    shapes = {name: (own.shape, own.dtype) for name, own in weights(random).items()}
    assert shapes == {name: (own.shape, own.dtype) for name, own in before.items()}
    assert all(torch.equal(own, before[name]) for name, own in weights(trained).items())
    matrices = [name for name, own in weights(random).items() if own.ndim > 1]
    assert any(matrices)
    floating = [name for name in matrices if weights(random)[name].is_floating_point()]
    assert not any(torch.equal(weights(random)[name], before[name]) for name in floating)
    assert check_parity(random, TEXTS[:2]).passed
    assert not np.array_equal(activations(random), activations(trained))


def test_weights_are_those_the_architecture_starts_training_with(subject: SubjectModel) -> None:
    from transformers import BertModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        expected = BertModel(copy.deepcopy(subject.model.config), add_pooling_layer=False)
    random = with_random_weights(subject, 5)
    for name, own in expected.state_dict().items():
        assert torch.equal(own, weights(random)[name]), name
    layer = random.model.encoder.layer[0]
    assert float(layer.intermediate.dense.weight.detach().std()) == pytest.approx(0.02, rel=0.1)
    assert torch.equal(layer.output.LayerNorm.weight, torch.ones(32))
    assert not layer.intermediate.dense.bias.any()


def test_a_seed_is_one_model_and_disturbs_nobody(subject: SubjectModel) -> None:
    state = torch.random.get_rng_state()
    first, again, other = (with_random_weights(subject, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert same(first, again)
    assert not same(first, other)
    assert first.fingerprint == again.fingerprint == f"{subject.fingerprint} random_weights=0"
    assert other.fingerprint == f"{subject.fingerprint} random_weights=1"
    assert (first.weights_seed, subject.weights_seed) == (0, None)
    assert first.tokenizer is subject.tokenizer
    assert first.device == subject.device


def test_copies_and_other_processes_get_the_same_weights(subject: SubjectModel) -> None:
    random = with_random_weights(subject, 2)
    assert same(random.copied_to(torch.device("cpu")), random)
    assert random.copied_to(torch.device("cpu")).fingerprint == random.fingerprint
    sent = copy.copy(random.source)  # Made of what would be sent.
    assert sent.loaded is None
    assert sent == random.source
    assert sent.key != subject.source.key
    elsewhere = sent.load()
    assert same(elsewhere, random)
    assert elsewhere.fingerprint == random.fingerprint
    assert not same(subject.source.load(), random)


@pytest.mark.parametrize("kind", ["bert", "modernbert"])
def test_lower_precision_is_the_same_model_rounded(
    kind: str, tiny_model: Callable[[str], Path]
) -> None:
    folder = str(tiny_model(kind))
    exact = with_random_weights(SubjectModel.load(folder, "cpu"), 4)
    trained = SubjectModel.load(folder, "cpu", precision=Precision.BFLOAT16)
    rough = with_random_weights(trained, 4)
    for name, own in rough.model.named_parameters():
        assert own.dtype == torch.bfloat16
        assert torch.equal(own, weights(exact)[name].to(torch.bfloat16)), name
    for name, buffer in trained.model.named_buffers():
        assert torch.equal(rough.model.get_buffer(name), buffer), name
        assert rough.model.get_buffer(name).dtype == buffer.dtype
    report = check_parity(rough, TEXTS[:2])
    assert report.passed
    assert report.float32_difference is not None
    assert report.float32_difference < 0.1


def test_reading_leaves_no_hooks(subject: SubjectModel) -> None:
    random = with_random_weights(subject, 0)
    assert np.isfinite(activations(random)).all()
    for module in random.model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_random_weights_are_not_drawn_twice(subject: SubjectModel) -> None:
    random = with_random_weights(subject, 0)
    with pytest.raises(ValueError, match="random already"):
        with_random_weights(random, 1)
    with pytest.raises(ValueError, match="seed is -1"):
        with_random_weights(subject, -1)
    with pytest.raises(ValueError, match="random already"):
        with_random_weights(replace(subject, weights_seed=0), 1)
