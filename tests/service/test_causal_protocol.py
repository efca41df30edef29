from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eval.causal import CausalSettings
from eval.records import Figure
from indexer.encoder import SentenceEncoder
from neurons.records import Explanation, NeuronId, Site, Tail
from neurons.split_rows import SplitRows
from service.causal_protocol import figures
from service.causal_sample import CausalSample
from service.evaluated_run import EvaluatedRun

SETTINGS = CausalSettings(neurons=12, controls=3, directions=3, moment_sentences=40)


@pytest.fixture
def found(evaluated_run: EvaluatedRun) -> list[Figure]:
    return figures(evaluated_run, SETTINGS)


def test_figures_of_a_run(evaluated_run: EvaluatedRun, found: list[Figure]) -> None:
    told = [each for each in found if each.value is not None]
    assert {each.protocol for each in found} == {"causal"}
    assert {each.metric for each in told} == {
        "cosine",
        "shift",
        "beats_controls",
        "excess",
        "specific",
    }
    everyone = {each.variant for each in told if each.n == 12}
    assert everyone >= {
        "ablate site=ffn",
        "ablate target=text site=ffn",
        "ablate random_direction site=ffn",
        "steer strength=4 site=ffn",
        "steer strength=4 target=text site=ffn",
        "steer random_direction strength=4 site=ffn",
    }
    for each in told:
        assert each.null is not None
        assert (each.baseline is None) == ("random_direction" in each.variant)
        assert each.ci_low is not None
        assert each.ci_high is not None
        assert each.value is not None
        assert each.ci_low <= each.value <= each.ci_high
    assert found == figures(evaluated_run, SETTINGS)


def test_each_strength_has_its_figures(evaluated_run: EvaluatedRun) -> None:
    settings = SETTINGS.model_copy(update={"strengths": (1.0, 8.0)})
    shifts = {
        each.variant: each.value
        for each in figures(evaluated_run, settings)
        if each.metric == "cosine" and each.n == 12
    }
    weak, strong = (shifts[f"steer strength={each} site=ffn"] for each in (1, 8))
    assert weak != strong


def test_the_hidden_site(evaluated_run: EvaluatedRun) -> None:
    settings = SETTINGS.model_copy(update={"site": Site.HIDDEN, "neurons": 10})
    told = figures(evaluated_run, settings)
    assert any(each.variant == "ablate site=hidden" and each.value is not None for each in told)


def test_what_is_drawn(evaluated_run: EvaluatedRun) -> None:
    run = evaluated_run
    sample = CausalSample(run, SETTINGS)
    membership = run.membership.toarray() > 0.0
    test = set(run.split_rows.test.tolist())
    discover = set(run.split_rows.discover.tolist())
    for each in sample.drawn():
        described = each.described
        neuron = described.neuron
        explanation = run.explanations[neuron, described.tail]
        assert run.catalog[described.descriptor].id == explanation.matches[0].descriptor_id
        values = run.store.array(neuron.layer_site)[:, neuron.unit].astype(np.float64)
        towards = values if described.tail is Tail.POSITIVE else -values
        rest = sorted(test - set(each.firing.tolist()))
        assert len(each.firing) == 20
        assert set(each.firing.tolist()) <= test
        assert towards[each.firing].min() >= towards[rest].max()
        assert len(set(each.others.tolist())) == 20
        assert set(each.others.tolist()) <= test
        assert not membership[described.descriptor, each.others].any()
        assert neuron.unit not in each.controls
        for unit in each.controls.tolist():
            for tail in Tail:
                other = run.explanations[NeuronId(neuron.layer, neuron.site, unit), tail]
                names = [match.descriptor_id for match in other.matches]
                assert run.catalog[described.descriptor].id not in names
        rows = sample.target_rows(described.descriptor)
        assert set(rows.members.tolist()) | set(rows.others.tolist()) <= discover
        assert membership[described.descriptor, rows.members].all()
        assert not membership[described.descriptor, rows.others].any()
        strength = 4.0 if described.tail is Tail.POSITIVE else -4.0
        assert vars(each.experiment(4.0).operation) == {"deviations": strength}


def test_another_encoder_has_no_text_targets(
    evaluated_run: EvaluatedRun, tiny_model: Callable[[str], Path]
) -> None:
    other = SentenceEncoder.load(str(tiny_model("mpnet")), "cpu")
    run = EvaluatedRun(
        evaluated_run.path,
        evaluated_run.settings,
        subject=lambda: evaluated_run.subject,
        encoder=lambda: other,
        engine=evaluated_run.engine,
    )
    found = figures(run, SETTINGS)
    about_text = [each for each in found if "target=text" in each.variant]
    assert len(about_text) == 1
    assert about_text[0].value is None
    assert "is not the space of the encoder" in about_text[0].reason
    assert any(each.value is not None for each in found)


def test_imported_activations_are_refused(evaluated_run: EvaluatedRun) -> None:
    settings = evaluated_run.settings.model_copy(update={"model": "neurox:activations.json"})
    run = EvaluatedRun(
        evaluated_run.path,
        settings,
        subject=lambda: pytest.fail("there is no model"),
        encoder=lambda: evaluated_run.encoder,
        engine=evaluated_run.engine,
    )
    refused = only(figures(run, SETTINGS))
    assert refused.reason.startswith("the activations come from neurox:activations.json")


def test_too_few_described_neurons_are_refused(evaluated_run: EvaluatedRun) -> None:
    described = [each for each in evaluated_run.explanations.values() if each.matches]
    silent = set(map(id, described[9:]))
    evaluated_run.__dict__["explanations"] = {
        key: (Explanation(neuron=each.neuron, tail=each.tail) if id(each) in silent else each)
        for key, each in evaluated_run.explanations.items()
    }
    refused = only(figures(evaluated_run, SETTINGS))
    assert "can be judged, expected 10 or more" in refused.reason
    assert refused.n <= 9


def test_too_few_test_sentences_are_refused(evaluated_run: EvaluatedRun) -> None:
    rows = evaluated_run.split_rows
    evaluated_run.__dict__["split_rows"] = SplitRows(
        rows.discover, rows.validation, rows.test[:19], rows.documents
    )
    refused = only(figures(evaluated_run, SETTINGS))
    assert refused.reason.startswith("the test split has 19 sentences, expected 20 or more")
    assert refused.n == 19


def only(found: list[Figure]) -> Figure:
    assert len(found) == 1
    assert found[0].value is None
    assert found[0].metric == "refused"
    return found[0]
