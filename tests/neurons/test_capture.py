from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from neurons.capture import captured
from neurons.records import LayerSite, Site
from neurons.subject import SubjectModel


@pytest.fixture
def subject(family: str, tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model(family)), "cpu")


def forward(subject: SubjectModel) -> Any:
    inputs = subject.tokenizer("the battery broke again", return_tensors="pt")
    with torch.inference_mode():
        return subject.model(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
        ).last_hidden_state


def hooks(subject: SubjectModel) -> int:
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks)
        for module in subject.model.modules()
    )


def test_captures_the_selected_sites_and_leaves_no_hook(subject: SubjectModel) -> None:
    wanted = [LayerSite(0, Site.FFN), LayerSite(1, Site.HIDDEN)]
    before = hooks(subject)
    plain = forward(subject)
    with captured(subject.architecture, wanted) as latest:
        assert hooks(subject) == before + 2
        hooked = forward(subject)

    assert hooks(subject) == before
    assert torch.equal(plain, hooked)
    assert set(latest) == set(wanted)
    n_tokens = plain.shape[1]
    assert latest[wanted[0]].shape == (1, n_tokens, 48)
    assert latest[wanted[1]].shape == (1, n_tokens, 32)


def test_leaves_no_hook_after_an_exception(subject: SubjectModel) -> None:
    before = hooks(subject)
    sites = subject.architecture.layer_sites(Site)
    with pytest.raises(RuntimeError, match="stop"), captured(subject.architecture, sites):
        raise RuntimeError("stop")
    assert hooks(subject) == before


def test_leaves_no_hook_after_an_exception_inside_the_model(subject: SubjectModel) -> None:
    def failing(_layer_site: LayerSite, _tokens: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("inside the forward pass")

    before = hooks(subject)
    sites = subject.architecture.layer_sites(Site)
    with (
        pytest.raises(RuntimeError, match="inside"),
        captured(subject.architecture, sites, failing),
    ):
        forward(subject)
    assert hooks(subject) == before


def test_the_reduction_sees_each_site_under_its_own_name(subject: SubjectModel) -> None:
    sites = subject.architecture.layer_sites(Site)
    with captured(subject.architecture, sites) as raw:
        forward(subject)
    with captured(
        subject.architecture, sites, lambda site, tokens: tokens.sum() + site.layer
    ) as reduced:
        forward(subject)
    for site in sites:
        assert reduced[site].item() == (raw[site].sum() + site.layer).item()


def test_the_last_hidden_layer_is_what_the_model_returns(subject: SubjectModel) -> None:
    last = LayerSite(1, Site.HIDDEN)
    with captured(subject.architecture, [last]) as latest:
        returned = forward(subject)
    expected = latest[last]
    if subject.architecture.family == "ModernBERT":
        with torch.inference_mode():
            expected = subject.model.final_norm(expected)
    assert torch.equal(returned, expected)
