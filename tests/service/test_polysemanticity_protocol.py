"""Polysemanticity on a run of a tiny model."""

from eval.polysemanticity import PolysemanticitySettings
from service.evaluated_run import EvaluatedRun
from service.polysemanticity_protocol import figures
from service.tail_samples import described_samples

LENIENT = PolysemanticitySettings(minimum_neurons=2)


def test_figures_of_a_run(evaluated_run: EvaluatedRun) -> None:
    found = figures(evaluated_run, LENIENT)
    assert {each.protocol for each in found} == {"polysemanticity"}
    for metric in ("exemplar_groups", "covered", "several_descriptors"):
        told = [each for each in found if each.metric == metric]
        assert told
        assert all(each.value is not None and each.split == "test" for each in told)
    for each in found:
        if each.metric in {"exemplar_groups", "covered"}:
            assert each.null is not None
    for sample in described_samples(evaluated_run):
        shares = [
            each
            for each in found
            if (each.variant, each.metric) == (sample.name, "several_descriptors")
        ]
        assert [each.value for each in shares] == [sample.several.mean()] * (len(sample) >= 2)
    assert found == figures(evaluated_run, LENIENT)


def test_a_small_corpus_is_refused(evaluated_run: EvaluatedRun) -> None:
    (refused,) = figures(evaluated_run, PolysemanticitySettings(fewest_exemplars=500))
    assert refused.value is None
    assert "expected 1000 or more" in refused.reason
