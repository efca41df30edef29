from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse import random as random_sparse

from descriptors.catalog import (
    kept,
    read_descriptors,
    read_membership,
    rejections,
    write_descriptors,
    write_membership,
)
from descriptors.curation import Rejection
from descriptors.records import Descriptor
from indexer.errors import RunError


def descriptor(number: int, reason: str = "", **changes: object) -> Descriptor:
    plain = Descriptor(
        id=f"d{number}",
        text=f"phrase {number}",
        proposer="keyphrase",
        group="clusters:8/3",
        support=(number, number + 7, 2**40) if not reason else (),
        kept=not reason,
        reason=reason,
    )
    return plain.model_copy(update=changes)


DESCRIPTORS = [
    descriptor(2),
    descriptor(0, text="Überhitzung 電池 🔋 <b>&amp;\n", proposer="transformers:a/b"),
    descriptor(3, support=(), proposer="user", group="", locked=True, renamed_from="phrase 9"),
    descriptor(1, reason=Rejection.ALTERNATIVE),
    descriptor(5, reason="too_long"),
    descriptor(4, reason=Rejection.ALTERNATIVE),
]


def membership() -> csr_matrix:
    return csr_matrix(random_sparse(9, 70, density=0.2, random_state=0, dtype=np.float32))


def assert_same(found: csr_matrix, expected: csr_matrix) -> None:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    for name in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_descriptors_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "descriptors.parquet"
    write_descriptors(path, DESCRIPTORS)
    assert read_descriptors(path) == DESCRIPTORS
    assert pq.read_schema(path).names == [
        *("id", "text", "proposer", "group", "support", "kept", "reason", "locked"),
        *("renamed_from", "handicap"),
    ]


def test_a_folder_with_an_equals_sign_adds_no_column(tmp_path: Path) -> None:
    path = tmp_path / "model=bundled" / "descriptors.parquet"
    write_descriptors(path, DESCRIPTORS)
    assert read_descriptors(path) == DESCRIPTORS


def test_an_empty_catalog(tmp_path: Path) -> None:
    path = tmp_path / "descriptors.parquet"
    write_descriptors(path, [])
    assert read_descriptors(path) == []
    write_descriptors(path, DESCRIPTORS[3:])
    assert kept(read_descriptors(path)) == []
    write_membership(tmp_path / "membership.npz", csr_matrix((0, 12), dtype=np.float32))
    assert_same(read_membership(tmp_path / "membership.npz"), csr_matrix((0, 12), dtype=np.float32))


def test_kept_and_rejections() -> None:
    assert [each.id for each in kept(DESCRIPTORS)] == ["d2", "d0", "d3"]
    assert rejections(DESCRIPTORS) == {Rejection.ALTERNATIVE: 2, "too_long": 1}
    assert rejections([]) == {}


def test_membership_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "run" / "membership.npz"
    write_membership(path, membership())
    assert_same(read_membership(path), membership())
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_no_clock_is_in_the_files(tmp_path: Path) -> None:
    written = []
    for name in ("first", "second"):
        write_descriptors(tmp_path / name / "descriptors.parquet", DESCRIPTORS)
        write_membership(tmp_path / name / "membership.npz", membership())
        files = sorted((tmp_path / name).iterdir())
        written.append([file.read_bytes() for file in files])
        if name == "first":
            # Zip archives keep times to two seconds.
            time.sleep(2.1)
    assert written[0] == written[1]


def test_missing_files_are_run_errors(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"descriptors\.parquet.*Re-run"):
        read_descriptors(tmp_path / "descriptors.parquet")
    with pytest.raises(RunError, match=r"membership\.npz.*Re-run"):
        read_membership(tmp_path / "membership.npz")


def test_damaged_descriptors_are_a_run_error(tmp_path: Path) -> None:
    path = tmp_path / "descriptors.parquet"
    write_descriptors(path, DESCRIPTORS)
    whole = path.read_bytes()
    for damaged in (b"", whole[:100], whole[:-1], b"PAR1" * 20):
        path.write_bytes(damaged)
        with pytest.raises(RunError, match="Re-run"):
            read_descriptors(path)


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": "d1", "text": "no other column"}],
        [DESCRIPTORS[0].model_dump() | {"kept": None}],
        [DESCRIPTORS[0].model_dump() | {"support": None}],
        [DESCRIPTORS[0].model_dump() | {"surplus": 1}],
    ],
)
def test_a_table_of_something_else_is_a_run_error(
    tmp_path: Path, rows: list[dict[str, object]]
) -> None:
    path = tmp_path / "descriptors.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    with pytest.raises(RunError, match="Re-run"):
        read_descriptors(path)


def test_damage_anywhere_in_a_membership_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "membership.npz"
    write_membership(path, membership())
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    noticed = 0
    for position in range(0, len(whole), 3):
        changed = bytearray(whole)
        changed[position] ^= int(random.integers(1, 256))
        for damaged in (bytes(changed), whole[:position]):
            path.write_bytes(damaged)
            try:
                found = read_membership(path)
            except RunError:
                noticed += 1
            else:
                # Not every byte of a zip archive means something.
                assert_same(found, membership())
    assert noticed > len(whole) / 3


def array_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=array.dtype == object)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"text", array_bytes(np.arange(3)), array_bytes(np.array([{"a": 1}], dtype=object))],
    ids=["empty", "text", "one array", "pickle"],
)
def test_something_else_than_a_matrix_is_a_run_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "membership.npz"
    path.write_bytes(content)
    with pytest.raises(RunError, match="Re-run"):
        read_membership(path)


def test_an_archive_of_other_arrays_is_a_run_error(tmp_path: Path) -> None:
    path = tmp_path / "membership.npz"
    np.savez(path, values=np.arange(3))
    with pytest.raises(RunError, match="Re-run"):
        read_membership(path)
