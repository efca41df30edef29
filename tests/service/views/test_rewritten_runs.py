"""A run that is rewritten while it is read: answers as before, then those of the new one."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from indexer.errors import BusyError, RunError
from indexer.storage import read_json, write_json
from service.catalog_rebuild import rebuild_catalog
from service.edit_outcome import edit_catalog
from service.run_library import RunLibrary
from service.views.opened_run import OpenedRun
from service.views.records import NeuronFilter, NeuronOrder, RunState
from service.views.run_view import RunView
from service.views.shared_models import SharedModels


def answers(view: RunView, number: int = 0) -> list[object]:
    """Everything that is read from files which a rebuild replaces."""
    kept = view.descriptors(search="", kept=True, offset=0, limit=100)
    return [
        view.etag,
        view.overview(),
        view.layer_map(),
        view.evaluation(),
        view.tails(NeuronFilter(order=NeuronOrder.SCORE), offset=0, limit=20),
        kept,
        [view.descriptor(each.id) for each in kept.items],
        [view.sentences(each.id, offset=0, limit=50) for each in kept.items],
        view.neuron(f"L0.ffn.{number}"),
        view.concept("late delivery", n_descriptors=3, n_neurons=3),
        view.text("It broke after two days.", n_neurons=3),
    ]


@pytest.mark.slow
def test_answers_stay_while_the_catalog_is_rebuilt_and_then_are_new(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    path = add_run("small")
    add_run("untouched")
    library, alone = RunLibrary(runs, 1), RunLibrary(runs, 1).open("untouched")
    view = library.open("small")
    first, second, *_ = view.descriptors(search="", kept=True, offset=0, limit=2).items
    edit_catalog(path, lambda catalog: [catalog.ban(first.id), catalog.rename(second.id, "new")])
    expected = [answers(view, number) for number in range(3)]
    n_updating = n_busy = 0
    with ThreadPoolExecutor(1) as worker:
        done = worker.submit(rebuild_catalog, path)
        while not done.done():
            found = library.open("small")
            if found is not view:
                break
            n_updating += library.card("small").state is RunState.UPDATING
            # Others are asked for the first time while the files are being replaced.
            assert answers(found, n_updating % 3) == expected[n_updating % 3]
            fresh = f"L0.ffn.{3 + n_updating % 40}"
            assert found.neuron(fresh) == alone.neuron(fresh).model_copy(update={"run": "small"})
            n_busy += is_busy(runs)
        assert done.result().matched
    assert n_updating > 0
    assert n_busy > 0
    new = library.open("small")
    assert new is not view
    assert answers(view) == expected[0]
    every = new.descriptors(search="", kept=None, offset=0, limit=100).items
    texts = {each.text: each.kept for each in every}
    assert texts["new"]
    assert not texts[first.text]
    assert answers(new) == answers(RunLibrary(runs, 1).open("small"))
    assert new.etag != view.etag
    assert new.catalog_etag != view.catalog_etag
    assert library.card("small").state is RunState.FINISHED


def is_busy(runs: Path) -> bool:
    """Whether a library that has not opened the run says that it must be waited for."""
    try:
        RunLibrary(runs, 1).open("small")
    except BusyError as error:
        return "ask again" in str(error)
    return False


def test_a_run_without_manifest_is_read_until_it_is_extracted_again(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    path = add_run("small")
    library = RunLibrary(runs, 1)
    view = library.open("small")
    (path / "manifest.json").unlink()
    assert library.open("small") is view
    assert library.card("small").state is view.card().state is RunState.UPDATING
    (path / "stages" / "extract.started").write_text("{}", encoding="utf-8")
    with pytest.raises(BusyError):
        library.open("small")
    # It was let go, and is not taken up again.
    (path / "stages" / "extract.started").unlink()
    with pytest.raises(BusyError):
        library.open("small")


def test_a_run_that_is_rewritten_stays_open_whatever_else_is_read(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    paths = {name: add_run(name) for name in ("a", "b", "c")}
    library = RunLibrary(runs, 1)
    view = library.open("a")
    manifest = read_json(paths["a"] / "manifest.json")
    (paths["a"] / "manifest.json").unlink()
    library.open("b")
    library.open("c")
    assert library.open("a") is view
    assert library.card("a").state is RunState.UPDATING
    write_json(paths["a"] / "manifest.json", manifest)
    new = library.open("a")
    assert new is not view
    # Now it is let go like any other.
    library.open("b")
    assert library.open("a") is not new


def test_a_run_is_not_read_on_where_other_activations_lie(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    path = add_run("small")
    library = RunLibrary(runs, 1)
    library.open("small")
    (path / "manifest.json").unlink()
    shutil.copytree(path / "activations", path / "copied")
    shutil.rmtree(path / "activations")
    (path / "copied").rename(path / "activations")
    with pytest.raises(BusyError):
        library.open("small")


def test_another_run_of_the_same_name_is_not_taken_for_it(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    library = RunLibrary(runs, 1)
    path = add_run("small")
    library.open("small")
    shutil.rmtree(path)
    add_run("small")
    (path / "manifest.json").unlink()
    (path / "timings.json").unlink()
    with pytest.raises(RunError, match="not complete"):
        library.open("small")
    assert library.card("small").state is RunState.UNFINISHED


def test_a_manifest_that_comes_back_as_another_gives_a_new_view(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    path = add_run("small")
    library = RunLibrary(runs, 1)
    view = library.open("small")
    manifest = read_json(path / "manifest.json")
    (path / "manifest.json").unlink()
    write_json(path / "manifest.json", manifest | {"seeds": {"run": 3}})
    new = library.open("small")
    assert new is not view
    assert new.etag != view.etag
    assert library.open("small") is new


def test_a_run_rewritten_while_it_is_opened_is_busy(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    path = add_run("small")

    class Rewritten(OpenedRun):
        """The manifest is withdrawn after the first file was read."""

        @property
        def corpus(self) -> object:  # type: ignore[override]
            (path / "manifest.json").unlink(missing_ok=True)
            return super().corpus

    with pytest.raises(BusyError, match="being rewritten"):
        Rewritten(path, SharedModels())
