from typing import Any

import pytest

from eval.records import Figure
from eval.verdicts import Standing, evaluation_tables, figure_name, headline_figures, judge


def figure(**changed: Any) -> Figure:
    values: dict[str, Any] = {
        "protocol": "label_recovery",
        "variant": "tau=0.9",
        "metric": "P",
        "k": 2,
        "split": "test",
        "value": 0.6,
        "ci_low": 0.5,
        "ci_high": 0.7,
        "null": 0.1,
        "baseline": 0.2,
        "n": 30,
    }
    return Figure(**(values | changed))


@pytest.mark.parametrize(
    ("name", "changed", "standing"),
    [
        ("interval above both", {}, Standing.CLEARS),
        ("only a null, cleared", {"baseline": None}, Standing.CLEARS),
        ("interval reaches the baseline", {"baseline": 0.5}, Standing.FAILS),
        ("interval below the null", {"null": 0.55}, Standing.FAILS),
        ("baseline above the value", {"baseline": 0.9}, Standing.FAILS),
        ("no control", {"null": None, "baseline": None}, Standing.UNDECIDED),
        ("no interval", {"ci_low": None, "ci_high": None}, Standing.UNDECIDED),
        ("no value", {"value": None, "ci_low": None, "n": 0}, Standing.UNDECIDED),
    ],
)
def test_standing(name: str, changed: dict[str, Any], standing: Standing) -> None:
    assert judge(figure(**changed)).standing is standing, name


def test_reason_names_only_the_controls_that_were_missed() -> None:
    reason = judge(figure(baseline=0.55)).reason
    assert reason == "The interval of precision@2 starts at 0.50, not above baseline 0.55."


def test_headline_figures_are_precision_and_recall_at_one_tau_and_k() -> None:
    wanted = [figure(), figure(metric="R"), figure(facet="aspect")]
    others = [
        figure(variant="tau=0.8"),
        figure(variant="tau=0.9 described"),
        figure(k=1),
        figure(metric="R_ceiling"),
        figure(protocol="simulation"),
    ]
    assert headline_figures([*others, *wanted]) == tuple(wanted)


def test_tables_group_by_protocol_and_facet_then_tau_and_k() -> None:
    figures = [
        figure(variant="every_neuron", metric="described", k=None),
        figure(),
        figure(variant="tau=0.9 upper_bound"),
        figure(k=5),
        figure(facet="aspect"),
        figure(protocol="controls", variant="shuffled_sentences", k=None),
    ]
    tables = evaluation_tables(figures)
    assert [(table.protocol, table.facet, table.n_figures) for table in tables] == [
        ("label_recovery", "", 4),
        ("label_recovery", "aspect", 1),
        ("controls", "", 1),
    ]
    assert [group.heading for group in tables[0].groups] == ["", "τ = 0.9, k = 2", "τ = 0.9, k = 5"]
    assert [row.variant for row in tables[0].groups[1].rows] == [
        "all neurons that qualify",
        "true labels as descriptors",
    ]
    assert tables[2].groups[0].rows[0].variant == "shuffled sentences"
    shown = [row.figure for table in tables for group in table.groups for row in group.rows]
    assert sorted(shown, key=str) == sorted(figures, key=str)


@pytest.mark.parametrize(
    ("metric", "k", "name"),
    [
        ("P", 5, "precision@5"),
        ("R_ceiling", 2, "reachable recall@2"),
        ("gold_labels", 2, "gold labels per neuron"),
        ("AUROC", None, "AUROC"),
        ("some_metric", 1, "some metric@1"),
    ],
)
def test_figure_names(metric: str, k: int | None, name: str) -> None:
    assert figure_name(figure(metric=metric, k=k)) == name
