"""Properties that every plot has, whatever it shows."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations, product
from xml.etree import ElementTree

import pytest

from eval.lexical import LexicalBaseline
from eval.null_distributions import NullDistributions
from eval.plot_canvas import DARK_INK, SERIES, WIDTH, Ink, draw, shown_name
from eval.plots import (
    BenchmarkPoint,
    Plot,
    benchmark_plot,
    calibration_plot,
    distribution_plots,
    evaluation_plots,
    lexical_histograms,
    null_histograms,
)
from eval.records import Figure
from eval.report_selection import ReportInputs

SVG = "{http://www.w3.org/2000/svg}"
NAMES = {
    "precision-recall",
    "risk-coverage",
    "layers-ffn",
    "planted",
    "nulls-ffn",
    "q-calibration",
    "lexical-ffn",
    "lexical-hidden",
    "benchmark",
}
HOSTILE = '<script>alert(1)</script> $x_1$ ]]> "\' style="fill:red" _\x00\u6f22'


def point(data_set: str, method: str, value: float | None = 0.6) -> BenchmarkPoint:
    return BenchmarkPoint(
        data_set=data_set, method=method, value=value, ci_low=0.5, ci_high=0.7,
        upper_bound=0.9 if method == "ours" else None, n=500,
    )  # fmt: skip


@pytest.fixture(scope="module")
def make(
    protocol_figures: list[Figure],
    nulls: NullDistributions,
    lexical: LexicalBaseline,
    demo_inputs: Callable[..., ReportInputs],
) -> Callable[[str], list[Plot]]:
    """Every plot, with the facets called by a name."""
    matches = lexical_histograms(lexical.record, demo_inputs().explanations)

    def build(facet: str) -> list[Plot]:
        named = [each.model_copy(update={"facet": facet}) for each in protocol_figures]
        benchmark = benchmark_plot([point(facet, "ours"), point(facet, f"_{facet}")])
        assert benchmark is not None
        return [*evaluation_plots(named, nulls=nulls, first_matches=matches), benchmark]

    return build


@pytest.fixture(scope="module")
def plots(make: Callable[[str], list[Plot]]) -> list[Plot]:
    return make("theme")


def texts(plot: Plot) -> list[str]:
    return [
        "".join(each.itertext()) for each in ElementTree.fromstring(plot.svg).iter(f"{SVG}text")
    ]


def test_there_is_a_plot_of_everything(plots: list[Plot]) -> None:
    assert {plot.name for plot in plots} == NAMES
    assert len(plots) == len(NAMES)


def test_same_input_gives_same_bytes(make: Callable[[str], list[Plot]], plots: list[Plot]) -> None:
    with ThreadPoolExecutor(2) as threads:
        again, meanwhile = threads.map(make, ("theme", "theme"))
    assert again == meanwhile == plots


def test_svg_has_title_description_and_nothing_active(plots: list[Plot]) -> None:
    for plot in plots:
        root = ElementTree.fromstring(plot.svg)
        assert (root.get("width"), root.get("height")) == (str(WIDTH), str(plot.height))
        assert root.findtext(f"{SVG}title") == plot.title
        assert root.findtext(f"{SVG}desc") == plot.alt
        assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {
            "svg", "title", "desc", "style", "defs", "clipPath", "g", "path", "rect", "text", "use",
        }  # fmt: skip
        names = {name for each in root.iter() for name in each.attrib}
        assert "style" not in names
        assert not [name for name in names if name.startswith("on")]
        links = {each.get("{http://www.w3.org/1999/xlink}href") for each in root.iter(f"{SVG}use")}
        assert all(link and link.startswith("#") for link in links)
        assert set(re.findall(r"url\((.)", plot.svg)) <= {"#"}
        assert not re.search(r"\b20\d\d-\d\d-\d\d", plot.svg)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("precision-recall", {"Precision@k", "Recall@k", "k: descriptors read per neuron"}),
        ("risk-coverage", {"Precision at rank 1", "Share of described neurons kept"}),
        ("layers-ffn", {"Neurons described", "Matches beyond random weights", "L0", "Layer"}),
        ("planted", {"Strength of the signal (standard deviations of the unit's noise)"}),
        (
            "nulls-ffn",
            {"Lower bound of the best descriptor's AUROC", "Share of neurons in a bin of 0.02"},
        ),
        ("q-calibration", {"q-value x (log scale)", "Share of pairs with q ≤ x (log scale)"}),
        ("lexical-ffn", {"AUROC of the first match on test sentences"}),
        ("benchmark", {"Precision@2", "theme", "ours", "_theme", "true labels (upper bound)"}),
    ],
)
def test_axes_and_panels_are_labelled(plots: list[Plot], name: str, labels: set[str]) -> None:
    (plot,) = [each for each in plots if each.name == name]
    assert labels | {plot.title} <= set(texts(plot))


def test_alternative_and_table_hold_the_numbers(plots: list[Plot]) -> None:
    told = {plot.name: plot.alt for plot in plots}
    assert (
        "precision 0.72 at k = 1 (null 0.03, baseline 0.02, true labels 0.90)"
        in (told["precision-recall"])
    )
    assert "theme (ffn): 0.88 with 10 % kept, 0.80 with 50 % kept" in told["risk-coverage"]
    assert "Precision@2 (τ 0.9), theme: L0 0.30, L1 0.50." in told["layers-ffn"]
    assert "Matches beyond random weights: L0 0.33." in told["layers-ffn"]
    assert "from hidden labels, theme: 0.25 at 0.5, 0.55 at 1.5, 0.70 at 2." in told["planted"]
    assert "shuffled sentences: 0 % of pairs have q ≤ 0.01" in told["q-calibration"]
    assert "random descriptors: 0 % of pairs have q ≤ 0.01, < 0.1 %" in told["q-calibration"]
    assert "theme: ours 0.60, _theme 0.60; true labels 0.90." in told["benchmark"]
    for plot in plots:
        width = len(plot.table.header)
        assert plot.table.rows
        assert all(len(row) == width for row in plot.table.rows)
    (layers,) = [plot.table.rows for plot in plots if plot.name == "layers-ffn"]
    assert (
        "Precision@2 (τ 0.9), theme",
        "L1",
        "0.50 [0.47, 0.53]",
        "0.05",
        "0.10",
        "300",
    ) in layers


def test_hostile_names_are_text_and_nothing_else(
    make: Callable[[str], list[Plot]], plots: list[Plot]
) -> None:
    def elements(plot: Plot) -> list[str]:
        return sorted(each.tag for each in ElementTree.fromstring(plot.svg).iter())

    hostile = make(HOSTILE)
    for plot, attacked in zip(plots, hostile, strict=True):
        assert "<script" not in attacked.svg
        assert elements(attacked) == elements(plot)
    shown = [text for plot in hostile for text in texts(plot) if "alert" in text]
    assert any(text.startswith("<script>alert(1)</script> $x_1$ ]]>") for text in shown)


def test_long_names_are_shortened_on_the_plot_only(make: Callable[[str], list[Plot]]) -> None:
    long = "a very long facet " * 20
    for plot in make(long):
        assert max(len(text) for text in texts(plot)) < 100
    assert any(
        long.strip() in cell for plot in make(long) for row in plot.table.rows for cell in row
    )


@pytest.mark.parametrize(
    ("text", "longest", "shown"),
    [
        ("plain", 9, "plain"),
        ("two\n lines ", 9, "two lines"),
        ("abcdefghij", 9, "abcdefgh…"),
        ("a\ud800b\x00", 9, "a\ufffdb\ufffd"),
    ],
)
def test_shown_name(text: str, longest: int, shown: str) -> None:
    assert shown_name(text, longest) == shown


def test_without_anything_to_draw_there_is_no_plot() -> None:
    assert evaluation_plots([]) == ()
    assert evaluation_plots([Figure.refused("planted", "too little")]) == ()
    assert calibration_plot([]) is None
    assert benchmark_plot([]) is None
    assert benchmark_plot([point("a", "ours", None)]) is None
    assert distribution_plots(null_histograms(NullDistributions()), "nulls") == ()


def test_a_benchmark_that_is_ambiguous_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\('a', 'ours'\) is given more than once"):
        benchmark_plot([point("a", "ours"), point("a", "ours", 0.3)])
    with pytest.raises(ValueError, match="11 methods, but 10 marks"):
        benchmark_plot([point("a", f"method {number}") for number in range(11)])


def test_drawing_leaves_the_settings_of_matplotlib_alone() -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 33.0, "svg.fonttype": "path"}):
        before = dict(matplotlib.rcParams)
        svg = draw("title", "alt", 200, lambda canvas: None)
        assert dict(matplotlib.rcParams) == before
    assert svg == draw("title", "alt", 200, lambda canvas: None)


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in channels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_inks_are_legible_on_light_and_dark_pages(plots: list[Plot]) -> None:
    assert set(DARK_INK) == set(Ink)
    for ink in set(Ink) - {Ink.GRID}:
        assert contrast(ink, "#ffffff") >= 4.5, ink
        assert contrast(DARK_INK[ink], "#171f25") >= 4.5, ink
    for plot, ink in product(plots, Ink):
        assert f'[stroke="{ink}"]{{stroke:{DARK_INK[ink]}}}' in plot.svg
    used = {
        colour
        for plot in plots
        for colour in re.findall(r'(?:fill|stroke)="(#[0-9a-f]{6})"', plot.svg)
    }
    assert used <= set(Ink)


def test_series_differ_by_more_than_colour() -> None:
    for one, other in combinations(SERIES, 2):
        assert one.dash != other.dash
        assert (one.marker, one.filled) != (other.marker, other.filled)
        assert replace(one, ink=other.ink) != other
