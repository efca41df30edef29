"""Random directions of a site, read in place of its units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neurons.capture import captured
from neurons.random_directions import RandomDirections, random_rotation
from neurons.reading import ExtractionSettings, read, tokenized
from neurons.records import LayerSite, Pooling, Site
from neurons.subject import SubjectModel

TEXTS = ["good bad late", "late fast slow", "not very good"]
PLACES = [LayerSite(0, Site.FFN), LayerSite(1, Site.FFN), LayerSite(0, Site.HIDDEN)]


@pytest.fixture
def subject(tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model("bert")), "cpu")


def activations(subject: SubjectModel, pooling: Pooling, sites: list[LayerSite]) -> np.ndarray:
    settings = ExtractionSettings(pooling=pooling)
    return read([subject], tokenized(subject, TEXTS, settings), sites, settings).activations


@pytest.mark.parametrize("n_units", [1, 2, 48])
def test_directions_are_orthogonal_and_as_long_as_units(n_units: int) -> None:
    rotation = random_rotation(PLACES[0], n_units, 0)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(n_units), atol=1e-12)
    assert n_units == 1 or np.abs(rotation).max() < 1.0


def test_every_place_and_seed_has_its_own() -> None:
    drawn = [random_rotation(place, 16, seed) for place in PLACES for seed in (0, 1)]
    for number, one in enumerate(drawn):
        for other in drawn[:number]:
            assert np.abs(one - other).max() > 0.1
    np.testing.assert_array_equal(drawn[0], random_rotation(PLACES[0], 16, 0))


@pytest.mark.parametrize("pooling", list(Pooling))
def test_tokens_are_turned_before_they_are_pooled(pooling: Pooling, subject: SubjectModel) -> None:
    place = LayerSite(1, Site.FFN)
    turned = activations(subject.with_random_directions(7), pooling, [place])
    rotation = random_rotation(place, 48, 7).astype(np.float32)
    for text, found in zip(TEXTS, turned, strict=True):
        with torch.inference_mode(), captured(subject.architecture, [place]) as latest:
            subject.model(**subject.tokenizer(text, return_tensors="pt"))
        tokens = latest[place][0].numpy() @ rotation
        content = tokens[1:-1]
        expected = {
            Pooling.MAX: content.max(axis=0),
            Pooling.MEAN: content.mean(axis=0),
            Pooling.CLS: tokens[0],
        }[pooling]
        np.testing.assert_allclose(found.astype(np.float32), expected, rtol=2e-3, atol=2e-4)


def test_the_trained_model_stays_as_it_is(subject: SubjectModel) -> None:
    before = activations(subject, Pooling.MAX, PLACES)
    turned = subject.with_random_directions(1)
    assert turned.model is subject.model
    assert not np.array_equal(activations(turned, Pooling.MAX, PLACES), before)
    np.testing.assert_array_equal(activations(subject, Pooling.MAX, PLACES), before)
    for module in subject.model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_copies_and_other_processes_read_the_same_directions(subject: SubjectModel) -> None:
    turned = subject.with_random_directions(1)
    expected = activations(turned, Pooling.MAX, PLACES)
    elsewhere = replace(turned.source, loaded=None).load()
    assert elsewhere.fingerprint == turned.fingerprint != subject.fingerprint
    assert elsewhere.directions == turned.directions == RandomDirections(1)
    assert turned.source.key != subject.source.key
    for model in (elsewhere, turned.copied_to(torch.device("cpu"))):
        np.testing.assert_array_equal(activations(model, Pooling.MAX, PLACES), expected)


def test_directions_are_not_turned_again(subject: SubjectModel) -> None:
    with pytest.raises(ValueError, match="random directions already"):
        subject.with_random_directions(0).with_random_directions(1)
