import gzip
import json
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from descriptors.readers import HubSource, read_rows
from descriptors.rows import FieldMapping
from descriptors.text_lines import MAX_LINE_BYTES
from indexer.errors import BackendError, InputError

ROWS = [
    {"text": "good battery", "labels": ["topic:battery", "stars:5"], "id": "a", "document": "d1"},
    {"text": "", "labels": "topic:none", "id": "b", "document": "d1"},
    {"text": "schöne Farbe 🎨", "id": "c", "document": "d2"},
]


def write_json_lines(path: Path, rows: list[object]) -> str:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.ndjson", "a.json-lines", "A.JSONL"])
def test_json_lines(tmp_path: Path, name: str) -> None:
    rows = list(read_rows(write_json_lines(tmp_path / name, ROWS)))
    assert [row.text for row in rows] == ["good battery", "", "schöne Farbe 🎨"]
    assert [row.labels for row in rows] == [("topic:battery", "stars:5"), ("topic:none",), ()]
    assert [row.id for row in rows] == ["a", "b", "c"]
    assert [row.document for row in rows] == ["d1", "d1", "d2"]
    assert [row.line for row in rows] == [1, 2, 3]


def test_blank_lines_and_null_texts_are_blank_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('\n{"text": null}\n{"text": "x"}\n   \n')
    assert [(row.text, row.line) for row in read_rows(str(path))] == [
        ("", 1),
        ("", 2),
        ("x", 3),
        ("", 4),
    ]


@pytest.mark.parametrize(
    ("name", "delimiter"), [("a.csv", ","), ("a.tsv", "\t"), ("a.csv.gz", ",")]
)
def test_tables(tmp_path: Path, name: str, delimiter: str) -> None:
    lines = [["text", "stars", "more"], ['"two\nlines, ""quoted"""', "5", "x"], [], ["b", "", "y"]]
    data = "\r\n".join(delimiter.join(cells) for cells in lines).encode("utf-8-sig")
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    rows = list(read_rows(str(path), FieldMapping(labels="stars")))
    assert [(row.text, row.labels, row.line) for row in rows] == [
        ('two\nlines, "quoted"', ("stars:5",), 2),
        ("", (), 4),
        ("b", (), 5),
    ]


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table(
        {
            "review": ["one", None, "three"],
            "stars": pa.array([4.0, None, 5.0]),
            "topics": [["food", "kind:drink"], [], None],
            "id": [7, 8, 9],
            "unread": [1, 2, 3],
        }
    )
    pq.write_table(table, path)
    rows = list(read_rows(str(path), FieldMapping(text="review", labels=("stars", "topics"))))
    assert [(row.id, row.text, row.labels, row.line) for row in rows] == [
        ("7", "one", ("stars:4", "topics:food", "kind:drink"), 1),
        ("8", "", (), 2),
        ("9", "three", ("stars:5",), 3),
    ]


def test_plain_text_with_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("caf\xe9\r\n\r\nlast".encode("latin-1"))
    rows = list(read_rows(str(path), encoding="latin-1"))
    assert [(row.text, row.line) for row in rows] == [("café", 1), ("", 2), ("last", 3)]


def test_labels_of_every_kind_become_strings(tmp_path: Path) -> None:
    row = {"text": "x", "n": 3, "flag": True, "s": " a:b ", "many": [1, 1, "", None], "labels": [2]}
    source = write_json_lines(tmp_path / "a.jsonl", [row])
    mapping = FieldMapping(labels=("n", "flag", "s", "many", "labels"))
    assert next(read_rows(source, mapping)).labels == ("n:3", "flag:true", "a:b", "many:1", "2")


def test_reading_is_lazy(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "first"}\nnot json\n')
    assert next(read_rows(str(path))).text == "first"


BAD_CONTENT = {
    "empty": ("a.jsonl", b"", "is empty"),
    "empty gzip": ("a.txt.gz", gzip.compress(b""), "is empty"),
    "empty csv": ("a.csv", b"", "is empty"),
    "header only": ("a.csv", b"text\n", "is empty"),
    "unknown suffix": ("a.docx", b"x", r"unknown format '\.docx'.*\.jsonl"),
    "no suffix": ("reviews", b"x", "unknown format.*hf:NAME"),
    "compressed parquet": ("a.parquet.gz", b"x", "unknown format"),
    "wrong field": (
        "a.jsonl",
        b'{"body": "x", "id": 1}',
        "line 1: expected a field 'text', found the fields: .*'body', 'id'",
    ),
    "wrong field later": (
        "a.jsonl",
        b'{"text": "x"}\n{"t": "y"}',
        "line 2: expected a field 'text', found the fields: .*'t'",
    ),
    "wrong column": (
        "a.csv",
        b"body;id\nx;1\n",
        "line 1: expected a field 'text', found the fields: .*'body;id'",
    ),
    "binary": ("a.jsonl", b"\x89PNG\r\n\x1a\n\0\0\0", "found a NUL byte.*binary"),
    "binary later": ("a.txt", b"x\n" * 5000 + b"\0", "line 5001: found a NUL byte"),
    "utf-16": ("a.txt", "text".encode("utf-16"), "UTF-16 text.*iconv"),
    "broken utf-8": ("a.jsonl", b'{"text": "x"}\n{"text": "\xe9t"}', "line 2, byte 11.*0xe9"),
    "broken utf-8 in csv": ("a.csv", b"text\nok\n\xff\n", "line 3, byte 1.*0xff"),
    "not json": ("a.jsonl", b'{"text": "x"}\n{"text": ', "line 2: not JSON"),
    "too deep": ("a.jsonl", b"[" * 200_000, "line 1: not JSON"),
    "not an object": ("a.jsonl", b'["x"]', "line 1: found a JSON list.*JSON object"),
    "half surrogate": ("a.jsonl", b'{"text": "\\ud83d!"}', r"line 1: half of a surrogate.*\\ud83d"),
    "text is a number": ("a.jsonl", b'{"text": 5}', "line 1: field 'text' holds int 5"),
    "id is a list": ("a.jsonl", b'{"text": "x", "id": [1]}', "line 1: field 'id' holds list"),
    "label is an object": ("a.jsonl", b'{"text": "x", "labels": {"a": 1}}', "'labels' holds dict"),
    "truncated gzip": (
        "a.jsonl.gz",
        gzip.compress(b'{"text": "x"}\n' * 99)[:-9],
        "expected a whole gzip",
    ),
    "no gzip": ("a.jsonl.gz", b'{"text": "x"}\n', "expected a whole gzip"),
    "damaged gzip": (
        "a.txt.gz",
        b"\x1f\x8b\x08" + bytes(7) + b"\xff" * 40,
        "expected a whole gzip",
    ),
    "damaged parquet": ("a.parquet", b"PAR1" + b"x" * 99 + b"PAR1", "cannot be read as Parquet"),
    "ragged csv": ("a.csv", b"text,id\nx,1\ny\n", "line 3: found 1 fields; expected 2"),
    "open quote": ("a.csv", b'text\nx\n"y\nz\n', "line 4: unexpected end of data"),
    "field twice": ("a.csv", b"text,text\nx,y\n", "line 1: field 'text' occurs twice"),
}


@pytest.mark.parametrize("case", BAD_CONTENT)
def test_bad_content_is_one_clear_error(tmp_path: Path, case: str) -> None:
    name, data, message = BAD_CONTENT[case]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"(?s){message}") as caught:
        list(read_rows(str(path)))
    assert str(path) in str(caught.value)
    assert "xpected" in str(caught.value)


def test_parquet_damaged_inside(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"text {i}" for i in range(5000)]}), path)
    data = bytearray(path.read_bytes())
    data[200:400] = b"\xa5" * 200
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="cannot be read as Parquet after row"):
        list(read_rows(str(path)))


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.txt", "a.csv"])
def test_long_line_is_never_loaded(tmp_path: Path, name: str) -> None:
    first = b'{"text": "x"}\n' if "jsonl" in name else b"text\n"
    data = first + b"x" * 10_000_000 + b"\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="line 2: the line has more than 1,000,000 bytes"):
            list(read_rows(str(path)))
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_longest_allowed_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * MAX_LINE_BYTES)
    assert len(next(read_rows(str(path))).text) == MAX_LINE_BYTES


def test_long_parquet_text(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["x", "y" * (MAX_LINE_BYTES + 1)]}), path)
    with pytest.raises(InputError, match="row 2: the text has 1,000,001 characters"):
        list(read_rows(str(path)))


def test_missing_file_and_directory_fail_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_rows(str(tmp_path / "none.jsonl"))
    with pytest.raises(InputError, match="is a directory"):
        read_rows(str(tmp_path))


@pytest.mark.parametrize("encoding", ["utf-16", "klingon", "rot13"])
def test_unusable_encoding(tmp_path: Path, encoding: str) -> None:
    source = write_json_lines(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(InputError, match=f"encoding '{encoding}'"):
        read_rows(source, encoding=encoding)


@pytest.mark.parametrize(
    "mapping", [FieldMapping(id="key"), FieldMapping(document="key"), FieldMapping(labels="key")]
)
def test_named_fields_must_exist(tmp_path: Path, mapping: FieldMapping) -> None:
    source = write_json_lines(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(
        InputError, match=r"line 1: expected a field 'key', found the fields: .*'text'"
    ):
        list(read_rows(source, mapping))


def test_plain_text_has_no_fields(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x\n")
    with pytest.raises(InputError, match="has no fields"):
        list(read_rows(str(tmp_path / "a.txt"), FieldMapping(labels="stars")))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("hf:imdb", HubSource("imdb", None, "train")),
        ("hf:org/name:test", HubSource("org/name", None, "test")),
        ("hf:glue:sst2:validation", HubSource("glue", "sst2", "validation")),
    ],
)
def test_hub_source(source: str, expected: HubSource) -> None:
    assert HubSource.parse(source) == expected


@pytest.mark.parametrize("source", ["hf:", "hf:a::b", "hf:a:b:c:d"])
def test_bad_hub_source(source: str) -> None:
    with pytest.raises(InputError, match="expected hf:NAME"):
        read_rows(source)


@pytest.mark.slow
def test_hub_data_set_with_class_numbers(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["bad", "good"]),
            "topics": datasets.List(datasets.ClassLabel(names=["food", "music"])),
        }
    )
    rows = {"text": ["x", "y", "z"], "label": [1, 0, -1], "topics": [[1, 0], [], [1]]}
    folder = tmp_path / "set"
    folder.mkdir()
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(folder / "train.parquet"))
    read = list(read_rows(f"hf:{folder}", FieldMapping(labels=("label", "topics"))))
    assert [(row.text, row.labels) for row in read] == [
        ("x", ("label:good", "topics:music", "topics:food")),
        ("y", ("label:bad",)),
        ("z", ("topics:music",)),
    ]
    with pytest.raises(InputError, match="split 'test'"):
        list(read_rows(f"hf:{folder}:test"))
    with pytest.raises(
        InputError, match=r"expected a field 'body', found the fields: .*'text', 'label', 'topics'"
    ):
        list(read_rows(f"hf:{folder}", FieldMapping(text="body")))


def test_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BackendError, match=r"'no-such-org/no-such-set'.*Tried datasets"):
        list(read_rows("hf:no-such-org/no-such-set"))
