"""Stability on a run of a tiny model."""

from eval.records import Figure
from eval.stability import StabilitySettings
from service.evaluated_run import EvaluatedRun
from service.stability_protocol import figures

LENIENT = StabilitySettings(minimum_neurons=2, repeats=2)


def metrics_of(found: list[Figure], reading: str) -> list[Figure]:
    return [each for each in found if each.variant.startswith(f"{reading} ")]


def test_figures_of_a_run(evaluated_run: EvaluatedRun) -> None:
    found = figures(evaluated_run, LENIENT)
    assert {each.protocol for each in found} == {"stability"}
    assert {each.split for each in found} == {"discover+validation"}
    plain = [each for each in metrics_of(found, "exemplar_counts") if each.metric == "Jaccard"]
    n_sites = len(evaluated_run.settings.extraction.sites)
    assert len(plain) == 2 * n_sites
    for each in plain:
        assert each.value is not None
        assert each.null is not None
        assert each.baseline is not None
    described = [each for each in found if each.metric == "described"]
    assert len(described) == 2 * n_sites
    assert sum(each.n for each in described) == 2 * len(evaluated_run.neurons)
    assert found == figures(evaluated_run, LENIENT)


def test_neurons_are_drawn(evaluated_run: EvaluatedRun) -> None:
    some = LENIENT.model_copy(update={"neurons": 11, "repeats": 1})
    found = figures(evaluated_run, some)
    assert {each.n for each in found if each.metric == "described"} == {11}
    assert not metrics_of(found, "seeds")
