"""Tables in each format, read back by other readers; and what a spreadsheet must not compute."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.errors import RunError
from indexer.records import Record
from neurons.records import Tail
from service.csv_cells import guarded
from service.table_files import TableFormat, write_table


class Row(Record):
    """One column of each kind."""

    name: str
    tail: Tail
    number: float | None
    count: int | None
    flag: bool
    several: tuple[str, ...]
    absent: float | None = None


ROWS = [
    Row(name="=1+1", tail=Tail.NEGATIVE, number=-0.5, count=-3, flag=True, several=("a", '"b"')),
    Row(name='quote " , and\nline', tail=Tail.POSITIVE, number=None, count=None, flag=False,
        several=()),
    Row(name="naïve 日本", tail=Tail.POSITIVE, number=1e-300, count=7, flag=False, several=("=x",)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        *((start + "x", "'" + start + "x") for start in "=+-@\t\r\n'＝＋－＠"),
        *((cell, cell) for cell in ("", "x", "a=b", "+", "-", " =1")),
        ("=", "'="),
        ("--", "'--"),
    ],
)
def test_formulas_get_an_apostrophe(cell: str, written: str) -> None:
    assert guarded(cell) == written


def test_csv_keeps_numbers_and_guards_texts(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    assert write_table(path, TableFormat.CSV, Row, ROWS) == 3
    with path.open(encoding="utf-8", newline="") as handle:
        found = list(csv.DictReader(handle))
    assert [row["name"] for row in found] == ["'=1+1", 'quote " , and\nline', "naïve 日本"]
    assert [row["tail"] for row in found] == ["-", "+", "+"]
    assert [row["number"] for row in found] == ["-0.5", "", "1e-300"]
    assert [row["count"] for row in found] == ["-3", "", "7"]
    assert [json.loads(row["several"]) for row in found] == [["a", '"b"'], [], ["=x"]]
    assert {row["absent"] for row in found} == {""}


def test_json_lines_come_back(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert write_table(path, TableFormat.JSONL, Row, iter(ROWS)) == 3
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [Row.model_validate_json(line) for line in lines] == ROWS


def test_parquet_has_types_also_where_nothing_is(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    assert write_table(path, TableFormat.PARQUET, Row, ROWS) == 3
    table = pq.read_table(path)
    assert [Row.model_validate(row) for row in table.to_pylist()] == ROWS
    assert write_table(path, TableFormat.PARQUET, Row, []) == 0
    assert pq.read_schema(path) == table.schema
    kinds = dict(zip(table.schema.names, table.schema.types, strict=True))
    assert kinds["absent"] == pa.float64()
    assert kinds["several"] == pa.list_(pa.string())
    assert (kinds["count"], kinds["flag"], kinds["tail"]) == (pa.int64(), pa.bool_(), pa.string())


def test_parquet_in_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.table_files._ROWS_AT_A_TIME", 2)
    write_table(tmp_path / "rows.parquet", TableFormat.PARQUET, Row, ROWS)
    found = pq.read_table(tmp_path / "rows.parquet").to_pylist()
    assert [Row.model_validate(row) for row in found] == ROWS


@pytest.mark.parametrize("table_format", TableFormat)
def test_a_table_that_breaks_off_leaves_what_was_there(
    tmp_path: Path, table_format: TableFormat
) -> None:
    path = tmp_path / "rows"
    path.write_text("before")

    def broken() -> object:
        yield ROWS[0]
        raise RunError("the run is damaged")

    with pytest.raises(RunError, match="the run is damaged"):
        write_table(path, table_format, Row, broken())  # type: ignore[arg-type]
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["rows"]
