"""The part of the report that shows every protocol, its verdict, its plots and its numbers."""

import base64
import html
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from eval.lexical import LexicalBaseline
from eval.null_distributions import NullDistributions
from eval.plots import evaluation_plots
from eval.protocol_words import PROTOCOLS
from eval.records import Figure
from eval.report import render_report
from eval.report_content import ReportContent
from eval.report_selection import ReportInputs, build_content


@pytest.fixture(scope="module")
def content(
    demo_inputs: Callable[..., ReportInputs],
    protocol_figures: list[Figure],
    nulls: NullDistributions,
    lexical: LexicalBaseline,
) -> ReportContent:
    inputs = replace(demo_inputs(), figures=protocol_figures, nulls=nulls, lexical=lexical)
    return build_content(inputs)


@pytest.fixture(scope="module")
def page(content: ReportContent) -> str:
    return render_report(content)


def words(part: str) -> str:
    """The text of a page, or of a part of one, without its tags."""
    body = part[part.find("<body>") : part.find("<script>")] if "<body>" in part else part
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def section(page: str, name: str) -> str:
    start = page.index(f'<section id="{name}">')
    return page[start : page.index("</section>", start)]


def test_plots_are_embedded_with_their_words(content: ReportContent, page: str) -> None:
    plots = evaluation_plots(
        content.figures, nulls=content.nulls, first_matches=content.first_matches
    )
    images = re.findall(r'<img src="data:image/svg\+xml;base64,([^"]+)"[^>]*alt="([^"]+)"', page)
    assert len(images) == len(plots) == 8
    visible = words(page)
    for plot, (picture, alt) in zip(plots, images, strict=True):
        assert base64.b64decode(picture).decode("utf-8") == plot.svg
        assert html.unescape(alt) == plot.alt
        for text in (plot.question, plot.about, *plot.table.header, *plot.table.rows[0]):
            assert text in visible
    assert page.count('<details class="numbers">') == len(plots)


def test_every_protocol_has_a_verdict_and_a_meaning(page: str) -> None:
    shown = re.findall(
        r'<div class="verdict protocol (is-\w+)">.*?<strong>(.*?)</strong>\s*'
        r'<span class="standing">(.*?)</span>',
        page,
        flags=re.DOTALL,
    )
    assert [(name, tone, standing) for tone, name, standing in shown] == [
        ("Simulation", "is-bad", "does not clear its controls"),
        ("CoSy", "is-bad", "does not clear its controls"),
        ("Controls", "is-bad", "does not clear its controls"),
        ("Label recovery", "is-good", "clears its controls"),
        ("Planted units", "is-good", "clears its controls"),
        ("Planted in the model", "is-grey", "not evaluated"),
        ("Observational", "is-good", "clears its controls"),
        ("Detection", "is-good", "clears its controls"),
        ("Fuzzing", "is-grey", "not evaluated"),
        ("Stability", "is-grey", "too few to judge"),
        ("Polysemanticity", "is-grey", "nothing to judge"),
        ("Causal", "is-good", "clears its controls"),
        ("Human check", "is-good", "clears its controls"),
        ("Homegrown", "is-grey", "nothing to judge"),
    ]
    visible = words(section(page, "evaluation"))
    for protocol in PROTOCOLS.values():
        assert protocol.question in visible
        assert protocol.reading in visible


def test_what_does_not_clear_its_controls_is_said_in_red_at_the_top(page: str) -> None:
    glance = section(page, "glance")
    assert glance.count('<div class="notice notice-bad" role="alert">') == 1
    start = glance.index("notice-bad")
    red = words(glance[start : glance.index("</div>", start)])
    assert "Does not clear its controls" in red
    assert "The interval of Pearson starts at 0.08, not above baseline 0.10." in red
    assert "9.30 % of neurons are described under random descriptors" in red
    assert "Planted" not in red
    assert "Observational" not in red


def test_without_failures_there_is_no_red(content: ReportContent) -> None:
    failing = {"simulation", "cosy", "controls"}
    good = tuple(figure for figure in content.figures if figure.protocol not in failing)
    page = render_report(replace(content, figures=good))
    assert "notice-bad" not in section(page, "glance")
    assert "of matches learned" not in page


def test_what_was_refused_is_said_with_its_reason(page: str) -> None:
    visible = words(section(page, "evaluation"))
    reason = "the run has imported its activations; run on a model"
    assert visible.count(f"Not evaluated: {reason}") == 2
    assert "Not evaluated: found 12 neurons with marked words, expected 20" in visible


def test_every_figure_is_in_a_table(content: ReportContent, page: str) -> None:
    rows = re.findall(r"<tr[^>]*>\s*<th scope=\"row\">.*?</tr>", page, flags=re.DOTALL)
    every = [words(row) for row in rows]
    for figure in content.figures:
        if figure.value is None:
            continue
        value = f"{figure.value:.2f}".replace("-", "\N{MINUS SIGN}")
        assert any(value in row and f"{figure.n:,}" in row for row in every), figure
    assert any(row.startswith("odd metric weird word, x 3 0.40") for row in every)
    assert any(row.startswith("F1 0.40 [0.37, 0.43]") for row in every)


def test_metrics_are_explained_below_their_table(page: str) -> None:
    visible = words(section(page, "evaluation"))
    assert "Balanced accuracy: the mean share of right answers" in visible
    assert "Excess: the shift in the wanted direction" in visible


def test_matches_stand_beside_random_weights(content: ReportContent, page: str) -> None:
    standings = [each for item in content.best for each in item.standings]
    labels = {each.label.value for each in standings if each is not None}
    assert labels == {"learned", "lexical"}
    assert None in standings
    shown = [each for each in standings if each is not None]
    assert page.count('<span class="lexical is-') == len(shown)
    first = next(each for each in shown if each.label.value == "learned")
    assert f"learned {first.excess:.3f} above what random weights reach" in words(page)
    assert "64 % of matches learned beyond random weights; of 7,000" in words(page)


def test_without_random_weights_nothing_is_said_of_them(
    demo_inputs: Callable[..., ReportInputs],
) -> None:
    page = render_report(build_content(demo_inputs()))
    assert '<span class="lexical' not in page
    assert "what random weights reach" not in page
