from typing import Any

import pytest

from eval.records import Figure
from eval.verdicts import Standing, figure_name, headline_figures, judge, judge_facets


def figure(**changed: Any) -> Figure:
    values: dict[str, Any] = {
        "protocol": "label_recovery",
        "variant": "tau=0.9 tail=+ site=ffn",
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
        ("29 neurons", {"n": 29}, Standing.TOO_FEW),
        ("29 neurons that fail", {"n": 29, "null": 0.9}, Standing.TOO_FEW),
        ("no value", {"value": None, "ci_low": None, "n": 0}, Standing.UNDECIDED),
    ],
)
def test_standing(name: str, changed: dict[str, Any], standing: Standing) -> None:
    assert judge(figure(**changed)).standing is standing, name


def test_reason_names_only_the_controls_that_were_missed() -> None:
    reason = judge(figure(baseline=0.55)).reason
    assert reason == "The interval of precision@2 starts at 0.50, not above baseline 0.55."


def test_an_area_of_risk_must_lie_below_its_controls() -> None:
    area = {"metric": "AURC", "k": None, "baseline": None, "value": 0.2, "ci_low": 0.1}
    clears = judge(figure(**area, ci_high=0.3, null=0.4))
    assert clears.standing is Standing.CLEARS
    assert clears.reason == (
        "The interval of area under the risk-coverage curve ends at 0.30, below null 0.40."
    )
    assert judge(figure(**area, ci_high=0.4, null=0.4)).standing is Standing.FAILS


def both(**changed: Any) -> list[Figure]:
    return [figure(metric=metric, **changed) for metric in ("P", "R")]


def test_headline_figures_are_precision_and_recall_of_each_facet_and_site() -> None:
    wanted = [
        *both(),
        *both(variant="tau=0.9 tail=+ site=hidden"),
        *both(facet="aspect"),
    ]
    others = [
        *both(variant="tau=0.8 tail=+ site=ffn", k=1),
        *both(variant="tau=0.9 described tail=+ site=ffn"),
        *both(variant="tau=0.9 tail=- site=ffn"),
        *both(k=1),
        *both(variant="tau=0.9 tail=+ site=ffn layer=2"),
        *both(variant="tau=0.9 named tail=+ site=ffn"),
        figure(metric="R_ceiling"),
        *both(protocol="simulation"),
    ]
    assert sorted(headline_figures([*others, *wanted]), key=str) == sorted(wanted, key=str)


def test_headline_falls_back_where_no_neuron_qualifies() -> None:
    undefined = {"value": None, "ci_low": None, "ci_high": None, "n": 0}
    weaker = both(variant="tau=0.8 tail=+ site=ffn", k=1)
    assert headline_figures([*weaker, *both(**undefined)]) == tuple(weaker)
    assert headline_figures(both(**undefined)) == ()


def test_a_facet_is_judged_by_its_worse_figure() -> None:
    (verdict,) = judge_facets([figure(), figure(metric="R", baseline=0.55)])
    assert verdict.standing is Standing.FAILS
    assert verdict.decisive.name == "recall@2"


def test_facets_with_too_few_neurons_come_last() -> None:
    verdicts = judge_facets([*both(n=29), *both(facet="aspect", null=0.9)])
    assert [verdict.standing for verdict in verdicts] == [Standing.FAILS, Standing.TOO_FEW]


def test_containment_is_offered_only_where_it_clears_its_controls() -> None:
    failing = both(value=0.0, ci_low=0.0, ci_high=0.0)
    contained = figure(variant="tau=0.9 contained tail=+ site=ffn")
    (verdict,) = judge_facets([*failing, contained])
    assert verdict.narrower == contained
    (verdict,) = judge_facets([*failing, contained.model_copy(update={"null": 0.55})])
    assert verdict.narrower is None


@pytest.mark.parametrize(
    ("metric", "k", "name"),
    [
        ("P", 5, "precision@5"),
        ("R_ceiling", 2, "reachable recall@2"),
        ("gold_labels", 2, "gold labels per neuron"),
        ("judged_labels", None, "labels judged"),
        ("AUROC", None, "AUROC"),
        ("nDCG", 2, "nDCG@2"),
        ("MAP", None, "mean average precision"),
        ("some_metric", 1, "some metric@1"),
    ],
)
def test_figure_names(metric: str, k: int | None, name: str) -> None:
    assert figure_name(figure(metric=metric, k=k)) == name
