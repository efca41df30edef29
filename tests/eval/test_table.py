import io

import pytest
from rich.console import Console

from eval.records import Figure
from eval.table import (
    TextTable,
    compact_tables,
    full_tables,
    markdown_table,
    terminal_tables,
)


def _figure(metric: str, value: float | None, **changes: object) -> Figure:
    contents: dict[str, object] = {
        "protocol": "label_recovery",
        "variant": "tau=0.9 tail=+ site=ffn",
        "metric": metric,
        "k": 2,
        "split": "test",
        "facet": "theme",
        "value": value,
        "n": 321,
    }
    return Figure.model_validate(contents | changes)


_FIGURES = [
    _figure("judged_labels", 24.0, k=None, variant="every_label", n=25),
    _figure("described", 0.4, k=None, variant="every_neuron tail=+ site=ffn", n=9216),
    _figure("P", 0.65049, ci_low=0.6444, ci_high=0.66, null=0.0, baseline=0.041),
    _figure("R", 0.4, ci_low=0.39, ci_high=0.41, null=0.001, baseline=0.02),
    _figure("R_ceiling", 0.715),
    _figure("P", 0.9, variant="tau=0.9 upper_bound tail=+ site=ffn"),
    _figure("P", None, k=5, n=0),
    _figure("R", None, k=5, n=0),
    _figure("P", None, n=0, facet="stars"),
    _figure("R", None, n=0, facet="stars"),
    _figure("P", 0.5, variant="tau=0.9 tail=- site=ffn"),
    _figure("R", 0.5, variant="tau=0.9 tail=- site=ffn"),
]


def _shown(tables: list[TextTable], width: int = 80) -> str:
    screen = io.StringIO()
    console = Console(file=screen, width=width)
    for table in terminal_tables(tables):
        console.print(table)
    return screen.getvalue()


def test_compact_tables_have_one_row_a_cutoff() -> None:
    theme, stars = compact_tables(_FIGURES)
    assert theme.title == "theme, ffn: 24 of 25 labels judged; clears its controls at tau 0.9, k 2"
    assert theme.header == ("tau", "k", "P@k", "null", "baseline", "R@k", "ceiling", "n")
    assert theme.rows == (
        ("0.9", "2", "0.65 [0.64, 0.66]", "0.00", "0.04", "0.40 [0.39, 0.41]", "0.71", "321"),
    )
    assert (stars.title, stars.rows) == ("stars (ffn)", ())
    assert stars.note.startswith("No neuron carries a label of this facet this strongly")


def test_compact_tables_fit_eighty_columns_uncut() -> None:
    wide = {"ci_low": 0.1, "ci_high": 0.99, "null": 0.1, "baseline": 0.1, "n": 99999}
    shown = _shown(compact_tables([_figure("P", 0.5, **wide), _figure("R", 0.5, **wide)]))
    assert "0.50 [0.10, 0.99]  0.10      0.10  0.50 [0.10, 0.99]" in shown
    assert "99999" in shown
    assert "…" not in shown


def test_full_tables_hold_every_figure_once() -> None:
    labels, neurons, headline, theme_note, stars_note, negative = full_tables(_FIGURES)
    assert labels.title == "label_recovery, facet theme, split test"
    assert labels.rows == (("every_label", "judged_labels", "24.000", "-", "-", "25"),)
    assert neurons.rows == (("every_neuron", "described", "0.400", "-", "-", "9216"),)
    assert headline.title == (
        "label_recovery, facet theme, split test, site ffn, tail +, tau 0.9, k 2"
    )
    assert headline.rows == (
        ("headline", "P", "0.650 [0.644, 0.660]", "0.000", "0.041", "321"),
        ("headline", "R", "0.400 [0.390, 0.410]", "0.001", "0.020", "321"),
        ("headline", "R_ceiling", "0.715", "-", "-", "321"),
        ("upper_bound", "P", "0.900", "-", "-", "321"),
    )
    assert (theme_note.rows, theme_note.note) == ((), "no neuron qualifies at tau 0.9, k 5")
    assert stars_note.note == "no neuron qualifies at tau 0.9, k 2"
    assert "tail -" in negative.title
    assert len(negative.rows) == 2


def test_layers_and_coverages_are_rows_of_their_own() -> None:
    places = ("", " layer=0", " layer=3")
    figures = [
        *(_figure("P", 0.5, variant=f"tau=0.9 tail=+ site=ffn{place}") for place in places),
        *(
            _figure("P", 0.9, variant=f"tau=0.9 risk_coverage coverage={share} tail=+ site=ffn")
            for share in (0.1, 1)
        ),
    ]
    (table,) = full_tables(figures)
    assert [row[0] for row in table.rows] == [
        *("headline", "headline layer=0", "headline layer=3"),
        *("risk_coverage coverage=0.1", "risk_coverage coverage=1"),
    ]
    (compact,) = compact_tables([*figures, _figure("R", 0.4)])
    assert len(compact.rows) == 1


def test_full_tables_fit_eighty_columns_uncut() -> None:
    figure = _figure(
        "gold_labels", 0.123, variant="tau=0.9 random_descriptors tail=+ site=ffn", null=0.5,
        ci_low=0.1, ci_high=0.2, baseline=0.5, n=99999,
    )  # fmt: skip
    (row,) = [line for line in _shown(full_tables([figure])).splitlines() if "0.123" in line]
    assert row.split() == [
        *("random_descriptors", "gold_labels", "0.123", "[0.100,", "0.200]"),
        *("0.500", "0.500", "99999"),
    ]


def test_terminal_tables_print_no_markup() -> None:
    shown = _shown(full_tables([_figure("P", 0.25, facet="[red]x[/red]")]), width=100)
    assert "facet [red]x[/red]" in shown


def test_markdown_has_a_rule_and_equal_columns() -> None:
    lines = markdown_table(_FIGURES[2:4]).splitlines()
    assert lines[0] == (
        "**label\\_recovery, facet theme, split test, site ffn, tail +, tau 0.9, k 2**"
    )
    assert lines[3].startswith("| --- | --- | ---: |")
    assert {line.count("|") for line in lines[2:]} == {7}
    assert "0.650 [0.644, 0.660]" in lines[4]
    assert markdown_table([]) == ""


def test_markdown_escapes_what_users_named() -> None:
    text = markdown_table([_figure("P", 0.5, facet="a|b<script>")])
    assert "facet a\\|b\\<script>" in text


def test_a_figure_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="has P twice"):
        full_tables([_figure("P", 0.5), _figure("P", 0.6)])
