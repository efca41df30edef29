from typing import Any

import pytest

from eval.facets import (
    Cutoff,
    SharedNote,
    facet_populations,
    layer_populations,
    leading_populations,
    shared_notes,
)
from eval.records import Figure
from neurons.records import Tail


def figure(metric: str, variant: str, place: str = "tail=+ site=ffn", **changed: Any) -> Figure:
    values: dict[str, Any] = {
        "protocol": "label_recovery",
        "variant": f"{variant} {place}".rstrip(),
        "metric": metric,
        "k": 1,
        "split": "test",
        "facet": "theme",
        "value": 0.5,
        "n": 40,
    }
    return Figure(**(values | changed))


def pair(variant: str, **changed: Any) -> list[Figure]:
    return [figure("P", variant, **changed), figure("R", variant, **changed)]


def judged(value: float, facet: str = "theme") -> Figure:
    return figure("judged_labels", "every_label", "", facet=facet, k=None, value=value, n=5)


EMPTY = {"value": None, "n": 0}


def test_figures_of_a_cutoff_lie_side_by_side() -> None:
    figures = [
        judged(4),
        *pair("tau=0.8"),
        figure("R_ceiling", "tau=0.8", value=0.9),
        *pair("tau=0.8 random_descriptors", value=0.1),
        *pair("tau=0.8 upper_bound", value=0.8),
        *pair("tau=0.8 contained", value=0.6),
    ]
    (population,) = facet_populations(figures)
    assert (population.facet, population.site, population.tail) == ("theme", "ffn", Tail.POSITIVE)
    assert population.labels == figures[0]
    (cutoff,) = population.cutoffs
    assert (cutoff.cutoff, cutoff.n, cutoff.ceiling) == (Cutoff(0.8, 1), 40, figures[3])
    for compared, metric in ((cutoff.precision, "P"), (cutoff.recall, "R")):
        beside = (compared.random_descriptors, compared.upper_bound, compared.contained)
        assert [each.value for each in beside if each is not None] == [0.1, 0.8, 0.6]
        assert {each.metric for each in (compared.figure, *beside) if each is not None} == {metric}


def test_further_readings_lie_beside_a_cutoff() -> None:
    figures = [
        *pair("tau=0.8"),
        *pair("tau=0.8 named", value=0.3),
        figure("Success", "tau=0.8", value=0.7),
        figure("nDCG", "tau=0.8", value=0.65),
        figure("MAP", "tau=0.8", k=None, value=0.4),
    ]
    ((cutoff,),) = (each.cutoffs for each in facet_populations(figures))
    assert (cutoff.precision.named, cutoff.recall.named) == (figures[2], figures[3])
    assert (cutoff.success, cutoff.ndcg) == (figures[4], figures[5])


def test_single_layers_and_other_readings_never_mix_with_the_totals() -> None:
    total = [judged(4), *pair("tau=0.8", value=0.5)]
    layers = [
        each
        for layer in (0, 3)
        for each in pair("tau=0.8", place=f"tail=+ site=ffn layer={layer}", value=0.1 * layer)
    ]
    others = [
        figure("P", "concept", "site=ffn", k=50),
        figure("labels_with_a_descriptor", "concept", "", k=None),
        figure("named_descriptors", "every_label", "", k=None, value=0.9),
        figure("P", "tau=0.8 risk_coverage coverage=0.1"),
        figure("P", "tau=0.8 risk_coverage every_neuron coverage=0.1"),
        figure("AURC", "tau=0.8 risk_coverage", k=None),
    ]
    assert facet_populations([*others, *layers, *total]) == facet_populations(total)
    (population,) = leading_populations([*total, *others, *layers])
    assert (population.layer, population.labels) == (None, total[0])
    found = layer_populations([*total, *others, *layers])
    assert [(each.site, each.tail, each.layer) for each in found] == [
        ("ffn", Tail.POSITIVE, 0),
        ("ffn", Tail.POSITIVE, 3),
    ]
    assert [each.cutoffs[0].precision.figure.value for each in found] == pytest.approx([0.0, 0.3])
    assert found[0].labels == total[0]


def test_other_readings_alone_are_no_population() -> None:
    alone = [judged(0), figure("P", "concept", "site=ffn", k=50)]
    (population,) = facet_populations(alone)
    assert (population.site, population.cutoffs) == ("", ())
    assert population.note.startswith("None of its 5 labels")


def test_populations_are_told_apart_by_facet_site_and_tail() -> None:
    figures = [
        *pair("tau=0.8"),
        *pair("tau=0.8", place="tail=- site=ffn"),
        *pair("tau=0.8", place="tail=+ site=hidden"),
        *pair("tau=0.8", facet="stars"),
        *pair("tau=0.8", protocol="simulation"),
    ]
    assert [(each.facet, each.site, each.tail) for each in facet_populations(figures)] == [
        ("theme", "ffn", Tail.POSITIVE),
        ("theme", "ffn", Tail.NEGATIVE),
        ("theme", "hidden", Tail.POSITIVE),
        ("stars", "ffn", Tail.POSITIVE),
    ]
    assert len(leading_populations(figures)) == 3


@pytest.mark.parametrize(
    ("name", "figures", "headline", "note"),
    [
        ("as wanted", [*pair("tau=0.8"), *pair("tau=0.9", k=2)], Cutoff(0.9, 2), ""),
        (
            "fallback",
            [*pair("tau=0.8"), *pair("tau=0.9", k=2, **EMPTY)],
            Cutoff(0.8, 1),
            "No neuron carries 2 labels of this facet with an AUROC of 0.9 or more; shown are "
            "those that carry at least 1 with 0.8 or more.",
        ),
        (
            "too few for the headline",
            [*pair("tau=0.8", n=500), *pair("tau=0.9", k=2, n=29)],
            Cutoff(0.8, 1),
            "Only 29 neurons carry 2 labels of this facet with an AUROC of 0.9 or more; shown are "
            "those that carry at least 1 with 0.8 or more.",
        ),
        (
            "few either way",
            [*pair("tau=0.8", n=12), *pair("tau=0.9", k=2, n=12)],
            Cutoff(0.9, 2),
            "",
        ),
        (
            "nothing",
            [judged(5), *pair("tau=0.8", **EMPTY)],
            None,
            "No neuron carries a label of this facet this strongly (AUROC of 0.8 or more).",
        ),
        (
            "no label could be judged",
            [judged(0)],
            None,
            "None of its 5 labels has enough sentences to be judged.",
        ),
    ],
)
def test_headline_and_what_must_be_said_of_it(
    name: str, figures: list[Figure], headline: Cutoff | None, note: str
) -> None:
    (population,) = facet_populations(figures)
    found = population.headline
    assert (found and found.cutoff) == headline, name
    assert population.note == note, name


def test_shared_notes_name_each_facet_once_with_its_sites() -> None:
    silent = [
        *pair("tau=0.8", **EMPTY),
        *pair("tau=0.8", place="tail=+ site=hidden", **EMPTY),
        *pair("tau=0.8", facet="stars", **EMPTY),
        *pair("tau=0.9", place="tail=+ site=ffn", facet="fine", k=2),
    ]
    note = "No neuron carries a label of this facet this strongly (AUROC of 0.8 or more)."
    assert shared_notes(facet_populations(silent)) == (
        SharedNote(("theme (ffn, hidden)", "stars (ffn)"), note),
    )


def test_a_figure_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="has P twice for k=1"):
        facet_populations([*pair("tau=0.8"), figure("P", "tau=0.8", value=0.6)])
