from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from descriptors.corpus import Labels
from eval.evaluation_file import read_evaluation, write_evaluation
from eval.facets import facet_populations, layer_populations
from eval.label_recovery import LabelRecoverySettings
from eval.metrics import Ranking
from eval.naming import label_words
from eval.records import Figure
from eval.table import full_tables
from eval.variants import Variant
from service.evaluated_run import EvaluatedRun
from service.label_recovery_protocol import figures as label_recovery_figures

SETTINGS = LabelRecoverySettings(minimum_positives=5, concept_units=4)


@pytest.fixture
def found(evaluated_run: EvaluatedRun) -> list[Figure]:
    return label_recovery_figures(evaluated_run, SETTINGS)


def test_every_facet_site_and_layer_is_told(
    found: list[Figure], evaluated_run: EvaluatedRun
) -> None:
    facets = set(evaluated_run.labels.facets)
    sites = {neuron.site.value for neuron in evaluated_run.neurons}
    layers = {neuron.layer for neuron in evaluated_run.neurons}
    assert {each.protocol for each in found} == {"label_recovery"}
    assert {each.facet for each in found} == facets
    judged = [each for each in found if each.metric == "judged_labels" and each.value]
    assert judged
    populations = facet_populations(found)
    assert {(each.facet, each.site) for each in populations if each.site} == {
        (each.facet, site) for each in judged for site in sites
    }
    assert {each.layer for each in layer_populations(found)} == layers
    readings = {Variant.parse(each.variant).reading for each in found}
    assert readings >= {
        *("", "described", "contained", "upper_bound", "every_label", "every_neuron"),
        *("concept", "concept upper_bound", "concept chance", "risk_coverage"),
    }
    named = [each for each in found if each.metric == "named_descriptors"]
    assert {each.facet for each in named} == {each.facet for each in judged}


def test_no_figure_comes_twice_and_all_can_be_written(found: list[Figure], tmp_path: Path) -> None:
    places = [(each.variant, each.metric, each.k, each.facet) for each in found]
    assert len(set(places)) == len(places)
    write_evaluation(tmp_path, found)
    assert read_evaluation(tmp_path) == found
    assert full_tables(found)
    for figure in found:
        assert str(Variant.parse(figure.variant)) == figure.variant
        if figure.ci_low is not None and figure.ci_high is not None and figure.value is not None:
            assert figure.ci_low - 1e-9 <= figure.value <= figure.ci_high + 1e-9


def test_the_same_run_gives_the_same_figures(
    found: list[Figure], evaluated_run: EvaluatedRun
) -> None:
    assert label_recovery_figures(evaluated_run, SETTINGS) == found


def test_what_names_a_label_is_measured_with_the_encoder(evaluated_run: EvaluatedRun) -> None:
    """With the words of a facet's labels as descriptors, those that mean a label say it."""
    labels = evaluated_run.labels.facet("theme")
    template = evaluated_run.catalog[0]
    evaluated_run.__dict__["catalog"] = [
        template.model_copy(update={"id": str(place), "text": label_words(name)})
        for place, name in enumerate(labels.names)
    ]
    evaluated_run.__dict__["membership"] = csr_matrix(labels.membership, dtype=np.float64)
    n_neurons = len(evaluated_run.neurons)
    nobody = Ranking(np.zeros((n_neurons, 5), np.int64), np.zeros(n_neurons, np.int64))
    evaluated_run.__dict__["rankings"] = (nobody, nobody)
    found = label_recovery_figures(evaluated_run, SETTINGS.model_copy(update={"naming_share": 0.3}))
    own = {each.metric: each for each in found if each.facet == "theme"}
    judged = own["judged_labels"]
    assert judged.value
    # The themes that could not be judged are descriptors that mean no judged label.
    said = own["named_descriptors"]
    assert (said.value, said.n) == (1.0, judged.value)
    covered = own["labels_with_a_descriptor"]
    assert (covered.value, covered.n) == (judged.value, judged.value)
    assert "named" in {Variant.parse(each.variant).reading for each in found}


def test_a_corpus_without_labels_is_refused(evaluated_run: EvaluatedRun) -> None:
    evaluated_run.__dict__["labels"] = Labels((), csr_matrix((0, len(evaluated_run.corpus))))
    (refused,) = label_recovery_figures(evaluated_run, SETTINGS)
    assert (refused.protocol, refused.metric, refused.value) == ("label_recovery", "refused", None)
    assert refused.reason.startswith("the corpus has no labels; expected labels")
