"""CoSy on a run of a tiny model, with retrieved and with generated texts."""

import numpy as np
import pytest

from eval.cosy import CosySettings, concept_auroc
from eval.records import Figure
from service.cosy_protocol import figures
from service.evaluated_run import EvaluatedRun
from service.tail_samples import described_samples

LENIENT = CosySettings(concept_texts=20, minimum_neurons=2)


def one(found: list[Figure], variant: str, metric: str) -> Figure:
    (figure,) = [each for each in found if (each.variant, each.metric) == (variant, metric)]
    return figure


def test_a_small_corpus_is_refused(evaluated_run: EvaluatedRun) -> None:
    (refused,) = figures(evaluated_run, CosySettings())
    n_test = len(evaluated_run.split_rows.test)
    assert refused.value is None
    assert refused.n == n_test
    assert f"found {n_test} test sentences, expected 100 concept texts" in refused.reason
    assert "200 test sentences" in refused.reason


def test_retrieved_texts_of_a_run(evaluated_run: EvaluatedRun) -> None:
    found = figures(evaluated_run, LENIENT)
    assert {each.protocol for each in found} == {"cosy"}
    told = [each for each in found if each.metric == "AUROC"]
    assert told
    for each in told:
        assert each.value is not None
        assert 0.0 <= each.value <= 1.0
        assert each.baseline is not None
    assert found == figures(evaluated_run, LENIENT)


def test_first_descriptors_against_brute_force(evaluated_run: EvaluatedRun) -> None:
    """The twenty test sentences nearest to the words, against all other test sentences."""
    run = evaluated_run
    test = run.split_rows.test
    found = figures(run, LENIENT)
    texts = run.whitening.apply(run.encoder.encode([each.text for each in run.catalog]))
    similarities = texts @ np.asarray(run.vectors[test]).T
    for sample in described_samples(run):
        if len(sample) < LENIENT.minimum_neurons:
            continue
        areas = []
        for place, neuron in enumerate(sample.neurons.tolist()):
            address = run.neurons[neuron]
            values = np.asarray(run.store.array(address.layer_site)[:, address.unit])[test]
            signed = values if sample.tail == "+" else -values
            order = np.argsort(-similarities[sample.ranking.descriptors[place, 0]], kind="stable")
            areas.append(concept_auroc(signed[order[:20]], signed[order[20:]]))
        assert one(found, sample.name, "AUROC").value == pytest.approx(np.mean(areas))


def test_generated_texts_are_read_by_the_model(evaluated_run: EvaluatedRun) -> None:
    """Texts of the corpus given as if generated score what those sentences score."""
    run = evaluated_run
    test = run.split_rows.test
    chosen = test[:20]
    generated = {each.text: list(run.corpus.texts_at(chosen)) for each in run.catalog}
    found = figures(run, LENIENT, generated)
    order = np.random.default_rng(run.settings.seed).permutation(test)
    sample = next(each for each in described_samples(run) if len(each) >= 2)
    areas = []
    for neuron in sample.neurons.tolist():
        address = run.neurons[neuron]
        values = np.asarray(run.store.array(address.layer_site)[:, address.unit], np.float64)
        signed = values if sample.tail == "+" else -values
        areas.append(concept_auroc(signed[chosen], signed[order]))
    told = one(found, f"generated {sample.name}", "AUROC")
    # The batches differ from those of the corpus, and so do the last digits.
    assert told.value == pytest.approx(np.mean(areas), abs=0.02)


def test_descriptors_with_too_few_generated_texts(evaluated_run: EvaluatedRun) -> None:
    few = {each.text: ["a phone"] * 19 for each in evaluated_run.catalog}
    found = figures(evaluated_run, LENIENT, few)
    assert found
    assert all("whose first descriptor has texts" in each.reason for each in found)


def test_no_hook_stays_on_the_model(evaluated_run: EvaluatedRun) -> None:
    generated = {each.text: ["a late phone"] * 20 for each in evaluated_run.catalog}
    figures(evaluated_run, LENIENT, generated)
    for module in evaluated_run.subject.model.modules():
        assert not module._forward_hooks
