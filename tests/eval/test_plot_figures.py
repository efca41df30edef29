"""Which figures a plot is drawn from."""

from collections.abc import Callable
from typing import Any

import pytest

from eval.null_distributions import N_BINS
from eval.plot_histograms import HistogramSet, Steps, median
from eval.plot_layers import layer_plots
from eval.plot_planted import planted_plot
from eval.plot_risk_coverage import risk_coverage_plot
from eval.plots import Plot, cutoff_plot
from eval.records import Figure


def figure(variant: str, metric: str = "P", k: int | None = 2, **changed: Any) -> Figure:
    values: dict[str, Any] = {
        "protocol": "label_recovery",
        "variant": variant,
        "metric": metric,
        "k": k,
        "split": "test",
        "facet": "theme",
        "value": 0.5,
        "ci_low": 0.4,
        "ci_high": 0.6,
        "n": 40,
    }
    return Figure(**(values | changed))


def cells(plot: Plot | None, *columns: int) -> list[tuple[str, ...]]:
    assert plot is not None
    return [tuple(row[column] for column in columns) for row in plot.table.rows]


def test_layers_leave_out_controls_low_tails_and_too_few_neurons() -> None:
    figures = [
        figure("tau=0.9 tail=+ site=ffn layer=0", value=0.2),
        figure("tau=0.9 tail=+ site=ffn layer=1", n=29),
        figure("tau=0.9 tail=- site=ffn layer=2", value=0.9),
        figure("tau=0.9 upper_bound tail=+ site=ffn layer=3", value=0.9),
        figure("every_neuron tail=+ site=ffn layer=1", "described", None, value=0.6),
        figure("random_weights tail=+ site=ffn layer=2", "described", None, value=0.9),
        figure("random_directions tail=+ site=ffn layer=1", "learned", None, value=0.9),
        figure("random_weights tail=+ site=ffn layer=1", "learned", None, value=0.7),
        figure("every_neuron tail=+ site=ffn", "described", None, value=0.9),
    ]
    (plot,) = layer_plots(figures)
    assert cells(plot, 0, 1, 2) == [
        ("Neurons described", "L1", "0.60 [0.40, 0.60]"),
        ("Matches beyond random weights", "L1", "0.70 [0.40, 0.60]"),
        ("Precision@2 (τ 0.9), theme", "L0", "0.20 [0.40, 0.60]"),
    ]


@pytest.mark.parametrize(
    ("layers", "title"),
    [
        ({"0.9 2": 1, "0.9 1": 1, "0.8 2": 1, "0.8 1": 1}, "Precision@2 (τ 0.9), theme"),
        ({"0.9 2": 1, "0.9 1": 2, "0.8 2": 2, "0.8 1": 2}, "Precision@2 (τ 0.8), theme"),
        ({"0.9 1": 2, "0.8 2": 1, "0.8 1": 2}, "Precision@1 (τ 0.9), theme"),
        ({"0.9 2": 1, "0.9 1": 2, "0.8 2": 2, "0.8 1": 3}, "Precision@1 (τ 0.8), theme"),
    ],
)
def test_layers_are_judged_at_the_cutoff_that_most_reach(
    layers: dict[str, int], title: str
) -> None:
    figures = [
        figure(f"tau={cutoff.split()[0]} tail=+ site=ffn layer={layer}", k=int(cutoff.split()[1]))
        for cutoff, n_layers in layers.items()
        for layer in range(n_layers)
    ]
    (plot,) = layer_plots(figures)
    assert {row[0] for row in plot.table.rows} == {title}


def test_every_site_has_its_own_layers() -> None:
    figures = [figure(f"tau=0.9 tail=+ site={site} layer=0") for site in ("ffn", "hidden")]
    assert [plot.name for plot in layer_plots(figures)] == ["layers-ffn", "layers-hidden"]


def test_cutoffs_fall_back_where_no_neuron_qualifies() -> None:
    def pair(tau: str, k: int, **changed: Any) -> list[Figure]:
        variant = f"tau={tau} tail=+ site=ffn"
        return [figure(variant, metric, k, **changed) for metric in ("P", "R")]

    empty = {"value": None, "ci_low": None, "ci_high": None, "n": 0}
    figures = [
        *pair("0.8", 1),
        *pair("0.8", 2),
        *pair("0.9", 1, **empty),
        *pair("0.8", 5, n=29),
        *pair("0.8", 1, facet="stars", n=90),
        *pair("0.9", 1, facet="stars", n=60),
        *pair("0.9", 1, facet="rare", n=29),
    ]
    assert cells(cutoff_plot(figures), 0, 1, 2, 3) == [
        ("stars (ffn)", "precision", "0.9", "1"),
        ("stars (ffn)", "recall", "0.9", "1"),
        ("theme (ffn)", "precision", "0.8", "1"),
        ("theme (ffn)", "precision", "0.8", "2"),
        ("theme (ffn)", "recall", "0.8", "1"),
        ("theme (ffn)", "recall", "0.8", "2"),
    ]


def test_risk_coverage_is_of_one_tau_and_beside_random_and_perfect_order() -> None:
    def at(coverage: float, value: float, words: str = "tau=0.9 risk_coverage") -> Figure:
        variant = f"{words} coverage={coverage} tail=+ site=ffn"
        return figure(variant, k=1, value=value, null=0.4, baseline=0.1)

    figures = [
        at(0.5, 0.3, "tau=0.8 risk_coverage"),
        at(1.0, 0.4),
        at(0.2, 0.7),
        at(0.5, 0.9, "tau=0.9 risk_coverage every_neuron"),
        figure("tau=0.9 risk_coverage tail=+ site=ffn", "AURC", None),
        figure("tau=0.9 risk_coverage coverage=0.5 tail=- site=ffn", k=1, value=0.9),
    ]
    assert cells(risk_coverage_plot(figures), 1, 2, 3, 4, 5) == [
        ("20 %", "0.70 [0.40, 0.60]", "0.40", "0.10", "1.00"),
        ("100 %", "0.40 [0.40, 0.60]", "0.40", "0.10", "0.40"),
    ]
    assert risk_coverage_plot(figures[:2]) is None


def test_planted_units_have_a_line_for_each_source_of_gold() -> None:
    def planted(variant: str, value: float, **changed: Any) -> Figure:
        return figure(variant, protocol="planted", facet="", value=value, **changed)

    figures = [
        planted("gold=labels strength=2", 0.8),
        planted("gold=labels strength=0.5", 0.2),
        planted("gold=descriptors strength=2", 0.9),
        planted("counts gold=labels strength=2", 0.1),
        planted("gold=labels strength=2 number=3", 0.1),
        planted("gold=labels strength=2", 0.1, k=1),
        planted("gold=labels", 0.1),
        figure("gold=labels strength=2", facet=""),
    ]
    assert cells(planted_plot(figures), 0, 1, 2) == [
        ("gold from hidden labels", "0.5", "0.20 [0.40, 0.60]"),
        ("gold from hidden labels", "2", "0.80 [0.40, 0.60]"),
        ("gold from the catalog's descriptors", "2", "0.90 [0.40, 0.60]"),
    ]
    assert planted_plot([planted("gold=labels", 0.1)]) is None


def counted(place: int, count: int) -> tuple[int, ...]:
    return tuple(count if number == place else 0 for number in range(N_BINS))


@pytest.mark.parametrize("place", [0, 57, N_BINS - 1])
def test_median_of_counts(place: int) -> None:
    assert median(counted(place, 3)) == pytest.approx((place + 0.5) / N_BINS)


def test_counts_that_are_no_histogram_are_refused() -> None:
    build: Callable[..., HistogramSet] = HistogramSet
    with pytest.raises(ValueError, match="'run' has 2 counts, expected 100"):
        build("AUROC", "ffn", "", (Steps("run", (1, 2)),))
    with pytest.raises(ValueError, match="of 0 or more"):
        build("AUROC", "ffn", "", (Steps("run", counted(3, -1)),))
