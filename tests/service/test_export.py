"""`neuroscribe export`: every format read back, what is refused, what stays as it was."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from indexer.errors import InputError
from neurons.neurox_hdf5 import NeuroxHdf5
from neurons.neurox_json import NeuroxJson
from neurons.records import NeuronId, Tail
from neurons.tokens import token_activations
from service import cli
from service import export as export_module
from service.export import Selection, neurox_layers
from service.finished_run import FinishedRun

TABLES = ("explanations", "descriptors", "evaluation", "neurons")
FORMATS = ("csv", "jsonl", "parquet")


@pytest.fixture(scope="module")
def run(small_run: Path) -> FinishedRun:
    return FinishedRun(small_run, "cpu")


def exported(
    capsys: pytest.CaptureFixture[str], run: Path, kind: str, out: Path, *more: str
) -> dict[str, Any]:
    """What `export --json` answers."""
    code = cli.run_command(
        [
            "export",
            str(run),
            "--format",
            kind,
            "--out",
            str(out),
            "--device",
            "cpu",
            "--json",
            *more,
        ]
    )
    captured = capsys.readouterr()
    assert code == 0, captured.err
    answer: dict[str, Any] = json.loads(captured.out)
    assert answer["path"] == str(out)
    return answer


def refused(capsys: pytest.CaptureFixture[str], run: Path, kind: str, out: Path, *more: str) -> str:
    """The one line on stderr of an export that must not happen."""
    code = cli.run_command(["export", str(run), "--format", kind, "--out", str(out), *more])
    captured = capsys.readouterr()
    assert code == 2, captured.err
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def rows_of(path: Path, kind: str) -> list[dict[str, Any]]:
    if kind == "parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    with path.open(encoding="utf-8", newline="") as handle:
        if kind == "jsonl":
            return [json.loads(line) for line in handle]
        return [
            {name: value or None for name, value in row.items()} for row in csv.DictReader(handle)
        ]


@pytest.mark.parametrize("what", TABLES)
def test_all_formats_hold_the_same(
    capsys: pytest.CaptureFixture[str], small_run: Path, tmp_path: Path, what: str
) -> None:
    found = {}
    for kind in FORMATS:
        out = tmp_path / f"table.{kind}"
        answer = exported(capsys, small_run, kind, out, "--what", what)
        found[kind] = rows_of(out, kind)
        assert (answer["what"], answer["format"]) == (what, kind)
        assert answer["rows"] == len(found[kind]) > 0
    assert found["jsonl"] == found["parquet"]
    for read, expected in zip(found["csv"], found["jsonl"], strict=True):
        assert list(read) == list(expected)
        for name, value in expected.items():
            if isinstance(value, float):
                assert float(read[name]) == value
            elif isinstance(value, list):
                assert json.loads(read[name]) == value
            else:
                assert (read[name] or "").removeprefix("'") == ("" if value is None else str(value))


def test_explanations_are_those_of_the_run(
    capsys: pytest.CaptureFixture[str], small_run: Path, tmp_path: Path
) -> None:
    exported(capsys, small_run, "parquet", tmp_path / "a.parquet")
    expected = pq.read_table(small_run / "explanations.parquet")
    found = pq.read_table(tmp_path / "a.parquet")
    standing = {"lexical_excess", "lexical_p", "lexical_label"}
    assert set(found.column_names) == set(expected.column_names) | standing
    assert found.select(expected.column_names).to_pylist() == expected.to_pylist()


def test_explanations_stand_beside_the_lexical_baseline(
    capsys: pytest.CaptureFixture[str], small_run: Path, run: FinishedRun, tmp_path: Path
) -> None:
    exported(capsys, small_run, "parquet", tmp_path / "a.parquet")
    rows = [row for row in pq.read_table(tmp_path / "a.parquet").to_pylist() if row["rank"]]
    assert {row["lexical_label"] for row in rows} <= {"learned", "lexical"}
    for row in rows:
        tail = Tail(row["tail"])
        standing = run.lexical.standing(NeuronId.parse(row["neuron"]), tail, row["auroc"])
        assert (row["lexical_excess"], row["lexical_p"]) == (standing.excess, standing.p)
        assert (row["lexical_label"] == "learned") == (standing.p <= 0.05)


def test_neurons_can_be_chosen(
    capsys: pytest.CaptureFixture[str], small_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.jsonl"
    some = ("--layer", "1", "--site", "ffn")
    answer = exported(capsys, small_run, "jsonl", out, "--what", "neurons", *some)
    assert answer["rows"] == 48
    assert {(row["layer"], row["site"]) for row in rows_of(out, "jsonl")} == {(1, "ffn")}
    exported(capsys, small_run, "jsonl", out, *some, "--force")
    assert {row["neuron"][:7] for row in rows_of(out, "jsonl")} == {"L1.ffn."}


def test_neurons_have_their_group_and_best_descriptors(
    capsys: pytest.CaptureFixture[str], run: FinishedRun, tmp_path: Path
) -> None:
    exported(capsys, run.path, "jsonl", tmp_path / "a.jsonl", "--what", "neurons")
    rows = {row["neuron"]: row for row in rows_of(tmp_path / "a.jsonl", "jsonl")}
    assert list(rows) == [str(neuron) for neuron in run.neurons]
    for group in run.neuron_groups.groups:
        for member in group.members:
            row = rows[member.neuron]
            assert (row["group"], row["group_sign"]) == (group.id, member.sign)
    for (neuron, tail), explanation in run.explanations.items():
        side = "positive" if tail == "+" else "negative"
        row = rows[str(neuron)]
        best = explanation.matches[0] if explanation.matches else None
        assert row[f"{side}_descriptor"] == (best.descriptor if best else None)
        assert row[f"{side}_reason"] == explanation.reason


def test_descriptors_count_their_sentences(
    capsys: pytest.CaptureFixture[str], run: FinishedRun, tmp_path: Path
) -> None:
    exported(capsys, run.path, "jsonl", tmp_path / "a.jsonl", "--what", "descriptors")
    rows = rows_of(tmp_path / "a.jsonl", "jsonl")
    assert [row["id"] for row in rows] == [each.id for each in run.descriptors]
    sizes = [row["members"] for row in rows if row["kept"]]
    assert sizes == run.membership.getnnz(axis=1).tolist()
    assert {row["members"] for row in rows if not row["kept"]} <= {None}
    ids = run.corpus.ids.to_pylist()
    for row, descriptor in zip(rows, run.descriptors, strict=True):
        assert row["support"] == [ids[place] for place in descriptor.support]


@pytest.mark.parametrize(("kind", "suffix"), [("neurox-hdf5", ".hdf5"), ("neurox-json", ".json")])
def test_activations_come_back_from_neurox_files(
    capsys: pytest.CaptureFixture[str], run: FinishedRun, tmp_path: Path, kind: str, suffix: str
) -> None:
    if suffix == ".hdf5":
        pytest.importorskip("h5py")
    out = tmp_path / f"acts{suffix}"
    answer = exported(capsys, run.path, kind, out, "--layer", "1")
    source = NeuroxHdf5.open(out) if suffix == ".hdf5" else NeuroxJson.open(out)
    sentences = list(source.sentences())
    counts = answer["counts"]
    assert (answer["layers"], answer["units"]) == (["L1.hidden"], 32)
    assert counts["sentences"] == len(sentences) == len(source)
    assert counts["sentences"] + counts["sentences_left_out"] == len(run.corpus)
    assert counts["words"] == sum(sentence.n_tokens for sentence in sentences)
    lines = Path(answer["sentences_path"]).read_text(encoding="utf-8").split("\n")[:-1]
    assert lines == [sentence.text for sentence in sentences]
    for sentence in sentences[:5]:
        text = run.corpus.text(sentence.index)
        assert set(sentence.tokens or ()) <= set(text.split())
        neurons = [NeuronId.parse(f"L1.hidden.{unit}") for unit in range(32)]
        last = token_activations(run.subject, [text], neurons)[0]
        if not last.truncated_tokens:
            np.testing.assert_allclose(
                sentence.activations[0, -1], last.activations[-1], rtol=1e-4, atol=1e-5
            )
    again = tmp_path / "again" / out.name
    exported(capsys, run.path, kind, again, "--layer", "1")
    if suffix == ".json":
        assert again.read_bytes() == out.read_bytes()


def test_which_layers_neurox_gets(run: FinishedRun) -> None:
    stored = run.store.layer_sites
    assert [str(each) for each in neurox_layers(stored, Selection())] == ["L0.hidden", "L1.hidden"]
    chosen = Selection.model_validate({"site": "ffn", "layers": (1,)})
    assert [str(each) for each in neurox_layers(stored, chosen)] == ["L1.ffn"]
    ffn = [each for each in stored if each.site == "ffn"]
    assert [str(each) for each in neurox_layers(ffn, Selection())] == ["L0.ffn", "L1.ffn"]
    with pytest.raises(InputError, match="no layer 7; it has L0"):
        neurox_layers(stored, Selection(layers=(0, 7)))
    with pytest.raises(InputError, match="no site hidden"):
        neurox_layers(ffn, Selection.model_validate({"site": "hidden"}))


def test_nothing_is_replaced_unless_told(
    capsys: pytest.CaptureFixture[str], small_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.csv"
    out.write_text("mine")
    assert "--force" in refused(capsys, small_run, "csv", out)
    assert out.read_text() == "mine"
    exported(capsys, small_run, "csv", out, "--force")
    assert out.read_text().startswith("neuron,")
    (tmp_path / "b.sentences.txt").write_text("mine")
    assert "b.sentences.txt" in refused(capsys, small_run, "neurox-json", tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize(
    ("kind", "name", "more", "said"),
    [
        ("csv", "a.csv", ["--what", "evaluation", "--layer", "0"], "not of single neurons"),
        ("csv", "a.csv", ["--layer", "9"], "no layer 9"),
        ("csv", "a.csv", ["--words", "last"], "--words is for NeuroX"),
        ("neurox-json", "a.json", ["--what", "neurons"], "--what is for tables"),
        ("neurox-json", "a.jsonl", [], "to end in .json"),
        ("neurox-hdf5", "a.h5", [], "to end in .hdf5"),
        ("neurox-json", "a.json", ["--layer", "2"], "no layer 2"),
        ("excel", "a.xlsx", [], "--format"),
        ("csv", ".", [], "is a folder"),
    ],
)
def test_what_cannot_be_exported(
    capsys: pytest.CaptureFixture[str],
    small_run: Path,
    tmp_path: Path,
    kind: str,
    name: str,
    more: list[str],
    said: str,
) -> None:
    assert said in refused(capsys, small_run, kind, tmp_path / name, *more)
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_never_written_to(
    capsys: pytest.CaptureFixture[str], small_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = small_run / "explanations.parquet"
    before = target.read_bytes()
    assert "lies in the run" in refused(capsys, small_run, "parquet", target, "--force")
    monkeypatch.chdir(small_run)
    assert "lies in the run" in refused(capsys, small_run, "csv", Path("new.csv"))
    assert target.read_bytes() == before


def test_hdf5_without_its_library_names_the_extra(
    capsys: pytest.CaptureFixture[str],
    small_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(export_module, "find_spec", lambda _: None)
    said = refused(capsys, small_run, "neurox-hdf5", tmp_path / "a.hdf5")
    assert "neuroscribe[hdf5]" in said
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_run_is_named_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str], small_run: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(small_run, tmp_path / "run"))
    (copy / "explanations.parquet").write_bytes(b"PAR1")
    out = tmp_path / "a.csv"
    code = cli.run_command(["export", str(copy), "--format", "csv", "--out", str(out)])
    assert code == 3
    assert "explanations.parquet" in capsys.readouterr().err
    assert not out.exists()


def test_a_changed_model_is_not_exported(
    capsys: pytest.CaptureFixture[str], small_run: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(small_run, tmp_path / "run"))
    manifest = (copy / "manifest.json").read_text()
    model = FinishedRun(copy).manifest.fingerprints["model"]
    (copy / "manifest.json").write_text(manifest.replace(model, "0" * 64))
    out = tmp_path / "a.json"
    code = cli.run_command(["export", str(copy), "--format", "neurox-json", "--out", str(out)])
    assert code == 3
    assert "is not the one" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_people_are_told_where_it_is(
    capsys: pytest.CaptureFixture[str], small_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.json"
    asked = ["export", str(small_run), "--format", "neurox-json", "--out", str(out)]
    assert cli.run_command([*asked, "--device", "cpu", "--words", "average"]) == 0
    shown = capsys.readouterr().out
    assert "2 layers (L0.hidden, L1.hidden) of 32 units" in shown
    assert f"file: {out}" in shown
    assert "left out: " in shown
    out = tmp_path / "a.csv"
    assert cli.run_command(["export", str(small_run), "--format", "csv", "--out", str(out)]) == 0
    assert "rows of explanations" in capsys.readouterr().out
