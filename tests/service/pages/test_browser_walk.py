"""The explorer in a real browser: upload, job, explanation, edit, matching again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

CHROMIUM = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)
CHECKS = Path(__file__).with_name("accessibility.js").read_text(encoding="utf-8")
NARROW, WIDE = {"width": 320, "height": 800}, {"width": 1280, "height": 900}
SECONDS_OF_A_JOB = 240
MILLISECONDS = 1000
ROWS_SHOWN = 5
MODEL = "tiny"
# Words that the tiny model's tokenizer knows.
THINGS = (
    *("battery charger", "delivery", "refund money"),
    *("loud sound", "screen colour", "case button"),
)
OPENINGS = (
    *("The {} was good", "My {} broke after three days", "I love the {}", "We hate this {}"),
    *("A very slow {}", "Is the {} late again", "The quality of the {} is not bad", "One {} works"),
)
ENDS = (".", " and fits.", " before two weeks.", " or not.", " again.")
WATCH = """
  window.violations = [];
  document.addEventListener("securitypolicyviolation", (event) =>
    window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


class Visitor:
    """A browser's page that keeps what goes wrong on the way."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        page.add_init_script(WATCH)
        page.on("console", lambda told: self._note(told.type, told.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))
        page.on("request", lambda asked: self._note_request(asked.url))

    def go(self, path: str) -> None:
        self.page.goto(self.url + path.removeprefix("/"))

    def check(self) -> None:
        """Check the page that is open: nothing went wrong, everybody can use it."""
        where = self.page.url
        assert self.page.evaluate("window.violations") == [], where
        assert self.page.evaluate(CHECKS) == [], where
        assert self.complaints == [], where

    def settle(self) -> None:
        """Wait until charts fit a window that has become narrower; `check` says if none does."""
        for _ in range(50):
            if self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
                return
            self.page.wait_for_timeout(100)

    def wait_for_job(self) -> None:
        """Wait on a job's page until it is done."""
        over = self.page.locator("#job[data-over]")
        over.wait_for(timeout=SECONDS_OF_A_JOB * MILLISECONDS)
        assert self.page.locator(".status-done").count() == 1, over.inner_text()

    def _note(self, kind: str, text: str) -> None:
        if kind in {"error", "warning", "trace"}:
            self.complaints.append(f"{kind}: {text}")

    def _note_request(self, address: str) -> None:
        if not address.startswith((self.url, "data:")):
            self.complaints.append(f"asked for {address}")


@pytest.fixture(scope="module")
def service_url(
    tmp_path_factory: pytest.TempPathFactory, save_model: Callable[[str, Path], None]
) -> Iterator[str]:
    """A service with a worker, as its users start it, that allows a model of a few neurons."""
    folder = tmp_path_factory.mktemp("walk")
    (folder / "models" / MODEL).mkdir(parents=True)
    save_model("bert", folder / "models" / MODEL)
    told = {name: value for name, value in os.environ.items() if "NEUROSCRIBE" not in name}
    told["NEUROSCRIBE_MODELS_FOLDER"] = str(folder / "models")
    command = ["serve", "--runs", str(folder / "runs"), "--port", "0", "--job-workers", "1"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", *command],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=told,
        )
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH (chromium, chromium-browser or google-chrome)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium cannot make its sandbox as root, in which continuous integration often runs.
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def test_from_upload_to_matching_again(browser: Browser, service_url: str, tmp_path: Path) -> None:
    # Of a context of its own, so that a second page can share it.
    context = browser.new_context(viewport=WIDE, color_scheme="light")  # type: ignore[arg-type]
    page = context.new_page()
    visitor = Visitor(page, service_url)
    wait_until_served(page, service_url)

    start_by_keyboard(visitor)
    upload(visitor, written_corpus(tmp_path / "reviews.jsonl"))
    assert "/jobs/" in page.url
    assert page.locator("#job progress, #job .status-done").count() > 0
    visitor.check()
    visitor.wait_for_job()
    visitor.check()
    page.get_by_role("link", name="Open the run").click()
    # By its sender's name, not by where it is kept.
    title = page.get_by_role("heading", level=1).inner_text()
    assert title == "What the neurons of tiny respond to in reviews.jsonl"

    read_an_explanation(visitor)
    descriptor = edit_a_descriptor(visitor)
    refuse_a_stale_edit(visitor, descriptor)

    page.get_by_role("button", name="Match again").click()
    visitor.wait_for_job()
    visitor.go("runs/walked/descriptors?search=renamed by hand")
    assert page.locator("tbody tr").filter(has_text="renamed by hand").count() == 1
    assert page.get_by_role("button", name="Match again").count() == 0
    look_at_every_page(visitor, browser)
    read_without_scripts(service_url, browser)
    delete_the_run(visitor)
    context.close()


def wait_until_served(page: Page, url: str) -> None:
    """The address is told a moment before it answers."""
    from playwright.sync_api import Error

    for _ in range(120):
        try:
            page.request.get(url + "healthz")
        except Error:
            page.wait_for_timeout(250)
        else:
            return
    raise AssertionError(f"{url} does not answer")


def written_corpus(path: Path) -> Path:
    """Sentences in which even a model of random weights tells things apart; none is in `text`."""
    told = [
        {"review": f"{opening.format(thing)}{end}", "labels": [f"about:{thing}"]}
        for opening in OPENINGS
        for end in ENDS
        for thing in THINGS
    ]
    path.write_text("".join(json.dumps(each) + "\n" for each in told), encoding="utf-8")
    return path


def start_by_keyboard(visitor: Visitor) -> None:
    """From the first page to the form, without a mouse; what has the focus is seen."""
    page = visitor.page
    visitor.go("")
    visitor.check()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim()"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if reached[-1] == "New run":
            break
    assert reached == ["neuroscribe", "Runs", "Jobs", "New run"]
    page.keyboard.press("Enter")
    page.wait_for_url("**/start")
    visitor.check()


def upload(visitor: Visitor, corpus: Path) -> None:
    """Fill in the form with a file, and start."""
    page = visitor.page
    page.get_by_label("File:").set_input_files(corpus)
    assert page.get_by_label("Name of the run").input_value() == "reviews"
    page.get_by_label("Name of the run").fill("walked")
    assert page.get_by_label("A file of mine").is_checked()
    page.get_by_text("Its texts seem to be in “review”").wait_for()
    assert page.locator(".preview tbody tr").count() == ROWS_SHOWN
    assert page.get_by_label("Texts are in").input_value() == "review"
    visitor.check()
    page.get_by_label("Subject model").select_option(MODEL)
    page.get_by_label("embedded").uncheck()
    page.get_by_text("More settings").click()
    page.get_by_label("Stability").uncheck()
    visitor.check()
    page.get_by_role("button", name="Start the run").click()
    page.wait_for_url("**/jobs/*")


def read_an_explanation(visitor: Visitor) -> None:
    """From the overview to a neuron, from words to neurons, from a text to what fires."""
    page = visitor.page
    visitor.check()
    best = page.locator("section[aria-labelledby=best] tbody tr").first
    descriptor = best.locator("td a").first.inner_text()
    best.locator("th a").click()
    assert descriptor in page.locator("main").inner_text()
    assert page.locator(".token:not(.heat-0)").count() > 0
    visitor.check()
    page.get_by_label("Search this run by concept").fill(descriptor)
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=*")
    assert page.locator("h2").first.inner_text() == descriptor
    visitor.check()
    page.get_by_role("link", name="Try a text").click()
    page.get_by_role("textbox", name="Your text").fill("The battery charger was late again.")
    page.locator(".firing .token").first.wait_for(timeout=60 * MILLISECONDS)
    assert "fire most" in page.get_by_role("status").inner_text()
    visitor.check()


def edit_a_descriptor(visitor: Visitor) -> str:
    """Rename the first descriptor; gives the address of its page."""
    page = visitor.page
    page.get_by_role("link", name="Descriptors").click()
    page.locator("tbody th a").first.click()
    page.wait_for_url("**/descriptors/*")
    address = page.url
    visitor.check()
    stale = page.context.new_page()
    stale.goto(address)
    page.get_by_label("Rename it").fill("renamed by hand")
    page.get_by_role("button", name="Rename", exact=True).click()
    page.get_by_text("Renamed.").wait_for()
    assert page.get_by_role("complementary", name="Pending edits").count() == 1
    visitor.check()
    stale.get_by_role("button", name="Lock", exact=True).click()
    assert "Someone else edited" in stale.get_by_role("heading", level=1).inner_text()
    assert stale.evaluate(CHECKS) == []
    stale.close()
    return re.sub(r"\?.*", "", address)


def refuse_a_stale_edit(visitor: Visitor, address: str) -> None:
    """The page of a descriptor as it is now takes an edit again."""
    page = visitor.page
    page.goto(address)
    page.get_by_role("button", name="Lock", exact=True).click()
    page.get_by_text("Locked.").wait_for()
    visitor.check()


def delete_the_run(visitor: Visitor) -> None:
    """The last thing that can be done with a run."""
    page = visitor.page
    visitor.go("")
    card = page.locator(".run-card").filter(has_text="walked")
    assert "reviews.jsonl" in card.inner_text()
    visitor.go("runs/walked")
    page.get_by_role("link", name="Delete this run").click()
    visitor.check()
    page.get_by_role("button", name="Delete the run").click()
    page.get_by_text("walked is deleted.").wait_for()
    assert page.locator(".run-card").count() == 0
    visitor.check()


def look_at_every_page(visitor: Visitor, browser: Browser) -> None:
    """Every page in the dark, and on a telephone in both: usable, and without a complaint."""
    visitor.go("runs/walked")
    neuron = visitor.page.locator("section[aria-labelledby=best] tbody a").first.inner_text()
    visitor.go("runs/walked/descriptors")
    descriptor = visitor.page.locator("tbody th a").first.get_attribute("href")
    upload = visitor.page.request.get(f"{visitor.url}v1/uploads").json()["items"][0]["id"]
    another = "L0.ffn.1" if neuron == "L0.ffn.0" else "L0.ffn.0"
    paths = [
        *(
            "",
            "jobs",
            f"start?upload={upload}",
            "login",
            "runs/walked/delete",
            "runs/walked",
            "runs/walked/map",
            "runs/walked/text",
        ),
        "runs/walked/evaluation?protocol=controls",
        "runs/walked/neurons?described=no",
        f"runs/walked/neurons/{neuron}?beside={another}&beside_run=walked",
        *("runs/walked/search?q=money", "runs/walked/descriptors", str(descriptor)),
    ]
    own = Visitor(browser.new_page(viewport=WIDE, color_scheme="dark"), visitor.url)  # type: ignore[arg-type]
    for path in paths:
        own.page.set_viewport_size(WIDE)  # type: ignore[arg-type]
        own.page.emulate_media(color_scheme="dark")
        own.go(path)
        if own.page.locator("#chart").count():
            own.page.locator("#chart .main-svg").first.wait_for()
        own.check()
        own.page.set_viewport_size(NARROW)  # type: ignore[arg-type]
        own.settle()
        own.check()
        own.page.emulate_media(color_scheme="light")
        own.check()
    own.page.close()


def read_without_scripts(url: str, browser: Browser) -> None:
    """What is shown, compared and asked needs no JavaScript; places of charts do not stay empty."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{url}runs/walked/map")
    assert page.locator("#chart").is_hidden()
    assert page.locator("table").count() > 1
    page.goto(f"{url}runs/walked/text")
    page.get_by_role("textbox", name="Your text").fill("The battery charger was late again.")
    page.get_by_role("button", name="What fires?").click()
    page.locator(".firing .token").first.wait_for(timeout=60 * MILLISECONDS)
    page.locator(".firing a.address").first.click()
    page.wait_for_url("**/neurons/L*")
    page.get_by_label("Neuron", exact=True).fill("L1.ffn.0")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**beside=L*")
    assert page.locator("h1").inner_text().endswith("beside L1.ffn.0")
    context.close()
