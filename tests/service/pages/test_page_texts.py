"""Every page of a run of hostile texts: whole, and with nothing in it that a browser would run."""

from collections import Counter
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from service.views.records import NeuronFilter
from service.views.run_view import RunView

pytestmark = pytest.mark.slow

RUN = "hostile"
MARKUP = "<script>alert(1)</script>"
VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "use"}
IMPLIED = {"li", "option", "tr", "td", "th", "tbody", "thead", "p", "dt", "dd"}


class ReadPage(HTMLParser):
    """A page as a browser would take it apart; ends that do not fit are kept in `misfits`."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.misfits: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.misfits.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_every_page_is_whole(pages: TestClient, page_paths: list[str]) -> None:
    for path in page_paths:
        answer = pages.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 200, path
        check(path, answer.text)


def check(path: str, text: str) -> ReadPage:
    """Check what holds for every page."""
    read = ReadPage(text)
    assert not read.misfits, (path, read.misfits)
    assert not read.open, (path, read.open)
    assert len(read.of("h1")) == len(read.of("main")) == 1, path
    ids = Counter(each["id"] for _, each in read.elements if "id" in each)
    assert max(ids.values()) == 1, (path, ids.most_common(1))
    for script in read.of("script"):
        assert "src" in script or script.get("type") == "application/json", path
        assert str(script.get("src", "/static/")).startswith("/static/"), path
    for tag, attributes in read.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes), path
        for name in ("href", "src", "action"):
            assert str(attributes.get(name) or "/").startswith(("/", "#")), (path, tag, attributes)
    assert MARKUP not in text, path
    assert "alert(2)'>" not in text, path
    return read


def test_texts_are_shown_as_they_are(pages: TestClient, hostile: RunView) -> None:
    neuron = hostile.tails(NeuronFilter(), offset=0, limit=1).items[0].neuron
    tops = hostile.neuron(neuron).tails[0].exemplars.top
    read = ReadPage(pages.get(f"/runs/{RUN}/neurons/{neuron}").text)
    for record in tops:
        assert record.text in read.text


def test_a_seeded_phrase_of_markup_is_shown_as_it_is(pages: TestClient, hostile: RunView) -> None:
    found = hostile.descriptors(search="onclick", kept=None, offset=0, limit=5).items
    assert found
    assert "<b>" in found[0].text
    for path in ("", f"/{quote(found[0].id)}"):
        read = ReadPage(pages.get(f"/runs/{RUN}/descriptors{path}").text)
        assert found[0].text in read.text
        assert not read.of("b")


def test_what_is_typed_comes_back_as_text(pages: TestClient) -> None:
    for panel in ("", "/panel"):
        answer = pages.post(f"/runs/{RUN}/text{panel}", data={"text": f"good {MARKUP} battery"})
        assert answer.status_code == 200
        assert MARKUP not in answer.text
        assert "alert(1)" in ReadPage(answer.text).text


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/runs/none", 404, "there is no run"),
        ("/nothing", 404, "Not Found"),
        (f"/runs/{RUN}/neurons/L9.ffn.1", 404, "L9.ffn.1"),
        (f"/runs/{RUN}/neurons/<script>", 404, "&lt;script&gt;"),
        (f"/runs/{RUN}/descriptors/none", 404, "none"),
        (f"/runs/{RUN}/neurons?layer=many", 422, "layer"),
        (f"/runs/{RUN}/neurons?described=perhaps", 422, "perhaps"),
        (f"/runs/{RUN}/neurons?offset=-1", 422, "offset"),
        (f"/runs/{RUN}/neurons/go?address=L1", 422, "L1"),
        (f"/runs/{RUN}/descriptors?kept=7", 422, "kept"),
        ("/jobs/none", 404, "none"),
        ("/jobs?offset=x", 422, "offset"),
    ],
)
def test_errors_are_pages(pages: TestClient, path: str, status: int, words: str) -> None:
    answer = pages.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == status
    assert words in answer.text
    check(path, answer.text)


def test_a_text_that_cannot_be_read_is_told_on_its_page(pages: TestClient) -> None:
    for text in (" ", "x" * 6000):
        answer = pages.post(f"/runs/{RUN}/text", data={"text": text})
        assert answer.status_code == 422
        assert "expected" in answer.text or "blank" in answer.text
        check("text", answer.text)


def test_a_form_that_is_none_is_refused(pages: TestClient) -> None:
    answer = pages.post(
        f"/runs/{RUN}/text",
        content=b"text=%ff%fe",
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "text/html",
        },
    )
    assert answer.status_code == 422
    assert "cannot be read" in answer.text


def test_static_files_are_kept_for_ever_and_compressed(pages: TestClient) -> None:
    read = ReadPage(pages.get(f"/runs/{RUN}/map").text)
    addresses = [str(each["href"]) for each in read.of("link")]
    addresses += [str(each["src"]) for each in read.of("script") if "src" in each]
    assert any("plotly" in address for address in addresses)
    for address in addresses:
        answer = pages.get(address, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
        again = pages.get(address, headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304


def test_pages_are_not_kept_by_others(pages: TestClient) -> None:
    answer = pages.get("/")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "nonce-" in answer.headers["Content-Security-Policy"]
    nonce = answer.headers["Content-Security-Policy"].split("'nonce-")[1].split("'")[0]
    assert f'nonce="{nonce}"' in answer.text
    assert nonce not in pages.get("/").text
