"""What pages say of figures: which tail, which rank, of what; and what they must not say."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from neurons.records import Tail
from service.api.app import create_app
from service.catalog_rebuild import rebuild_catalog
from service.edit_outcome import edit_catalog
from service.export import export_neurox
from service.finished_run import FinishedRun
from service.imported_stage import PREFIX
from service.pages.rendering import _percent
from service.pipeline import run_pipeline
from service.service_settings import ServiceSettings
from service.settings import RunSettings
from service.views.records import NeuronFilter
from service.views.run_view import RunView

RUN = "hostile"
ROOT = f"/runs/{RUN}"
BASE_URL = "http://127.0.0.1:8765"


@pytest.fixture(scope="module")
def imported_pages(
    small_run: Path, small_settings: RunSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """A service over a run without a model."""
    folder = tmp_path_factory.mktemp("imported-pages")
    file = folder / "acts.json"
    export_neurox(FinishedRun(small_run, "cpu"), file)
    told = {
        "corpus": str(folder / "acts.sentences.txt"),
        "model": f"{PREFIX}{file}",
        "reading": {"segment": "none"},
        "evaluation": {"protocols": ()},
    }
    settings = RunSettings.model_validate(small_settings.model_dump() | told)
    run_pipeline(settings, folder / "runs" / "imported")
    service = ServiceSettings.told(runs=folder / "runs", job_workers=0, log_level="ERROR")
    with TestClient(create_app(service), base_url=BASE_URL) as client:
        yield client


@pytest.mark.slow
def test_a_tail_is_shown_with_the_rank_of_the_descriptor_asked_for(
    pages: TestClient, hostile: RunView
) -> None:
    found = hostile.descriptors(search="", kept=True, offset=0, limit=200).items
    ranks = {
        each.id: [
            card.explanation.rank for card in hostile.descriptor(each.id).tails if card.explanation
        ]
        for each in found
    }
    second = next(identifier for identifier, own in ranks.items() if any(each > 1 for each in own))
    for path in (f"descriptors/{second}", f"neurons?descriptor={second}&order=score"):
        text = pages.get(f"{ROOT}/{path}").text
        assert "First descriptor" not in text
        rows = text.split("Its rank there")[1].split("</table>")[0].split("<tr>")[1:]
        shown = [int(row.split('<td class="number">')[1].split("<")[0]) for row in rows]
        assert shown[: len(ranks[second])] == ranks[second]


@pytest.mark.slow
def test_each_tail_is_told_in_its_own_direction(pages: TestClient, hostile: RunView) -> None:
    neuron = hostile.tails(NeuronFilter(), offset=0, limit=1).items[0].neuron
    text = pages.get(f"{ROOT}/neurons/{neuron}").text
    high, low = text.split('id="low"')
    assert "Strongest</h4>" in high
    assert "Lowest</h4>" in low
    below = hostile.neuron(neuron).tails[1]
    assert below.tail is Tail.NEGATIVE
    assert low.count("· below") == sum(map(len, dict(below.exemplars).values()))
    assert "· above" not in low


@pytest.mark.slow
def test_a_neuron_is_not_compared_with_itself(pages: TestClient, hostile: RunView) -> None:
    first, last = (
        hostile.tails(NeuronFilter(described=described), offset=0, limit=1).items[0].neuron
        for described in (True, False)
    )
    own = f"/runs/{RUN}/neurons/{first}"

    def content(path: str) -> str:
        return pages.get(path).text.partition("<main")[2]

    alone = content(own)
    assert first in alone
    # The form to compare offers the neuron itself.
    assert content(f"{own}?beside={first}&beside_run={RUN}") == alone
    assert content(f"{own}?beside=%20{first}") == alone
    other = content(f"{own}?beside={last}&beside_run={RUN}")
    assert f"<h1><code>{first}</code> beside <code>{last}</code></h1>" in other


@pytest.mark.slow
def test_an_imported_run_says_that_it_has_no_model(imported_pages: TestClient) -> None:
    text = imported_pages.get("/runs/imported/text").text
    assert "no model to read a text with" in text
    assert "<textarea" not in text
    neuron = imported_pages.get("/runs/imported/neurons/L1.hidden.5").text
    assert "imported its activations" in neuron
    assert "heat-legend" not in neuron
    overview = imported_pages.get("/runs/imported").text
    assert "Evaluate it" in overview
    assert "All figures" not in overview
    assert "Evaluate again" not in imported_pages.get("/runs/imported/evaluation").text


@pytest.mark.slow
def test_a_run_without_descriptors_is_told_of_without_its_folder(
    own_pages: TestClient, tmp_path: Path
) -> None:
    folder = tmp_path / "runs" / RUN
    edit_catalog(
        folder,
        lambda catalog: [catalog.ban(each.id) for each in catalog.descriptors],
        dry_run=False,
    )
    rebuild_catalog(folder)
    answer = own_pages.get(f"{ROOT}/search?q=battery")
    assert answer.status_code == 422
    assert "kept no descriptor" in answer.text
    assert str(tmp_path) not in answer.text
    for path in ("", "/map", "/neurons", "/descriptors", "/evaluation"):
        assert own_pages.get(f"{ROOT}{path}").status_code == 200
    answer = own_pages.post(f"{ROOT}/text", data={"text": "The battery broke."})
    assert "No tail of this run is described" in answer.text


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0 %"), (-0.0001, "> −0.1 %"), (-0.02, "−2.0 %"), (-0.4, "−40 %"), (0.0001, "< 0.1 %")],
)
def test_a_share_below_zero_is_no_zero(share: float, words: str) -> None:
    assert _percent(share) == words
