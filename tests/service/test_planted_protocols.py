"""Both protocols of planted units on a tiny run, from its files to figures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_matrix

from descriptors.corpus import Labels
from eval.planted import PlantedSettings
from eval.planted_model import PlantedModelSettings
from eval.records import Figure
from indexer.errors import InputError
from neurons.subject import SubjectModel
from service.evaluated_run import EvaluatedRun
from service.planted_model_protocol import figures as planted_model_figures
from service.planted_protocol import figures as planted_figures

SETTINGS = PlantedSettings(units=20, strengths=(3.0,), minimum_positives=5)
MODEL_SETTINGS = PlantedModelSettings(
    units=10, minimum_positives=5, fitted_others=60, natural_units=40
)


def only(figures: list[Figure], variant: str, metric: str) -> Figure:
    found = [each for each in figures if (each.variant, each.metric) == (variant, metric)]
    assert len(found) == 1, (variant, metric, sorted({each.variant for each in figures}))
    return found[0]


def without_labels(run: EvaluatedRun) -> None:
    run.labels = Labels((), run.labels.membership[:0])


def with_words_as_labels(run: EvaluatedRun) -> None:
    """One facet: which common words stand in a sentence."""
    texts = [set(run.corpus.text(row).casefold().split()) for row in range(len(run.corpus))]
    words = ("and", "for", "in", "is", "it", "my", "of", "to", "was", "with")
    holds = csr_matrix(np.array([[word in text for text in texts] for word in words]))
    run.labels = Labels(tuple(f"word:{word}" for word in words), holds)


def test_concepts_planted_in_activations_are_judged(evaluated_run: EvaluatedRun) -> None:
    figures = planted_figures(evaluated_run, SETTINGS)
    assert {each.protocol for each in figures} == {"planted"}
    described = only(figures, "gold=descriptors strength=3", "described")
    assert described.n == 20
    assert described.value is not None
    assert described.value > 0.5
    assert only(figures, "gold=descriptors every_concept", "plantable_concepts").value is not None
    assert {each.facet for each in figures if each.variant.startswith("gold=labels")} == set(
        evaluated_run.labels.facets
    )
    assert planted_figures(evaluated_run, SETTINGS) == figures


def test_a_run_without_labels_is_judged_by_its_catalog_alone(evaluated_run: EvaluatedRun) -> None:
    without_labels(evaluated_run)
    for figures in (
        planted_figures(evaluated_run, SETTINGS),
        planted_model_figures(evaluated_run, MODEL_SETTINGS),
    ):
        assert "no labels" in only(figures, "gold=labels", "refused").reason
        assert any(each.value is not None for each in figures)


def test_concepts_planted_in_the_model_are_judged(evaluated_run: EvaluatedRun) -> None:
    with_words_as_labels(evaluated_run)
    before = {
        name: value.clone() for name, value in evaluated_run.subject.model.state_dict().items()
    }
    figures = planted_model_figures(evaluated_run, MODEL_SETTINGS)
    assert {each.protocol for each in figures} == {"planted_model"}
    area = only(figures, "gold=descriptors", "AUROC")
    assert area.n == 10
    assert area.value is not None
    assert area.null is not None
    assert area.value > area.null + 0.1
    precision = only(figures, "gold=descriptors", "P")
    assert (precision.k, precision.split, precision.n) == (1, "test", 10)
    assert precision.value is not None
    assert precision.value >= (precision.null or 0.0)
    words = only(figures, "gold=labels upper_bound", "P")
    assert (words.facet, words.n) == ("word", 10)
    after = evaluated_run.subject.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert planted_model_figures(evaluated_run, MODEL_SETTINGS) == figures


def test_imported_activations_are_refused(evaluated_run: EvaluatedRun) -> None:
    def imported() -> SubjectModel:
        raise InputError("the run has imported its activations")

    with_words_as_labels(evaluated_run)
    evaluated_run._subject = imported
    (figure,) = planted_model_figures(evaluated_run, MODEL_SETTINGS)
    assert (figure.metric, figure.reason) == ("refused", "the run has imported its activations")


def test_a_gated_model_is_refused(
    evaluated_run: EvaluatedRun, tiny_model: Callable[[str], Path]
) -> None:
    with_words_as_labels(evaluated_run)
    gated = SubjectModel.load(str(tiny_model("modernbert")), "cpu")
    evaluated_run._subject = lambda: gated
    (figure,) = planted_model_figures(evaluated_run, MODEL_SETTINGS)
    assert figure.metric == "refused"
    assert "are gated" in figure.reason


def test_concepts_that_are_too_rare_are_refused(evaluated_run: EvaluatedRun) -> None:
    demanding = {"minimum_positives": 1000}
    for figures in (
        planted_figures(evaluated_run, SETTINGS.model_copy(update=demanding)),
        planted_model_figures(evaluated_run, MODEL_SETTINGS.model_copy(update=demanding)),
    ):
        assert {each.metric for each in figures} == {"refused"}
        assert all("can be planted, expected 2 or more" in each.reason for each in figures)
