from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from indexer.errors import BackendError
from neurons.capture import captured
from neurons.parity import PARITY_TEXTS, check_parity, require_parity
from neurons.records import LayerSite, Site
from neurons.subject import SubjectModel


def test_every_family_is_captured_faithfully(
    family: str, tiny_model: Callable[[str], Path]
) -> None:
    report = require_parity(SubjectModel.load(str(tiny_model(family)), "cpu"))
    assert report.passed
    assert report.layers == 2
    assert report.texts == len(PARITY_TEXTS)
    assert max(report.hidden_relative_difference, report.ffn_relative_difference) < 1e-5


def test_the_ffn_site_is_gelu_of_the_first_projection(tiny_model: Callable[[str], Path]) -> None:
    subject = SubjectModel.load(str(tiny_model("bert")), "cpu")
    inputs = subject.tokenizer("the phone broke", return_tensors="pt")
    site = LayerSite(0, Site.FFN)
    block = subject.model.get_submodule("encoder.layer.0")
    with torch.inference_mode():
        with captured(subject.architecture, [site]) as latest:
            subject.model(**{name: inputs[name] for name in ("input_ids", "attention_mask")})
        embedded = subject.model.get_submodule("embeddings")(input_ids=inputs["input_ids"])
        attended = block.get_submodule("attention")(embedded)[0]
        dense = block.get_submodule("intermediate.dense")
        x = attended @ dense.weight.T + dense.bias
        expected = 0.5 * x * (1.0 + torch.erf(x / 2**0.5))
    torch.testing.assert_close(latest[site], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("part", ["feed_forwards", "block_outputs"])
def test_a_wrong_capture_point_is_noticed(part: str, tiny_model: Callable[[str], Path]) -> None:
    subject = SubjectModel.load(str(tiny_model("bert")), "cpu")
    swapped = dataclasses.replace(
        subject.architecture, **{part: getattr(subject.architecture, part)[::-1]}
    )
    broken = dataclasses.replace(subject, architecture=swapped)
    assert not check_parity(broken).passed
    with pytest.raises(BackendError, match="differ from what it computes"):
        require_parity(broken)


def test_numbers_that_are_not_numbers_do_not_pass(tiny_model: Callable[[str], Path]) -> None:
    subject = SubjectModel.load(str(tiny_model("bert")), "cpu")
    with torch.no_grad():
        subject.architecture.down_projections[1].weight.fill_(float("nan"))
    assert not check_parity(subject).passed


def test_parity_needs_texts(tiny_model: Callable[[str], Path]) -> None:
    with pytest.raises(ValueError, match="at least one text"):
        check_parity(SubjectModel.load(str(tiny_model("bert")), "cpu"), [])


@pytest.mark.slow
def test_the_bundled_model_is_captured_faithfully() -> None:
    report = require_parity(SubjectModel.load("bundled", "cpu"))
    assert report.layers == 6
    assert report.hidden_relative_difference < 1e-5
    assert report.ffn_relative_difference < 1e-5
