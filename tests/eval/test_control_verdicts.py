from typing import Any

import pytest

from eval.control_verdicts import Outcome, Reason, judge_figure, judge_protocols
from eval.records import Figure


def figure(**changed: Any) -> Figure:
    values: dict[str, Any] = {
        "protocol": "detection",
        "variant": "tail=+ site=ffn",
        "metric": "balanced_accuracy",
        "split": "test",
        "value": 0.6,
        "ci_low": 0.5,
        "ci_high": 0.7,
        "null": 0.1,
        "baseline": 0.2,
        "n": 30,
    }
    return Figure(**(values | changed))


def null(value: float, variant: str = "shuffled_sentences", **changed: Any) -> Figure:
    given: dict[str, Any] = {"protocol": "controls", "metric": "described", "null": None}
    return figure(variant=variant, value=value, **(given | {"baseline": 0.9} | changed))


@pytest.mark.parametrize(
    ("name", "given", "outcome"),
    [
        ("interval above both", figure(), Outcome.CLEARS),
        ("interval at the baseline", figure(baseline=0.5), Outcome.FAILS),
        ("few", figure(n=29, baseline=0.9), Outcome.TOO_FEW),
        ("few without controls", figure(n=29, null=None, baseline=None), None),
        ("refused", Figure.refused("detection", "too little"), Outcome.REFUSED),
        ("nobody qualifies", figure(value=None, ci_low=None, ci_high=None, n=0), None),
        ("no control", figure(null=None, baseline=None), None),
        ("no interval", figure(ci_low=None, ci_high=None), None),
        ("low tail", figure(variant="tail=- site=ffn", baseline=0.9), None),
        ("one layer", figure(variant="site=ffn layer=3", baseline=0.9), None),
        ("of a curve", figure(variant="coverage=0.1", baseline=0.9), None),
        ("nothing to find, little found", null(0.05), Outcome.CLEARS),
        ("nothing to find, much found", null(0.0504), Outcome.FAILS),
        ("nothing to find, of few", null(0.9, n=20), Outcome.TOO_FEW),
        ("random weights are no null", null(0.9, "random_weights"), None),
        ("beyond random weights", figure(protocol="controls", metric="learned"), Outcome.CLEARS),
        (
            "more significant pairs than promised",
            null(0.011, "random_descriptors q=0.01", metric="false_discovery_share"),
            Outcome.FAILS,
        ),
        ("describes only", figure(protocol="polysemanticity", metric="covered", null=0.9), None),
        ("either way", figure(protocol="causal", metric="shift", baseline=0.9), None),
        ("its excess", figure(protocol="causal", metric="excess", baseline=0.9), Outcome.FAILS),
        ("label recovery", figure(protocol="label_recovery", variant="tau=0.9", metric="P"), None),
        (
            "concepts",
            figure(protocol="label_recovery", variant="concept site=ffn", metric="AUROC"),
            Outcome.CLEARS,
        ),
        (
            "concepts by true labels",
            figure(protocol="label_recovery", variant="concept upper_bound", metric="AUROC"),
            None,
        ),
    ],
)
def test_outcome_of_a_figure(name: str, given: Figure, outcome: Outcome | None) -> None:
    verdict = judge_figure(given)
    assert (verdict and verdict.outcome) == outcome, name


def test_reasons_give_the_numbers() -> None:
    def reason(given: Figure) -> str:
        verdict = judge_figure(given)
        assert verdict is not None
        return verdict.reason

    assert reason(null(0.0504)) == (
        "5.04 % of neurons are described under shuffled sentences, where at most 5 % may be."
    )
    assert reason(null(0.0)) == (
        "0.00 % of neurons are described under shuffled sentences; at most 5 % may be."
    )
    assert reason(null(0.011, "shuffled_sentences q=0.01", metric="false_discovery_share")) == (
        "1.10 % of pairs have q ≤ 0.01 under shuffled sentences, where at most 1 % may be."
    )
    assert "starts at 0.50, not above baseline 0.55" in reason(figure(baseline=0.55))
    assert reason(figure(n=29)) == "n is 29, fewer than 30."
    assert reason(Figure.refused("cosy", "too little")) == "too little"


def test_a_protocol_fails_by_one_figure_and_failures_come_first() -> None:
    good, bad = figure(), figure(variant="union", baseline=0.9)
    refused = Figure.refused("detection", "no judge")
    protocols = judge_protocols(
        [
            figure(protocol="cosy"),
            good,
            bad,
            refused,
            figure(protocol="x", null=None, baseline=None),
        ]
    )
    assert [(each.protocol, each.outcome) for each in protocols] == [
        ("detection", Outcome.FAILS),
        ("cosy", Outcome.CLEARS),
        ("x", None),
    ]
    assert [each.figure for each in protocols[0].of(Outcome.FAILS)] == [bad]
    assert protocols[0].reasons(Outcome.REFUSED) == (Reason("no judge", "", 1),)
    (reason,) = protocols[0].reasons(Outcome.FAILS)
    assert (reason.place, reason.n_figures) == ("all its descriptors together", 1)


@pytest.mark.parametrize(
    ("figures", "outcome"),
    [
        ([figure(), Figure.refused("detection", "one judge only")], Outcome.CLEARS),
        ([figure(n=3), Figure.refused("detection", "one judge only")], Outcome.TOO_FEW),
        ([Figure.refused("detection", "one judge only")], Outcome.REFUSED),
    ],
)
def test_what_could_be_judged_decides(figures: list[Figure], outcome: Outcome) -> None:
    (protocol,) = judge_protocols(figures)
    assert protocol.outcome is outcome


def test_the_same_reason_is_told_once() -> None:
    sites = ("ffn", "hidden")
    refused = [Figure.refused("cosy", "too little", variant=f"site={site}") for site in sites]
    (protocol,) = judge_protocols(refused)
    assert protocol.reasons(Outcome.REFUSED) == (Reason("too little", "", 2),)


def test_the_reason_of_a_null_names_it_and_its_site() -> None:
    (protocol,) = judge_protocols([null(0.2, "random_descriptors site=ffn")])
    assert protocol.reasons(Outcome.FAILS) == (
        Reason(
            "20.00 % of neurons are described under random descriptors (ffn), where at most 5 % "
            "may be.",
            "",
            1,
        ),
    )


def test_label_recovery_goes_by_its_headline() -> None:
    def pair(variant: str, **changed: Any) -> list[Figure]:
        return [
            figure(protocol="label_recovery", variant=variant, metric=metric, k=2, **changed)
            for metric in ("P", "R")
        ]

    headline = pair("tau=0.9 tail=+ site=ffn")
    others = [
        *pair("tau=0.9 described tail=+ site=ffn", baseline=0.9),
        *pair("tau=0.9 tail=+ site=ffn layer=1", baseline=0.9),
    ]
    (protocol,) = judge_protocols([*others, *headline])
    assert protocol.outcome is Outcome.CLEARS
    assert [each.figure for each in protocol.verdicts] == headline
    (protocol,) = judge_protocols([*others, *pair("tau=0.9 tail=+ site=ffn", null=0.6)])
    assert protocol.outcome is Outcome.FAILS
