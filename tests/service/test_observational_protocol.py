"""The observational protocol on a run of a tiny model."""

import pytest

from eval.observational import PROTOCOL, ObservationalSettings
from service.evaluated_run import EvaluatedRun
from service.observational_protocol import figures
from service.tail_samples import described_samples, site_populations

LENIENT = ObservationalSettings(minimum_members=2, minimum_neurons=2)


def test_figures_of_a_run(evaluated_run: EvaluatedRun) -> None:
    found = figures(evaluated_run, LENIENT)
    assert {each.protocol for each in found} == {PROTOCOL}
    assert {each.split for each in found} == {"test"}
    told = [each for each in found if each.metric == "F1"]
    assert told
    for each in told:
        assert each.value is not None
        assert each.null is not None
        assert each.baseline is not None
        assert 0.0 <= each.value <= 1.0
    assert found == figures(evaluated_run, LENIENT)


def test_a_run_with_too_few_is_refused(evaluated_run: EvaluatedRun) -> None:
    strict = ObservationalSettings(minimum_neurons=10_000)
    found = figures(evaluated_run, strict)
    assert found
    assert all(each.value is None and "expected 10000 or more" in each.reason for each in found)


def test_tails_are_those_that_the_run_describes(evaluated_run: EvaluatedRun) -> None:
    neurons = evaluated_run.neurons
    populations = site_populations(evaluated_run)
    assert sum(each.neurons.size for each in populations) == len(neurons)
    for population in populations:
        assert {neurons[each].site.value for each in population.neurons} == {population.name}
    described = {key for key, each in evaluated_run.explanations.items() if each.matches}
    samples = described_samples(evaluated_run)
    judged = {
        (neurons[neuron], sample.tail) for sample in samples for neuron in sample.neurons.tolist()
    }
    assert judged == described
    assert all(len(each) <= 3 for each in described_samples(evaluated_run, 3))


@pytest.mark.parametrize("bad", [{"k": 0}, {"minimum_members": 0}, {"unknown": 1}])
def test_bad_settings(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        ObservationalSettings.model_validate(bad)
