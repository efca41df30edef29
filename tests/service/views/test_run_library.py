"""The runs of a folder: what is listed, opened, shared and removed."""

import gc
import shutil
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from indexer.errors import BusyError, NotFoundError, RunError
from service.run_directory import RunDirectory
from service.run_library import RunLibrary
from service.views.opened_run import OpenedRun
from service.views.records import NeuronFilter, RunState
from service.views.run_view import RunView
from service.views.shared_models import SharedModels

NEURON = "L1.ffn.13"


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "a/b", "../runs/small", ".hidden", "small\n", "small/", "x" * 101, "x" * 10_000,
     "a\x00b", "C:\\small", "none", "-small", "\N{LATIN SMALL LETTER E WITH ACUTE}t"],
)  # fmt: skip
def test_a_name_that_is_none_is_not_found(
    add_run: Callable[[str], Path], runs: Path, name: str
) -> None:
    kept = add_run("small")
    shutil.copytree(kept, runs / ".hidden")
    library = RunLibrary(runs, 1)
    for ask in (library.path, library.open, library.card, library.delete):
        with pytest.raises(NotFoundError, match="there is no run") as error:
            ask(name)
        assert len(str(error.value)) < 600
    assert library.names() == ["small"]
    assert library.open("small").name == "small"


def test_a_missing_folder_holds_no_runs(tmp_path: Path) -> None:
    assert RunLibrary(tmp_path / "none", 1).names() == []
    assert RunLibrary(tmp_path / "none", 1).cards() == []


def test_unfinished_and_damaged_runs_are_listed_among_the_others(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    for name in ("b-good", "a-damaged", "c-begun", "d-settings", "e-rewritten"):
        add_run(name)
    (runs / "a-damaged" / "manifest.json").write_text("{}", encoding="utf-8")
    for name in ("c-begun", "d-settings", "e-rewritten"):
        (runs / name / "manifest.json").unlink()
    for name in ("c-begun", "d-settings"):
        (runs / name / "timings.json").unlink()
    (runs / "d-settings" / "settings.json").write_text("nothing", encoding="utf-8")
    (runs / "no-run").mkdir()
    cards = RunLibrary(runs, 1).cards()
    assert {card.name: card.state for card in cards} == {
        "a-damaged": RunState.DAMAGED,
        "b-good": RunState.FINISHED,
        "c-begun": RunState.UNFINISHED,
        "d-settings": RunState.DAMAGED,
        "e-rewritten": RunState.UPDATING,
    }
    assert [card.name for card in cards] == sorted(card.name for card in cards)
    for card in cards:
        assert bool(card.problem) == (card.state is RunState.DAMAGED)
        assert str(runs) not in card.problem
        assert (card.n_sentences is not None) == (card.state is RunState.FINISHED)
    assert cards[2].corpus == "sample"


@pytest.mark.parametrize(
    ("timings", "kind", "told"),
    [
        (None, RunError, "not complete"),
        ("{}", RunError, "not complete"),
        ("7", RunError, "not complete"),
        ("nothing", RunError, "not complete"),
        ('{"report": 1.5}', BusyError, "being rewritten"),
    ],
)
def test_a_run_without_manifest_cannot_be_opened(
    add_run: Callable[[str], Path],
    runs: Path,
    timings: str | None,
    kind: type[RunError],
    told: str,
) -> None:
    path = add_run("small")
    (path / "manifest.json").unlink()
    (path / "timings.json").unlink()
    if timings is not None:
        (path / "timings.json").write_text(timings, encoding="utf-8")
    with pytest.raises(RunError, match=told) as error:
        RunLibrary(runs, 1).open("small")
    assert type(error.value) is kind


def test_what_opening_finds_damaged_is_listed_so_until_it_is_mended(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    path = add_run("small")
    library = RunLibrary(runs, 1)
    finished = library.card("small")
    content = (path / "explanations.parquet").read_bytes()
    (path / "explanations.parquet").write_bytes(content[:-100])
    assert library.card("small") == finished
    with pytest.raises(RunError, match="explanations"):
        library.open("small")
    card = library.card("small")
    assert card.state is RunState.DAMAGED
    assert card.problem.startswith("cannot read explanations.parquet")
    (path / "explanations.parquet").write_bytes(content)
    library.open("small")
    assert library.card("small") == finished


def test_a_list_follows_what_is_added_and_rewritten(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    library = RunLibrary(runs, 1)
    assert library.cards() == []
    first = add_run("first")
    assert [card.state for card in library.cards()] == [RunState.FINISHED]
    add_run("second")
    (first / "manifest.json").write_text("[]", encoding="utf-8")
    assert [card.state for card in library.cards()] == [RunState.DAMAGED, RunState.FINISHED]


def test_a_run_is_opened_once_and_the_oldest_is_let_go(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    for name in ("a", "b", "c"):
        add_run(name)
    library = RunLibrary(runs, 2)
    first, second = library.open("a"), library.open("b")
    assert library.open("a") is first
    library.open("c")
    assert library.open("a") is first
    assert library.open("b") is not second
    # Whoever still holds a view goes on reading it.
    assert second.neuron(NEURON).neuron == NEURON


def test_what_is_let_go_leaves_the_memory_at_once(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    for name in ("a", "b"):
        add_run(name)
    library = RunLibrary(runs, 1)

    def asked(name: str) -> list[weakref.ref[object]]:
        view = library.open(name)
        view.neuron(NEURON)
        view.text("It broke after two days.", n_neurons=2)
        view.concept("late delivery", n_descriptors=2, n_neurons=2)
        view.descriptor(view.descriptors(search="", kept=True, offset=0, limit=1).items[0].id)
        return [weakref.ref(view), weakref.ref(view._run), weakref.ref(view._run.store)]

    asked("b")
    gc.disable()
    try:
        held = asked("a")
        library.open("b")
        assert [each() for each in held] == [None, None, None]
    finally:
        gc.enable()


def test_many_who_open_a_run_at_once_get_the_same(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    add_run("small")
    library = RunLibrary(runs, 2)
    start = threading.Barrier(8)

    def opened(_number: int) -> RunView:
        start.wait()
        return library.open("small")

    with ThreadPoolExecutor(8) as threads:
        assert len({id(view) for view in threads.map(opened, range(8))}) == 1


@pytest.mark.slow
def test_twenty_threads_read_the_same_while_others_open_runs(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    names = ("a", "b", "c")
    for name in names:
        add_run(name)
    addresses = [f"L{layer}.ffn.{unit}" for layer in (0, 1) for unit in range(4)]
    text = "The charger broke after two weeks."

    def answers(view: RunView, number: int) -> list[object]:
        address = addresses[number % len(addresses)]
        return [
            view.neuron(address).model_copy(update={"run": ""}),
            view.tails(NeuronFilter(order="score"), offset=number, limit=5),
            view.concept("late delivery", n_descriptors=2, n_neurons=2),
            view.text(text, n_neurons=3).model_copy(update={"run": ""}),
            view.layer_map(),
        ]

    alone = RunLibrary(runs, 1).open("a")
    expected = [answers(alone, number) for number in range(len(addresses))]
    # Fewer are held open than there are, so that opening goes on all the while.
    library = RunLibrary(runs, 2)

    def reads(number: int) -> bool:
        place = number % len(addresses)
        found = answers(library.open(names[number % len(names)]), place)
        return found == expected[place]

    with ThreadPoolExecutor(20) as threads:
        assert all(threads.map(reads, range(40)))


def test_runs_of_the_same_model_share_it_until_none_is_open(
    add_run: Callable[[str], Path],
) -> None:
    models = SharedModels()
    one, other = OpenedRun(add_run("one"), models), OpenedRun(add_run("other"), models)
    assert one.subject is other.subject
    assert one.guarded_subject.lock is other.guarded_subject.lock
    assert one.encoder is other.encoder
    held = weakref.ref(one.guarded_subject)
    del one
    gc.collect()
    assert held() is not None
    del other
    gc.collect()
    assert held() is None


def test_a_deleted_run_is_gone(add_run: Callable[[str], Path], runs: Path) -> None:
    add_run("small")
    add_run("other")
    library = RunLibrary(runs, 2)
    view = library.open("small")
    expected = view.neuron(NEURON)
    library.delete("small")
    for ask in (library.open, library.card, library.delete):
        with pytest.raises(NotFoundError):
            ask("small")
    assert library.names() == ["other"]
    assert not (runs / "small").exists()
    assert list((runs / ".neuroscribe" / "deleted").iterdir()) == []
    # Who was reading it may finish; the name is free for another run.
    assert view.neuron(NEURON) == expected
    assert view.neuron("L0.ffn.40").neuron == "L0.ffn.40"
    add_run("small")
    assert library.open("small") is not view


def test_what_an_interrupted_deletion_left_goes_with_the_next(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    path = add_run("small")
    left = runs / ".neuroscribe" / "deleted" / "left"
    shutil.copytree(path, left)
    library = RunLibrary(runs, 1)
    assert library.names() == ["small"]
    library.delete("small")
    assert not left.exists()


def test_a_run_that_is_being_written_is_not_deleted(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    path = add_run("small")
    library = RunLibrary(runs, 1)
    writer = RunDirectory.create(path)
    with pytest.raises(BusyError, match="another process is writing"):
        library.delete("small")
    assert library.open("small").name == "small"
    writer.close()
    library.delete("small")
    assert library.names() == []


def test_of_a_link_only_the_link_is_removed(small_run: Path, tmp_path: Path, runs: Path) -> None:
    elsewhere = Path(shutil.copytree(small_run, tmp_path / "elsewhere"))
    (runs / "link").symlink_to(elsewhere, target_is_directory=True)
    library = RunLibrary(runs, 1)
    assert library.open("link").name == "link"
    library.delete("link")
    assert library.names() == []
    assert (elsewhere / "manifest.json").is_file()


def test_a_run_removed_by_another_process_is_not_found(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    path = add_run("small")
    library = RunLibrary(runs, 1)
    library.open("small")
    shutil.rmtree(path)
    with pytest.raises(NotFoundError):
        library.open("small")
