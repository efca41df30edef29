import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from descriptors.lm_proposer import GenerationUsage
from descriptors.proposer import RejectionCount
from eval.contributions import PRECISION, SHARE
from eval.records import Figure
from eval.report import (
    HIGHLIGHT_STEPS,
    MEANING_OF_REASON,
    render_report,
    write_report,
)
from eval.report_content import LMUsage, NamedCount, NamedText, ReportContent, StageTime
from eval.report_selection import ReportInputs, build_content
from eval.variants import Variant
from indexer.errors import RunError
from neurons.records import (
    AbstentionReason,
    Explanation,
    Tail,
)

PAYLOADS = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "{{7*7}}",
    "&amp;",
    "<!-- <svg onload=alert(2)>",
    "\"' onmouseover=alert(3) x='",
    "]]></style><style>body{display:none}</style>",
)
Build = Callable[..., ReportInputs]


@pytest.fixture(scope="module")
def demo(demo_inputs: Build) -> ReportContent:
    return build_content(demo_inputs())


@pytest.fixture(scope="module")
def hostile_page(demo_inputs: Build) -> str:
    """A report whose every text is an attack, the names that plots show among them."""
    texts = tuple(f"{PAYLOADS[row % len(PAYLOADS)]} {row}" for row in range(60))
    inputs = demo_inputs(phrases=PAYLOADS, texts=texts)
    payload = " ".join(PAYLOADS)
    run = replace(
        inputs.run,
        corpus=payload,
        model=payload,
        encoder=payload,
        proposers=(payload,),
        pooling=payload,
        splits=(NamedCount(payload, 60),),
        stages=(StageTime(payload, 1.0),),
        usages=(
            LMUsage(payload, GenerationUsage(requests=3, failures=(RejectionCount(payload, 2),))),
        ),
        versions=(NamedText(payload, payload),),
        notes=(payload,),
        manifest=(NamedText(payload, payload),),
    )
    figures = [
        Figure(
            protocol="label_recovery", variant=f"tau=0.9 tail=+ site={payload.split()[0]}",
            metric=metric, k=2, split=payload, facet=payload,
            value=0.1, ci_low=0.0, ci_high=0.2, null=0.1, n=40,
        )
        for metric in ("P", "R")
    ]  # fmt: skip
    figures.append(
        Figure(protocol=payload, variant=payload, metric=payload, split=payload, value=0.1, n=4)
    )
    figures += [
        Figure.refused(payload, payload),
        figures[0].model_copy(update={"protocol": payload, "variant": payload, "ci_low": -1.0}),
    ]
    figures += [
        figure.model_copy(
            update={
                "variant": str(replace(Variant.parse(figures[0].variant), proposer=payload)),
                "metric": metric,
                "n": n,
            }
        )
        for figure in figures[:1]
        for metric, n in ((SHARE, 90), (PRECISION, 60))
    ]
    descriptors = [
        item.model_copy(
            update={
                "proposer": f"{payload} + {item.proposer}" if row % 2 else payload,
                "reason": "" if item.kept else payload,
            }
        )
        for row, item in enumerate(inputs.descriptors)
    ]
    return render_report(
        build_content(replace(inputs, run=run, descriptors=descriptors, figures=figures))
    )


class Page(HTMLParser):
    """The elements, attributes and texts of a page, with its script and style aside."""

    VOID = frozenset({"meta", "link", "input", "br", "img"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.comments: list[str] = []
        self.parts: dict[str, list[str]] = {"script": [], "style": []}
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> repeats an attribute: {names}"
        self.elements.append((tag, dict(attrs)))
        if tag in self.parts:
            self.parts[tag].append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes nothing"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.parts:
            self.parts[self.open[-1]][-1] += data
        else:
            self.text.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def attribute(self, name: str) -> list[str]:
        return [found for _, attrs in self.elements if (found := attrs.get(name)) is not None]

    def named(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [
            attrs
            for found, attrs in self.elements
            if found == tag and all(attrs.get(name) == value for name, value in wanted.items())
        ]

    @property
    def visible(self) -> str:
        return " ".join(" ".join(self.text).split())


def plots(page: Page) -> list[dict[str, str | None]]:
    """The images that hold their picture themselves and have a text alternative."""
    return [
        attrs
        for attrs in page.named("img")
        if set(attrs) == {"src", "width", "height", "alt"}
        and (attrs["src"] or "").startswith("data:image/svg+xml;base64,")
        and attrs["alt"]
    ]


def test_every_element_is_closed_and_ids_are_unique(demo: ReportContent) -> None:
    page = Page(render_report(demo))
    assert page.open == []
    ids = page.attribute("id")
    assert len(ids) == len(set(ids))
    targets = {href.removeprefix("#") for href in page.attribute("href") if href.startswith("#")}
    assert targets <= set(ids)


def test_hostile_texts_add_no_element_attribute_or_comment(hostile_page: str) -> None:
    page = Page(hostile_page)
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 1
    assert tags.count("style") == 1
    assert {attrs["alt"] for attrs in page.named("img")} == {attrs["alt"] for attrs in plots(page)}
    assert page.comments == []
    assert page.open == []
    names = {name for _, attrs in page.elements for name in attrs}
    assert not {name for name in names if name.startswith("on")}
    assert "style" not in names


def test_hostile_texts_are_shown_as_they_are(hostile_page: str) -> None:
    page = Page(hostile_page)
    for payload in PAYLOADS:
        assert payload in page.visible
        assert payload in page.attribute("data-text")
        assert any(example.startswith(payload) for example in page.attribute("data-example"))
    assert "{{7*7}}" in hostile_page


def test_script_and_style_are_the_packaged_ones_and_the_only_ones_allowed(
    demo: ReportContent, hostile_page: str
) -> None:
    plain, hostile = Page(render_report(demo)), Page(hostile_page)
    assert plain.parts == hostile.parts
    (policy,) = [
        meta["content"] for meta in plain.named("meta", **{"http-equiv": "Content-Security-Policy"})
    ]
    assert policy is not None
    for part in ("script", "style"):
        (body,) = plain.parts[part]
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{part}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_nothing_is_loaded_from_anywhere(demo: ReportContent, hostile_page: str) -> None:
    for text in (render_report(demo), hostile_page):
        page = Page(text)
        assert len(page.attribute("src")) == len(plots(page)) > 0
        assert {href for href in page.attribute("href") if not href.startswith("#")} == {"data:,"}
        assert "url(" not in page.parts["style"][0]
        assert "@import" not in page.parts["style"][0]
        assert not re.search(r"https?:|fetch\(|XMLHttpRequest|import\(", page.parts["script"][0])


def test_same_content_gives_same_bytes(demo_inputs: Build) -> None:
    first = render_report(build_content(demo_inputs()))
    assert first == render_report(build_content(demo_inputs()))
    assert len(first) < 1_000_000


def test_every_section_shows_its_numbers(demo: ReportContent) -> None:
    page = Page(render_report(demo))
    assert "40 descriptors kept of 88 proposed" in page.visible
    assert f"{demo.neurons_described} ({demo.neurons_described} %) are described" in page.visible
    assert len(page.named("a", **{"class": "bubble"})) == 40
    neurons = [attrs for tag, attrs in page.elements if attrs.get("class") == "neuron"]
    assert len(neurons) == len(demo.best) == 40
    for item in demo.abstentions:
        assert MEANING_OF_REASON[item.reason] in page.visible
    assert "near duplicate 31" in page.visible
    assert "precision@2" in page.visible
    assert "ffn, τ = 0.9, k = 2" in page.visible
    assert "No neuron qualifies at: ffn, τ = 0.8, k = 5; ffn, τ = 0.9, k = 5." in page.visible
    assert "exemplar z 12.5" in page.visible.replace("\xa0", " ")
    assert "3 sentences were left out as exact duplicates." in page.visible
    assert "Time, 42.2 s in all" in page.visible


def test_what_proposers_contributed_is_shown(demo_inputs: Build) -> None:
    inputs = demo_inputs()
    usage = GenerationUsage(
        requests=56, prompt_tokens=41_234, completion_tokens=1_250,
        retried=2, failures=(RejectionCount("server_failed", 3),),
    )  # fmt: skip
    run = replace(inputs.run, usages=(LMUsage("openai:m", usage),))
    shares = [
        Figure(
            protocol="label_recovery", variant=f"tau=0.9 proposer={name} tail={sign} site=ffn",
            metric=metric, k=2, split="test", facet="theme", value=value, ci_low=value - 0.01,
            ci_high=value + 0.01, null=0.03, baseline=0.5 if metric == SHARE else None, n=n,
        )
        for sign in "+-"
        for name, metric, value, n in (
            ("embedded", SHARE, 0.42, 500),
            ("embedded", PRECISION, 0.61, 210),
            ("embedded+keyphrase", SHARE, 0.58, 500),
        )
    ]  # fmt: skip
    figures = [*inputs.figures, *shares]
    page = Page(render_report(build_content(replace(inputs, run=run, figures=figures))))
    assert "keyphrase 74 26 0 48 near duplicate 31, does not retrieve its group 12" in page.visible
    assert "embedded 14 14 0 0 –" in page.visible
    assert "theme (ffn), τ = 0.9, k = 2: 500 predictions" in page.visible
    assert "embedded 0.42 [0.41, 0.43] 0.03 0.50 0.61 [0.60, 0.62] 0.03 210" in page.visible
    assert "embedded + keyphrase 0.58 [0.57, 0.59] 0.03 0.50 – – 0" in page.visible
    assert "openai:m 56 41,234 1,250 2 server failed 3" in page.visible
    assert "precision of predictions" in page.visible


def test_one_proposer_alone_is_not_compared(demo_inputs: Build) -> None:
    inputs = demo_inputs()
    alone = [each.model_copy(update={"proposer": "keyphrase"}) for each in inputs.descriptors]
    content = build_content(replace(inputs, descriptors=alone))
    assert content.contributions == ()
    page = Page(render_report(content)).visible
    assert "What the proposers contributed" not in page
    assert "What the LMs took" not in page


def test_exemplar_tokens_carry_value_and_strength(demo: ReportContent) -> None:
    page = Page(render_report(demo))
    shown = [attrs for tag, attrs in page.elements if "token" in (attrs.get("class") or "").split()]
    by_class = {f"token a{step}" for step in range(HIGHLIGHT_STEPS + 1)}
    exemplar_tokens = [attrs for attrs in shown if attrs["class"] in by_class]
    strongest = [attrs["title"] for attrs in exemplar_tokens if attrs["class"] == "token a10"]
    assert len(exemplar_tokens) > 40 * 5 * 5
    assert set(strongest) == {"3.100", "\N{MINUS SIGN}3.100"}


def test_figures_above_their_controls_raise_no_notice(demo: ReportContent) -> None:
    page = render_report(demo)
    assert "do not clear their controls" not in page
    assert "clears its controls" in page


def test_figures_at_their_controls_raise_a_red_notice(demo_inputs: Build) -> None:
    page = Page(render_report(build_content(demo_inputs(value=0.04))))
    assert "This run's figures do not clear their controls." in page.visible
    assert page.named("div", **{"class": "notice notice-bad", "role": "alert"})
    reason = "theme (ffn): The interval of precision@2 starts at 0.03, not above null 0.03."
    assert reason in page.visible


def test_a_corpus_without_labels_is_said_to_have_none(demo_inputs: Build) -> None:
    page = Page(render_report(build_content(demo_inputs(labelled=False))))
    assert "This corpus has no labels, so label recovery could not be run." in page.visible
    assert "do not clear their controls" not in page.visible
    assert "This run has no evaluation figures." in page.visible


def test_a_run_that_found_nothing_still_reports(demo_inputs: Build) -> None:
    inputs = demo_inputs(labelled=False)
    empty = replace(
        inputs,
        descriptors=[item for item in inputs.descriptors if not item.kept],
        membership=csr_matrix((0, len(inputs.texts))),
        vectors=np.zeros((0, 12), dtype=np.float32),
        explanations=[
            Explanation(neuron="L0.ffn.1", tail=tail, reason=AbstentionReason.NO_MATCH)
            for tail in Tail
        ],
        exemplars=[],
    )
    page = Page(render_report(build_content(empty)))
    assert "No descriptor was kept, so there is no map." in page.visible
    assert "No neuron is described, so there is none to show." in page.visible
    assert "2 of 2 tails (100 %) are left undescribed" in page.visible


def test_texts_that_utf8_cannot_hold_are_marked(demo: ReportContent) -> None:
    odd = replace(demo, run=replace(demo.run, corpus="a\ud800b\x00c"))
    page = render_report(odd)
    assert "a\ufffdb\ufffdc" in page
    page.encode("utf-8")


def test_every_abstention_reason_has_a_meaning() -> None:
    assert set(MEANING_OF_REASON) == set(AbstentionReason)


def test_write_report_writes_what_is_rendered(demo: ReportContent, tmp_path: Path) -> None:
    path = tmp_path / "run" / "report.html"
    write_report(path, demo)
    assert path.read_text(encoding="utf-8") == render_report(demo)
    assert [item.name for item in path.parent.iterdir()] == ["report.html"]


def test_write_report_names_a_place_that_cannot_be_written(
    demo: ReportContent, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"report\.html"):
        write_report(tmp_path / "file" / "report.html", demo)
