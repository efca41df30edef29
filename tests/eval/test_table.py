import io

import pytest
from rich.console import Console

from eval.records import Figure
from eval.table import markdown_table, terminal_tables, text_tables


def _figure(metric: str, value: float | None, **changes: object) -> Figure:
    contents: dict[str, object] = {
        "protocol": "label_recovery",
        "variant": "tau=0.9",
        "metric": metric,
        "k": 2,
        "split": "test",
        "value": value,
        "n": 321,
    }
    return Figure.model_validate(contents | changes)


_FIGURES = [
    _figure("described", 0.4, k=None, variant="every_neuron", n=9216),
    _figure("P", 0.65049, ci_low=0.6444, ci_high=0.66, null=0.0, baseline=0.041),
    _figure("R", 0.4, ci_low=0.39, ci_high=0.41, null=0.001, baseline=0.02),
    _figure("R_ceiling", 0.715),
    _figure("P", None, k=5, n=0),
    _figure("P", 0.5, facet="theme"),
]


def test_one_row_a_variant_and_k_in_a_table_a_facet() -> None:
    first, others, theme = text_tables(_FIGURES)
    assert first.title == "label_recovery, split test"
    assert first.header[:4] == ("variant", "k", "P", "P null")
    assert first.rows == (
        (
            *("tau=0.9", "2", "0.650 [0.644, 0.660]", "0.000", "0.041"),
            *("0.400 [0.390, 0.410]", "0.001", "0.020", "0.715", "321"),
        ),
        ("tau=0.9", "5", *["-"] * 7, "0"),
    )
    assert others.rows == (("every_neuron", "described", "-", "0.400", "-", "-", "9216"),)
    assert theme.title == "label_recovery, facet theme, split test"
    assert len(theme.rows) == 1


def test_markdown_has_a_rule_and_equal_columns() -> None:
    lines = markdown_table(_FIGURES[1:3]).splitlines()
    assert lines[0] == "**label\\_recovery, split test**"
    assert lines[3].startswith("| --- | ---: |")
    assert {line.count("|") for line in lines[2:]} == {11}
    assert "0.650 [0.644, 0.660]" in lines[4]
    assert markdown_table([]) == ""


def test_markdown_escapes_what_users_named() -> None:
    text = markdown_table([_figure("P", 0.5, facet="a|b<script>")])
    assert "facet a\\|b\\<script>" in text


def test_terminal_tables_print_every_cell_and_no_markup() -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=160)
    for table in terminal_tables([*_FIGURES, _figure("P", 0.25, facet="[red]x[/red]")]):
        console.print(table)
    shown = screen.getvalue()
    assert "0.650 [0.644, 0.660]" in shown
    assert "facet [red]x[/red]" in shown
    assert "described" in shown


def test_numbers_of_neurons_that_differ_are_both_shown() -> None:
    (table,) = text_tables([_figure("P", 0.5, n=4), _figure("R", 0.5, n=3)])
    assert table.rows[0][-1] == "4 / 3"


def test_a_figure_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="has P twice for k=2"):
        text_tables([_figure("P", 0.5), _figure("P", 0.6)])
