"""`neuroscribe catalog`: edits are kept in the run, survive rebuilds and harm nothing."""

from __future__ import annotations

import csv
import fcntl
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from descriptors.catalog import read_descriptors, write_descriptors
from descriptors.corpus import CorpusSettings, read_corpus
from descriptors.curation import Rejection
from descriptors.edit_file import EDITS_FILE, append_edits, ids_at, read_edits
from descriptors.edit_records import Ban, Seed
from descriptors.ingest import ingest
from descriptors.records import Descriptor, Group, Split
from indexer.errors import InputError, RunError
from indexer.storage import write_json
from service import cli
from service.catalog_editing import EditableCatalog
from service.catalog_exchange import read_edits_from
from service.edit_outcome import edit_catalog
from service.proposal_files import write_groups
from service.stages import FORMAT_VERSION

DANGEROUS = "=1+1"


def _descriptor(number: int, text: str, rows: Sequence[int], reason: str = "") -> Descriptor:
    return Descriptor(
        id=f"d{number}",
        text=text,
        proposer="keyphrase",
        group=f"clusters:4/{number}",
        support=tuple(rows) if not reason else (),
        kept=not reason,
        reason=reason,
    )


@pytest.fixture(scope="module")
def corpus_file(tmp_path_factory: pytest.TempPathFactory, review_corpus: Path) -> Path:
    path = tmp_path_factory.mktemp("read") / "corpus.parquet"
    ingest(str(review_corpus), path, CorpusSettings())
    return path


@pytest.fixture
def run(tmp_path: Path, corpus_file: Path) -> Path:
    """A run as far as its catalog, with the files that editing looks at."""
    path = tmp_path / "run"
    path.mkdir()
    write_json(path / "settings.json", {"format_version": FORMAT_VERSION, "settings": {}})
    shutil.copy(corpus_file, path)
    discover = read_corpus(corpus_file).rows(Split.DISCOVER).tolist()
    descriptors = [
        _descriptor(0, "battery life", discover[:6]),
        _descriptor(1, "screen", discover[6:9]),
        _descriptor(2, "sound quality", discover[9:12]),
        _descriptor(3, "display", [], Rejection.SAME_SENTENCES),
        _descriptor(4, DANGEROUS, [], "no_letters"),
    ]
    groups = [
        Group(id=f"clusters:4/{number}", source="clusters:4", rows=tuple(discover[start:stop]))
        for number, (start, stop) in enumerate([(0, 6), (6, 9), (9, 12), (12, 15), (15, 18)])
    ]
    write_descriptors(path / "descriptors.parquet", descriptors)
    write_groups(path / "proposals" / "groups.jsonl", groups)
    return path


@pytest.fixture
def catalog(run: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Does `neuroscribe catalog COMMAND RUN …` and gives its JSON."""

    def call(command: str, *arguments: str, on: Path = run) -> Any:
        code = cli.run_command(["catalog", command, str(on), *arguments, "--json"])
        captured = capsys.readouterr()
        assert (code, captured.err) == (0, "")
        return json.loads(captured.out)

    return call


@pytest.fixture
def refused(run: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line in which a command refuses; the run must be as it was."""

    def call(command: str, *arguments: str, on: Path = run, code: int = 2) -> str:
        before = _files(run)
        assert cli.run_command(["catalog", command, str(on), *arguments]) == code
        captured = capsys.readouterr()
        assert (captured.out, captured.err.count("\n")) == ("", 1)
        assert _files(run) == before
        return captured.err

    return call


def _files(run: Path) -> dict[str, bytes]:
    files = (path for path in run.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def _texts(shown: Any) -> list[str]:
    return [each["text"] for each in shown["descriptors"]]


def test_show_filters(catalog: Callable[..., Any]) -> None:
    assert _texts(catalog("show")) == ["battery life", "screen", "sound quality"]
    assert _texts(catalog("show", "--rejected")) == ["display", DANGEROUS]
    assert len(_texts(catalog("show", "--all"))) == 5
    assert _texts(catalog("show", "--all", "--search", "LIFE")) == ["battery life"]


def test_edits_show_before_a_rebuild(catalog: Callable[..., Any], run: Path) -> None:
    catalog("seed", "Refund Requests", "opening hours")
    catalog("rename", "refund requests", "refunds")
    catalog("rename", "d1", "monitor")
    catalog("merge", "Monitor", "sound quality", "--into", "media")
    catalog("ban", "battery life", "opening hours")
    shown = catalog("show")
    assert _texts(shown) == ["media", "refunds"]
    assert (shown["edits"], shown["pending_edits"]) == (7, 7)
    media = shown["descriptors"][0]
    by_id = {each.id: each for each in read_descriptors(run / "descriptors.parquet")}
    assert media["support"] == [*by_id["d1"].support, *by_id["d2"].support]
    reasons = {
        each["text"]: each["reason"] for each in catalog("show", "--rejected")["descriptors"]
    }
    assert reasons["monitor"] == "merged_into_another"
    assert reasons["opening hours"] == "banned_by_user"
    assert reasons["display"] == Rejection.SAME_SENTENCES


def test_a_seed_may_name_its_sentences(catalog: Callable[..., Any], run: Path) -> None:
    corpus = read_corpus(run / "corpus.parquet")
    rows = tuple(corpus.rows(Split.DISCOVER)[[4, 2]].tolist())
    first, second = ids_at(corpus, rows)
    changed = catalog("seed", "refunds", "--sentence", first, "--sentence", second)["changed"]
    assert changed[0]["support"] == list(rows)


def test_a_lock_remembers_the_sentences_of_the_group(
    catalog: Callable[..., Any], run: Path
) -> None:
    catalog("lock", "display", "d0")
    catalog("unlock", "d0")
    locks = read_edits(run)
    corpus = read_corpus(run / "corpus.parquet")
    rows = corpus.rows(Split.DISCOVER).tolist()
    assert locks[0].kind == "lock"
    assert locks[0].support == ids_at(corpus, rows[12:15])
    assert _texts(catalog("show")) == ["battery life", "screen", "sound quality", "display"]
    locked = [each["text"] for each in catalog("show")["descriptors"] if each["locked"]]
    assert locked == ["display"]


def test_a_dry_run_tells_and_writes_nothing(catalog: Callable[..., Any], run: Path) -> None:
    before = _files(run)
    outcome = catalog("ban", "d1", "weather", "--dry-run")
    assert [edit["text"] for edit in outcome["edits"]] == ["screen", "weather"]
    assert [each["reason"] for each in outcome["changed"]] == ["banned_by_user"]
    assert (outcome["dry_run"], outcome["pending"]) == (True, 0)
    assert _files(run) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("rename", "batery life", "x"), "near it: 'battery life'"),
        (("rename", "zzz", "x"), "catalog show --all"),
        (("rename", "screen", "of the"), "only function words"),
        (("rename", "screen", "Battery Life"), "in the catalog already (d0)"),
        (("rename", "display", "panel"), "same_sentences_as_another_descriptor"),
        (("merge", "screen", "d1", "--into", "media"), "found 1 descriptor to merge"),
        (("merge", "screen", "d2", "--into", "battery life"), "in the catalog already"),
        (("merge", "screen", "d2"), "--into"),
        (("seed", "one two three four five six seven"), "more than 6 words"),
        (("seed", "refunds", "of the"), "only function words"),
        (("seed", "screen"), "in the catalog already"),
        (("seed", "refunds", "--sentence", "nowhere"), "no discover sentence"),
        (("seed", "a", "b", "--sentence", "s"), "one TEXT only"),
        (("ban", "?!"), "no phrase without its punctuation"),
        (("lock", "d4"), "no letters"),
        (("unlock", "screen"), "is not locked"),
        (("import", "nowhere.txt"), "nowhere.txt"),
        (("export", "catalog.xlsx"), ".jsonl or .csv"),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    refused: Callable[..., str], arguments: tuple[str, ...], said: str
) -> None:
    assert said in refused(*arguments)


@pytest.mark.parametrize("command", ["show", "seed", "export", "rebuild"])
def test_only_runs_can_be_edited(
    refused: Callable[..., str], tmp_path: Path, run: Path, command: str
) -> None:
    arguments = {"seed": ["refunds"], "export": ["x.csv"]}.get(command, [])
    nowhere = tmp_path / "nowhere"
    assert "is not a run" in refused(command, *arguments, on=nowhere)
    assert not nowhere.exists()
    (run / "descriptors.parquet").unlink()
    expected = 3 if command == "rebuild" else 2
    assert "catalog build" in refused(command, *arguments, code=expected)


def test_a_run_that_is_being_written_is_not_edited(
    refused: Callable[..., str], catalog: Callable[..., Any], run: Path
) -> None:
    with (run / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert "another process is writing" in refused("ban", "screen", code=3)
        assert catalog("ban", "screen", "--dry-run")["changed"]
        assert len(_texts(catalog("show"))) == 3


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_command(["catalog"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "rebuild" in captured.err


def test_what_a_person_reads(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["rename", str(run), "screen", "monitor"], ["show", str(run), "--all"]):
        assert cli.run_command(["catalog", *arguments]) == 0
        shown = capsys.readouterr().out
        assert "was 'screen'" in shown
        assert f"1 edit waits for: neuroscribe catalog rebuild {run}" in shown
    assert cli.run_command(["catalog", "export", str(run), str(run.with_name("x.csv"))]) == 0
    assert "5 descriptors and 1 edits" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_edits_are_carried_to_another_run(
    catalog: Callable[..., Any], run: Path, tmp_path: Path, suffix: str
) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    catalog("seed", "refunds")
    catalog("lock", "display")
    catalog("merge", "screen", "sound quality", "--into", "media")
    file = tmp_path / f"catalog{suffix}"
    report = catalog("export", str(file))
    assert (report["descriptors"], report["edits"]) == (7, 3)
    assert catalog("import", str(file), on=other)["already_there"] == 0
    assert read_edits(other) == read_edits(run)
    assert catalog("import", str(file), on=other)["already_there"] == 3
    assert read_edits(other) == read_edits(run)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_an_exported_catalog_can_seed_another(
    catalog: Callable[..., Any], run: Path, tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"catalog{suffix}"
    catalog("rename", "screen", "monitor")
    catalog("export", str(file))
    (run / EDITS_FILE).unlink()
    outcome = catalog("import", str(file), "--as-seeds")
    assert [edit["text"] for edit in outcome["edits"]] == ["monitor"]
    assert outcome["already_there"] == 2


def test_a_spreadsheet_computes_nothing(
    catalog: Callable[..., Any], run: Path, tmp_path: Path
) -> None:
    file = tmp_path / "catalog.csv"
    catalog("export", str(file))
    with file.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["text"] for row in rows][-1] == f"'{DANGEROUS}"
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    examples = json.loads(rows[0]["example_sentences"])
    support = read_descriptors(run / "descriptors.parquet")[0].support
    assert examples == list(ids_at(read_corpus(run / "corpus.parquet"), support[:5]))
    assert rows[0]["sentences"] == "6"


def test_a_lock_of_many_sentences_fits_a_cell(
    catalog: Callable[..., Any], run: Path, tmp_path: Path
) -> None:
    many = tuple(f"sentence {number}" for number in range(20_000))
    append_edits(run, [Seed(text="refunds", support=many)])
    file = tmp_path / "catalog.csv"
    before = csv.field_size_limit()
    catalog("export", str(file))
    assert read_edits_from(file) == read_edits(run)
    assert csv.field_size_limit() == before


def test_a_list_of_phrases_is_seeded(
    catalog: Callable[..., Any], run: Path, tmp_path: Path
) -> None:
    file = tmp_path / "phrases.txt"
    file.write_text("\ufeffRefund Requests\n\n  opening hours \nscreen\nrefund requests\n", "utf-8")
    outcome = catalog("import", str(file))
    assert [edit["text"] for edit in outcome["edits"]] == ["refund requests", "opening hours"]
    assert outcome["already_there"] == 2
    assert read_edits(run) == [Seed(text="refund requests"), Seed(text="opening hours")]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"refunds\nof the\n", "line 2"),
        ("a.txt", b"caf\xe9", "not UTF-8"),
        ("a.jsonl", b'{"edit": {"kind": "seed", "text": "refunds"}}\n{"text": "x"}\n', "line 2"),
        ("a.jsonl", b'{"edit": {"kind": "seed", "text": "of the"}}\n', "line 1"),
        ("a.csv", b"text\nrefunds\n", "expected those that"),
        ("a.csv", b"", "has the columns none"),
    ],
)
def test_a_file_is_taken_whole_or_not_at_all(
    refused: Callable[..., str], tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    assert said in refused("import", str(file))


def test_csv_rows_that_do_not_fit_are_named(catalog: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "catalog.csv"
    catalog("export", str(file))
    lines = file.read_text("utf-8").splitlines()
    for damaged in (
        lines[1].replace("True", "perhaps"),
        lines[1] + ",,",
        "d1",
        ",,,,,,,,,,nothing",
    ):
        file.write_text("\n".join([lines[0], damaged]), "utf-8")
        with pytest.raises(InputError, match=r"line 2 of .* is neither"):
            read_edits_from(file)


def test_damaged_edits_stop_everything(run: Path) -> None:
    (run / EDITS_FILE).write_text("{}\n", "utf-8")
    with pytest.raises(RunError, match="line 1"):
        EditableCatalog.open(run)
    with pytest.raises(RunError, match="line 1"):
        edit_catalog(run, lambda _: [Ban(text="screen")])
