"""The controls of every run of a benchmark, side by side."""

from eval.benchmark_controls import control_tables
from eval.benchmark_records import BenchmarkFigure, Column
from eval.benchmark_table import sections
from tests.eval.benchmark_results import figure, results, row

COLUMN = Column("bundled", "keyphrase")


def control(
    variant: str,
    metric: str,
    value: float,
    null: float | None = None,
    baseline: float | None = None,
) -> BenchmarkFigure:
    protocol = "stability" if metric == "Jaccard" else "controls"
    told = {"metric": metric, "null": null, "baseline": baseline}
    return figure("news", protocol, variant, value, **told)


FIGURES = [
    control("shuffled_sentences site=ffn", "described", 0.001, baseline=0.8),
    control("random_descriptors site=ffn", "described", 0.02, baseline=0.8),
    control("shuffled_sentences q=0.05", "false_discovery_share", 0.0004),
    control("random_weights", "learned", 0.5, null=0.05, baseline=0.06),
    control("random_weights layer=0 tail=+ site=ffn", "learned", 0.4),
    control("random_weights layer=1 tail=+ site=ffn", "learned", 0.7),
    control("random_weights layer=1 tail=- site=ffn", "learned", 0.1),
    control("random_directions layer=1 tail=+ site=ffn", "learned", 0.2),
    control("halves tail=+ site=ffn", "Jaccard", 0.57, null=0.01),
]


def test_the_worst_null_and_every_layer_are_shown() -> None:
    told = results([row("news"), row("mail")], FIGURES)
    controls, layers = control_tables(told, COLUMN, "ffn")
    assert controls.rows == (
        ("news", "0.800", "0.020", "0.0004", "0.500", "0.050", "0.570", "0.010"),
    )
    assert layers.header == ("data set", "L0", "L1")
    assert layers.rows == (("news", "0.400", "0.700"),)
    assert any(section.title.startswith("Controls: ") for section in sections(told))


def test_without_figures_there_is_no_table() -> None:
    told = results([row("news")])
    assert list(control_tables(told, COLUMN, "ffn")) == []
    assert not any(section.title.startswith("Controls: ") for section in sections(told))
