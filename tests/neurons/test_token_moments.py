from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neurons.records import LayerSite, NeuronId, Site
from neurons.subject import SubjectModel
from neurons.token_moments import token_moments
from neurons.tokens import token_activations

TEXTS = ["the battery broke again", "very good sound", "late delivery or slow refund", "good"]


@pytest.fixture
def subject(tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model("bert")), "cpu")


@pytest.mark.parametrize("budget", [8, 4096])
def test_moments_are_those_of_all_content_tokens(subject: SubjectModel, budget: int) -> None:
    sites = [LayerSite(1, Site.FFN), LayerSite(0, Site.HIDDEN)]
    found = token_moments(subject, TEXTS, sites, token_budget=budget)
    for site in sites:
        units = range(subject.architecture.units(site.site))
        neurons = [NeuronId(site.layer, site.site, unit) for unit in units]
        read = token_activations(subject, TEXTS, neurons)
        tokens = np.concatenate([each.activations for each in read]).astype(np.float64)
        assert found[site].n_tokens == len(tokens)
        np.testing.assert_allclose(found[site].mean, tokens.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(found[site].deviation, tokens.std(axis=0), atol=1e-5)


def test_texts_without_content_are_refused(subject: SubjectModel) -> None:
    with pytest.raises(ValueError, match="1 texts have no content tokens"):
        token_moments(subject, [""], [LayerSite(0, Site.FFN)])
