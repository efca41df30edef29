"""The pages of a benchmark: complete, escaped, self-contained."""

import base64
import re
from html.parser import HTMLParser

import pytest

from eval.benchmark_page import benchmark_plots, html_page, markdown_page
from eval.benchmark_records import BenchmarkResults, ComparedSet
from eval.matchers import OURS
from tests.eval.benchmark_results import frequency_row, results, row, run

HOSTILE = "<script>alert(1)</script>|`*_[x](javascript:1)\ud800\x00"


class Page(HTMLParser):
    """Tags, attributes and texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture
def found() -> BenchmarkResults:
    return results(
        [
            row("one"),
            frequency_row("one"),
            row("one", "true_labels", precision=0.9, recall=0.7),
            row("one", tau=0.8, k=1, precision=0.123),
            row("one", tau=0.8, k=2, n=0, precision=None, recall=None),
            row("one", tail="-", precision=0.987),
            row("two", precision=0.61, n=12),
        ],
        sets=(
            ComparedSet(corpus="one"),
            ComparedSet(corpus="two"),
            ComparedSet(corpus="broken"),
        ),
        runs=(run("one"), run("two"), run("broken", reason=HOSTILE, seconds=None)),
    )


def parsed(found: BenchmarkResults) -> Page:
    page = Page()
    page.feed(html_page(found))
    return page


def test_markdown_tells_everything(found: BenchmarkResults) -> None:
    text = markdown_page(found)
    for wanted in (
        "neuroscribe benchmark --suite suite.json",
        "2026-01-31",
        "2 cores, 23 GB, A Processor",
        "python 3.11.9",
        "two topic: 12 neurons qualify, fewer than 50",
        "0.800 [0.750, 0.850]",
        "0.123",
        "no neuron qualifies at: tau 0.8, k 2",
        "FAILED",
        "20.0 min in 3 runs",
        "not measured",
        "| open |",
    ):
        assert wanted in text, wanted
    # The negative tail is in the Parquet file.
    assert "0.987" not in text


def test_every_table_of_the_markdown_page_is_rectangular(found: BenchmarkResults) -> None:
    widths = []
    for line in markdown_page(found).splitlines():
        if line.startswith("|"):
            widths.append(len(re.findall(r"(?<!\\)\|", line)))
        else:
            assert len(set(widths)) <= 1
            widths = []


def test_hostile_texts_are_escaped(found: BenchmarkResults) -> None:
    markdown = markdown_page(found)
    assert "<script>" not in markdown.replace("\\<script>", "")
    assert "](javascript" not in markdown
    markdown.encode("utf-8")
    page = parsed(found)
    assert "script" not in {tag for tag, _ in page.tags}
    assert any("alert(1)" in text for text in page.text)
    html_page(found).encode("utf-8")


def test_the_page_loads_nothing(found: BenchmarkResults) -> None:
    page = parsed(found)
    for tag, attributes in page.tags:
        for name in ("src", "href"):
            address = attributes.get(name)
            assert address is None or address.startswith(("data:", "#")), (tag, address)
        assert not any(name.startswith("on") for name in attributes)
    policy = next(attributes for tag, attributes in page.tags if "http-equiv" in attributes)
    assert "default-src 'none'" in str(policy["content"])


def test_anchors_of_the_contents_are_there(found: BenchmarkResults) -> None:
    page = parsed(found)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    wanted = [
        str(attributes["href"])[1:]
        for tag, attributes in page.tags
        if tag == "a" and str(attributes["href"]).startswith("#")
    ]
    assert wanted
    assert set(wanted) <= set(ids)


def test_missed_targets_stand_out(found: BenchmarkResults) -> None:
    assert ("tr", {"class": "missed"}) in parsed(found).tags


def test_plots_are_pictures_with_words(found: BenchmarkResults) -> None:
    pictures = [attributes for tag, attributes in parsed(found).tags if tag == "img"]
    assert len(pictures) == 2
    for attributes in pictures:
        kind, _, content = str(attributes["src"]).partition(",")
        assert kind == "data:image/svg+xml;base64"
        assert base64.b64decode(content).startswith(b"<svg")
        assert "one topic" in str(attributes["alt"])


def test_the_same_results_give_the_same_pages(found: BenchmarkResults) -> None:
    assert html_page(found) == html_page(found)
    assert markdown_page(found) == markdown_page(found)


def test_columns_are_compared_too() -> None:
    other = {"proposer": "embedded"}
    found = results(
        [row("one"), row("one", **other)], runs=(run("one"), run("one", **other)), matchers=(OURS,)
    )
    titles = [plot.title for plot in benchmark_plots(found)]
    assert len(titles) == 6
    assert sum("(bundled, embedded)" in title for title in titles) == 2


def test_more_methods_than_a_plot_has_marks() -> None:
    proposers = [f"transformers:model{number}" for number in range(11)]
    found = results(
        [row("one", proposer=each) for each in proposers],
        runs=tuple(run("one", proposer=each) for each in proposers),
        matchers=(OURS,),
    )
    plots = list(benchmark_plots(found))
    # One a column and metric, and all columns in two plots a metric.
    assert len(plots) == 2 * 11 + 2 * 2


def test_nothing_was_measured() -> None:
    found = results(
        [], sets=(ComparedSet(corpus="one"),), runs=(run("one", reason="no such file"),)
    )
    assert "no such file" in markdown_page(found)
    assert "no such file" in html_page(found)
    assert list(benchmark_plots(found)) == []
