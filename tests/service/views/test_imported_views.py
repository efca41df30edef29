"""A run on imported activations: there is no model, so nothing is told of tokens."""

from pathlib import Path

import pytest

from indexer.errors import InputError
from service.explain import explain_neuron
from service.export import export_neurox
from service.finished_run import FinishedRun
from service.imported_stage import PREFIX
from service.pipeline import run_pipeline
from service.run_library import RunLibrary
from service.settings import RunSettings
from service.views.run_view import RunView

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def view(
    small_run: Path, small_settings: RunSettings, tmp_path_factory: pytest.TempPathFactory
) -> RunView:
    folder = tmp_path_factory.mktemp("imported")
    file = folder / "acts.json"
    export_neurox(FinishedRun(small_run, "cpu"), file)
    told = {
        "corpus": str(folder / "acts.sentences.txt"),
        "model": f"{PREFIX}{file}",
        "reading": {"segment": "none"},
        "evaluation": {"protocols": ("observational",)},
    }
    settings = RunSettings.model_validate(small_settings.model_dump() | told)
    run_pipeline(settings, folder / "runs" / "imported")
    # Nothing but the run itself is needed to read it.
    file.unlink()
    return RunLibrary(folder / "runs", 1).open("imported")


def test_a_neuron_is_shown_without_tokens(view: RunView) -> None:
    answer = view.neuron("L1.hidden.5")
    expected = explain_neuron(FinishedRun(view._run.path, "cpu"), "L1.hidden.5")
    assert len(answer.tails) == 2
    for tail, told in zip(answer.tails, expected.tails, strict=True):
        assert tail.words == ()
        assert (tail.together, tail.variety) == (told.together, told.variety)
        shown = (*tail.exemplars.top, *tail.exemplars.quantiles, *tail.exemplars.random)
        assert len(shown) == 15
        assert all(each.text and each.tokens == each.activations == () for each in shown)
        assert [each.sentence_id for each in tail.exemplars.top] == [
            each.id for each in told.exemplars
        ]


def test_a_text_cannot_be_read(view: RunView) -> None:
    with pytest.raises(InputError, match="there is no model"):
        view.text("The battery broke.", n_neurons=3)
    assert view.concept("battery", n_descriptors=1, n_neurons=1).descriptors


def test_the_file_is_named_without_its_folder(view: RunView) -> None:
    assert view.card().model == f"{PREFIX}acts.json"
    assert view.card().corpus == "acts.sentences.txt"
