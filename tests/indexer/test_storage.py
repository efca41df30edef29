from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import RunError
from indexer.storage import (
    atomic_path,
    file_fingerprint,
    fingerprint,
    read_json,
    read_table,
    why_unreadable,
    write_json,
)

needs_full_device = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="no /dev/full on this system"
)


def _fill_disk_for(path: Path) -> None:
    """Make every write to the temporary name of `path` meet a full disk."""
    path.with_name(path.name + ".partial").symlink_to("/dev/full")


def test_json_round_trip_is_sorted_and_ends_in_a_newline(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.json"
    write_json(path, {"b": [1, None], "a": "é"})
    assert path.read_text(encoding="utf-8").startswith('{\n  "a": "é",')
    assert path.read_bytes().endswith(b"}\n")
    assert read_json(path) == {"b": [1, None], "a": "é"}
    assert [item.name for item in path.parent.iterdir()] == ["a.json"]


def test_failing_block_keeps_the_old_file_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half() -> None:
        with atomic_path(path) as partial:
            partial.write_text("half of the new")
            raise KeyError("not an operating system error")

    with pytest.raises(KeyError):
        write_half()
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]


def test_reader_never_sees_an_unfinished_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_path(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert partial.parent == path.parent
    assert path.read_text() == "new"


def test_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot write .*a\.txt"), atomic_path(tmp_path / "a.txt"):
        pass
    assert list(tmp_path.iterdir()) == []


@needs_full_device
def test_full_disk_is_a_run_error_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": True})
    _fill_disk_for(path)
    with pytest.raises(RunError, match="No space left on device") as refused:
        write_json(path, {"new": True})
    assert str(path) in str(refused.value)
    assert read_json(path) == {"old": True}
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_failing_flush_to_disk_is_a_run_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_json(path, "old")

    def refuse(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(RunError, match="No space left"):
        write_json(path, "new")
    assert read_json(path) == "old"


def test_parent_that_is_a_file_is_a_run_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(RunError, match="choose another --out"):
        write_json(tmp_path / "out" / "a.json", 1)
    assert (tmp_path / "out").read_text() == "a file"


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_lacks_are_refused_before_anything_is_written(
    tmp_path: Path, number: float
) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"auroc": number})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"", b'{"a": ', b"\xff\xfe", b"PK\x03\x04"],
    ids=["empty", "cut off", "not UTF-8", "binary"],
)
def test_damaged_json_is_a_run_error_with_its_path(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"cannot read .*a\.json"):
        read_json(path)


def test_missing_json_is_a_run_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="No such file"):
        read_json(tmp_path / "a.json")


def test_a_table_is_that_of_its_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "model=bundled" / "a.parquet"
    path.parent.mkdir()
    table = pa.table({"id": ["a", "b"], "labels": [["x"], []], "kept": [True, None]})
    pq.write_table(table, path)
    assert read_table(path).equals(table)
    assert read_table(path, ["kept", "other"]).equals(table.select(["kept"]))


@pytest.mark.parametrize("content", [None, b"", b"PAR1", b"PAR1" * 20])
def test_no_table_is_a_run_error_with_its_path(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError, match=r"cannot read .*a\.parquet.*expected a Parquet file"):
        read_table(path)


def test_a_table_whose_names_are_damaged_is_a_run_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"identifier": ["a"]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"identifier", b"identif\xffer"))
    with pytest.raises(RunError, match="cannot read"):
        read_table(path)


def test_a_table_with_a_damaged_text_is_a_run_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"text": ["something long enough"]})
    pq.write_table(table, path, compression="none", use_dictionary=False, write_statistics=False)
    path.write_bytes(path.read_bytes().replace(b"long", b"l\xffng"))
    with pytest.raises(RunError, match=r"cannot read .*UTF-?8"):
        read_table(path)


def test_a_folder_in_the_place_of_a_table_is_no_table_without_rows(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is a directory"):
        read_table(tmp_path)


def test_why_an_array_is_unreadable_never_says_how_to_load_it_unsafely() -> None:
    assert why_unreadable(FileNotFoundError(2, "No such file"), "matrix") == "No such file"
    unsafe = ValueError("This file contains pickled data. use allow_pickle=True")
    assert why_unreadable(unsafe, "matrix") == "it holds no matrix"


def test_file_fingerprint_is_the_sha256_of_the_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5_000
    (tmp_path / "a.bin").write_bytes(content)
    assert file_fingerprint(tmp_path / "a.bin") == hashlib.sha256(content).hexdigest()


def test_fingerprint_accepts_half_a_surrogate_pair() -> None:
    assert fingerprint("\ud800") != fingerprint("\ud801")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abcdef", max_size=3), json_values, max_size=5))
def test_fingerprint_ignores_the_order_of_keys_only(content: dict[str, object]) -> None:
    backwards = dict(reversed(content.items()))
    assert fingerprint(backwards) == fingerprint(content)
    assert fingerprint({**content, "one more": 1}) != fingerprint(content)
    assert fingerprint(json.loads(json.dumps(content))) == fingerprint(content)
