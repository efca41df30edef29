"""All protocols at a glance: what leads, and whether it clears its controls."""

from eval.protocol_table import protocol_tables
from eval.records import Figure


def figure(metric: str, value: float, null: float, variant: str = "tail=+ site=ffn") -> Figure:
    return Figure(
        protocol="observational", variant=variant, metric=metric, k=1, split="test", value=value,
        ci_low=value - 0.01, ci_high=value + 0.01, null=null, n=400,
    )  # fmt: skip


def test_failing_figures_come_first_and_reasons_below() -> None:
    refused = Figure.refused("observational", "found 7 neurons, expected 10 or more")
    figures = [figure("F1", 0.4, 0.1), figure("F1", 0.2, 0.3, "best tail=+ site=ffn"), refused]
    (table,) = protocol_tables(figures)
    assert table.title.startswith("Observational: ")
    assert [(row[1], row[2], row[-1]) for row in table.rows] == [
        ("best tail=+ site=ffn", "0.200 [0.190, 0.210]", "fails"),
        ("tail=+ site=ffn", "0.400 [0.390, 0.410]", "clears"),
    ]
    assert table.note == "found 7 neurons, expected 10 or more"


def test_many_figures_are_counted() -> None:
    figures = [figure("F1", 0.4, 0.1, f"reading{number} tail=+ site=ffn") for number in range(12)]
    (table,) = protocol_tables(figures)
    assert len(table.rows) == 8
    assert table.note == "12 figures are judged, 12 clear; --all shows them."


def test_label_recovery_has_tables_of_its_own() -> None:
    recovered = figure("P", 0.4, 0.1).model_copy(update={"protocol": "label_recovery"})
    assert protocol_tables([recovered]) == []
