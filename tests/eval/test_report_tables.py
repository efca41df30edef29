from typing import Any

from eval.records import Figure
from eval.report_tables import evaluation_tables
from neurons.records import Tail


def figure(variant: str, **changed: Any) -> Figure:
    values: dict[str, Any] = {
        "protocol": "label_recovery",
        "variant": variant,
        "metric": "P",
        "k": 2,
        "split": "test",
        "facet": "theme",
        "value": 0.6,
        "n": 30,
    }
    return Figure(**(values | changed))


FIGURES = [
    figure("every_label", metric="judged_labels", k=None),
    figure("every_label", metric="judged_labels", k=None, facet="stars"),
    figure("every_neuron tail=+ site=ffn", metric="described", k=None),
    figure("tau=0.9 tail=+ site=ffn"),
    figure("tau=0.9 upper_bound tail=+ site=ffn"),
    figure("tau=0.9 tail=+ site=ffn", k=5, value=None, n=0),
    figure("tau=0.9 tail=- site=ffn"),
    figure("tau=0.9 tail=+ site=ffn", facet="stars", value=None, n=0),
    figure("shuffled_sentences", protocol="controls", facet="", k=None),
]


def test_tables_group_by_protocol_facet_and_tail_then_by_site_tau_and_k() -> None:
    tables = evaluation_tables(FIGURES)
    assert [(each.protocol, each.facet, each.tail, each.n_figures) for each in tables] == [
        ("label_recovery", "", None, 2),
        ("label_recovery", "theme", Tail.POSITIVE, 3),
        ("label_recovery", "theme", Tail.NEGATIVE, 1),
        ("label_recovery", "stars", Tail.POSITIVE, 0),
        ("controls", "", None, 1),
    ]
    theme = tables[1]
    assert [group.heading for group in theme.groups] == ["ffn", "ffn, τ = 0.9, k = 2"]
    assert [row.reading for row in theme.groups[1].rows] == [
        "all neurons that qualify",
        "true labels as descriptors",
    ]
    assert [row.name for row in tables[0].groups[0].rows] == [
        "labels judged, theme",
        "labels judged, stars",
    ]
    assert tables[4].groups[0].rows[0].reading == "shuffled sentences"


def test_groups_that_no_neuron_reaches_are_named_and_all_others_shown() -> None:
    tables = evaluation_tables(FIGURES)
    assert [each.unreached for each in tables] == [
        (),
        ("ffn, τ = 0.9, k = 5",),
        (),
        ("ffn, τ = 0.9, k = 2",),
        (),
    ]
    shown = [row.figure for each in tables for group in each.groups for row in group.rows]
    assert sorted(shown, key=str) == sorted((each for each in FIGURES if each.n), key=str)
