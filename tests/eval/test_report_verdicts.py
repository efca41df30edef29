"""How the report says whether the descriptions hold up."""

import html
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from eval import report
from eval.report import page_fingerprint, render_report
from eval.report_content import ReportContent
from eval.report_selection import ReportInputs, build_content


@pytest.fixture(scope="module")
def demo(demo_inputs: Callable[..., ReportInputs]) -> ReportContent:
    return build_content(demo_inputs())


def words(page: str) -> str:
    """The text of a page, without its tags."""
    body = page[page.index("<body>") : page.index("<script>")]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def page_with(demo: ReportContent, **changed: object) -> str:
    figures = tuple(figure.model_copy(update=changed) for figure in demo.figures)
    return render_report(replace(demo, figures=figures))


def test_precision_stands_beside_what_other_rankings_reach(demo: ReportContent) -> None:
    visible = words(render_report(demo))
    assert "precision@2 0.72 [0.71, 0.73]" in visible
    assert "null 0.03 · baseline 0.02 · random 0.03 · true labels 0.90" in visible
    assert "3,254 neurons carry 2 or more of its 24 labels (AUROC ≥ 0.9)" in visible


def test_few_neurons_are_neither_success_nor_failure(demo: ReportContent) -> None:
    page = page_with(demo, n=29)
    assert "too few neurons to judge" in page
    assert '<span class="standing">clears its controls</span>' not in page
    assert '<div class="verdict is-grey">' in page
    assert "do not clear their controls" not in page_with(demo, n=29, null=0.99)


def test_a_facet_that_no_neuron_carries_is_named(demo: ReportContent) -> None:
    page = page_with(demo, value=None, ci_low=None, ci_high=None, n=0)
    assert "theme (ffn): No neuron carries a label of this facet this strongly" in words(page)
    assert '<div class="verdict ' not in page


def test_evaluation_details_are_closed_at_first(demo: ReportContent) -> None:
    page = render_report(demo)
    assert page.count('<details class="evaluation">') == 3
    assert '<details class="evaluation" open' not in page


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(0, 9, "0 %"), (9, 9, "100 %"), (9214, 9216, "> 99 %"), (6, 19708, "< 0.1 %"), (0, 0, "–")],
)
def test_shares_are_never_rounded_to_none_or_all(
    demo: ReportContent, part: int, whole: int, shown: str
) -> None:
    run = replace(demo.run, neurons=whole)
    page = render_report(replace(demo, run=run, neurons_described=part))
    assert f"{part:,} ({shown}) are described" in words(page)


def test_page_fingerprint_follows_the_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    before = page_fingerprint()
    assert page_fingerprint() == before
    monkeypatch.setattr(report, "page_part", lambda folder, name: f"another {folder} {name}")
    assert page_fingerprint() != before
