import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descriptors import sample
from descriptors.corpus import Corpus, CorpusSettings, IngestReport, read_corpus, read_labels
from descriptors.ingest import ROW_GROUP_SENTENCES, ingest
from descriptors.records import Split
from descriptors.rows import FieldMapping
from descriptors.segmentation import Segment
from descriptors.splits import split_by_document
from indexer.errors import InputError, RunError

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"


def reviews(count: int) -> list[dict[str, object]]:
    return [
        {
            "text": f"The cup {i} is blue. It holds water.",
            "labels": ["thing:cup", f"parity:{i % 2}"],
        }
        if i % 3
        else {"text": f"short phrase {i}", "labels": "plain"}
        for i in range(count)
    ]


def written(folder: Path, rows: list[dict[str, object]], name: str = "texts.jsonl") -> str:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_ingest_counts_everything(tmp_path: Path) -> None:
    rows = [*reviews(60), {"text": "  "}, {"text": "short phrase 0"}]
    source = written(tmp_path, rows)
    path = tmp_path / "run" / "corpus.parquet"
    report = ingest(source, path)
    assert report.model_dump() | {"split_counts": None} == {
        "source": source,
        "texts_read": 62,
        "blank_skipped": 1,
        "texts_segmented": 40,
        "sentences": 101,
        "documents": 61,
        "documents_given": False,
        "ids_given": False,
        "duplicate_sentences": 39 + 1,
        "longest_sentence_characters": len("The cup 10 is blue."),
        "labelled_sentences": 100,
        "distinct_labels": 4,
        "split_counts": None,
    }
    assert sum(report.split_counts.values()) == 101
    assert IngestReport.model_validate_json(report.model_dump_json()) == report
    assert sorted(p.name for p in path.parent.iterdir()) == ["corpus.parquet"]


def test_file_holds_what_the_design_says(tmp_path: Path) -> None:
    rows = [
        {"text": "One. Two.", "document": "d", "id": 5, "labels": ["a:b"]},
        *({"text": f"text {i}", "document": f"d{i}", "id": f"t{i}"} for i in range(99)),
    ]
    path = tmp_path / "corpus.parquet"
    report = ingest(written(tmp_path, rows), path)
    assert (report.ids_given, report.documents_given, report.documents) == (True, True, 100)
    table = pq.read_table(path)
    assert table.schema.names == ["id", "text", "labels", "document", "split"]
    read = table.to_pylist()
    assert [row | {"split": ""} for row in read[:3]] == [
        {"id": "5#0", "text": "One.", "labels": ["a:b"], "document": "d", "split": ""},
        {"id": "5#1", "text": "Two.", "labels": ["a:b"], "document": "d", "split": ""},
        {"id": "t0", "text": "text 0", "labels": [], "document": "d0", "split": ""},
    ]
    names = ("discover", "validation", "test")
    codes = split_by_document([row["document"] for row in read], CorpusSettings().fractions, 0)
    assert [row["split"] for row in read] == [names[code] for code in codes]


def test_numbered_ids_keep_their_place_in_the_source(tmp_path: Path) -> None:
    rows = [{"text": ""}, *({"text": f"text {i}"} for i in range(80))]
    ingest(written(tmp_path, rows), tmp_path / "c.parquet")
    corpus = read_corpus(tmp_path / "c.parquet")
    assert corpus.ids[0].as_py() == corpus.documents[0].as_py() == "00000001"
    assert corpus.ids[79].as_py() == "00000080"


def test_whole_texts_limit_and_other_settings(tmp_path: Path) -> None:
    settings = CorpusSettings(
        segment=Segment.NONE, limit=90, mapping=FieldMapping(labels=()), seed=3
    )
    report = ingest(written(tmp_path, reviews(120)), tmp_path / "c.parquet", settings)
    assert (report.texts_read, report.sentences, report.texts_segmented) == (90, 90, 0)
    assert (report.labelled_sentences, report.distinct_labels) == (0, 0)
    labels = read_labels(tmp_path / "c.parquet")
    assert (labels.names, labels.membership.shape, labels.facets) == ((), (0, 90), ())
    with pytest.raises(InputError, match="has no labels"):
        labels.facet("stars")


def test_same_input_gives_same_bytes_even_after_a_crash(tmp_path: Path) -> None:
    source = written(tmp_path, reviews(ROW_GROUP_SENTENCES))
    first, second = tmp_path / "a" / "corpus.parquet", tmp_path / "b" / "corpus.parquet"
    ingest(source, first)
    second.parent.mkdir()
    for leftover in ("corpus.parquet", "corpus.parquet.staging", "corpus.parquet.partial"):
        (second.parent / leftover).write_bytes(b"half a file")
    ingest(source, second)
    assert first.read_bytes() == second.read_bytes()
    with pq.ParquetFile(first) as table:
        sizes = [table.metadata.row_group(i).num_rows for i in range(table.num_row_groups)]
    assert sizes[0] == ROW_GROUP_SENTENCES
    assert len(sizes) == 2
    code = (
        "import sys; from pathlib import Path; from descriptors.ingest import ingest;"
        "ingest(sys.argv[1], Path(sys.argv[2]))"
    )
    third = tmp_path / "c.parquet"
    subprocess.run([sys.executable, "-W", "error", "-c", code, source, str(third)], check=True)
    assert first.read_bytes() == third.read_bytes()


BAD_ROWS = {
    "one sentence": ([{"text": "Only one"}], "no usable split: found 1 documents with 1 sentences"),
    "one document": (
        [{"text": f"text {i}", "document": "d"} for i in range(500)],
        "no usable split: found 1 documents with 500 sentences",
    ),
    "blank": ([{"text": " "}, {"text": "\n"}], "all 2 texts are blank"),
    "ids twice": (
        [{"text": f"t {i}", "id": i % 70} for i in range(90)],
        "id '0' of line 71 was used on line 1 already",
    ),
    "ids twice, one segmented": (
        [{"text": "A cup. It is blue."}, *({"text": f"t {i}"} for i in range(90)), {"text": "x"}],
        "id 'z' of line 92 was used on line 1 already",
    ),
    "id like a segmented one": (
        [{"text": "x", "id": "z#1"}, {"text": "A cup. It is blue.", "id": "z"}]
        + [{"text": f"t {i}", "id": i} for i in range(90)],
        "id 'z#1' of line 2 was used on line 1 already",
    ),
    "id missing": (
        [{"text": "x", "id": "a"}, {"text": ""}, {"text": "y"}],
        "the text of line 1 has an id .'a'., that of line 3 has none",
    ),
    "id only later": (
        [{"text": "x"}, {"text": "y", "id": "b"}],
        "the text of line 2 has an id .'b'., that of line 1 has none",
    ),
}
for position, row in enumerate(BAD_ROWS["ids twice, one segmented"][0]):
    row["id"] = "z" if position in (0, 91) else str(position)


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_corpus_is_one_clear_error_and_leaves_nothing(tmp_path: Path, case: str) -> None:
    rows, message = BAD_ROWS[case]
    path = tmp_path / "run" / "corpus.parquet"
    with pytest.raises(InputError, match=message):
        ingest(written(tmp_path, rows), path)
    assert list(path.parent.iterdir()) == []


def test_failure_keeps_the_corpus_of_before(tmp_path: Path) -> None:
    path = tmp_path / "corpus.parquet"
    ingest(written(tmp_path, reviews(60)), path)
    before = path.read_bytes()
    with pytest.raises(InputError):
        ingest(written(tmp_path, [{"text": "x"}], "bad.jsonl"), path)
    assert path.read_bytes() == before


def test_no_place_to_write(tmp_path: Path) -> None:
    path = tmp_path / "run" / "corpus.parquet"
    path.mkdir(parents=True)
    with pytest.raises(RunError, match="cannot write"):
        ingest(written(tmp_path, reviews(60)), path)
    assert list(path.parent.iterdir()) == [path]


def test_read_corpus(tmp_path: Path) -> None:
    path = tmp_path / "corpus.parquet"
    report = ingest(written(tmp_path, reviews(100)), path)
    corpus = read_corpus(path)
    texts = pq.read_table(path)["text"].to_pylist()
    assert len(corpus) == report.sentences == len(texts)
    assert corpus.text(4) == texts[4]
    assert corpus.texts_at([5, 0, 5]) == [texts[5], texts[0], texts[5]]
    assert corpus.texts_at(np.array([], dtype=np.int64)) == []
    windows = list(corpus.iter_texts(30))
    assert [len(window) for window in windows[:-1]] == [30] * (len(windows) - 1)
    assert [text for window in windows for text in window] == texts
    rows = [corpus.rows(split) for split in Split]
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(corpus)))
    assert {split: len(r) for split, r in zip(Split, rows, strict=True)} == report.split_counts
    assert not hasattr(corpus, "labels")
    with pytest.raises(IndexError, match="of 166 sentences"):
        corpus.texts_at([-1])
    for row in (-1, len(corpus)):
        with pytest.raises(IndexError, match="of 166 sentences"):
            corpus.text(row)
    with pytest.raises(ValueError, match="window 0"):
        corpus.iter_texts(0)


def made_corpus(texts: list[str], chunk: int) -> Corpus:
    chunks = [texts[i : i + chunk] for i in range(0, len(texts), chunk)]
    ids = pa.chunked_array([[str(i) for i in range(len(texts))]], pa.string())
    return Corpus(ids, pa.chunked_array(chunks, pa.string()), ids, np.zeros(len(texts), np.int8))


@given(st.lists(st.text(alphabet="ab"), min_size=1), st.lists(st.text(alphabet="ab"), min_size=1))
def test_fingerprint_tells_corpora_apart(first: list[str], second: list[str]) -> None:
    one, other = made_corpus(first, 2), made_corpus(second, 3)
    assert (one.fingerprint == other.fingerprint) == (first == second)
    assert len(one.fingerprint) == len(hashlib.sha256().hexdigest())


def test_fingerprint_sees_every_column(tmp_path: Path) -> None:
    corpus = made_corpus(["a", "b"], 1)
    other_names = pa.chunked_array([["x", "y"]])
    splits = np.array([0, 1], np.int8)
    variants = [
        corpus,
        Corpus(other_names, corpus.texts, corpus.documents, corpus.splits),
        Corpus(corpus.ids, other_names, corpus.documents, corpus.splits),
        Corpus(corpus.ids, corpus.texts, other_names, corpus.splits),
        Corpus(corpus.ids, corpus.texts, corpus.documents, splits),
    ]
    assert len({variant.fingerprint for variant in variants}) == len(variants)


def test_labels_match_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "corpus.parquet"
    ingest(written(tmp_path, reviews(100)), path)
    column = pq.read_table(path)["labels"].to_pylist()
    labels = read_labels(path)
    assert labels.names == ("parity:0", "parity:1", "plain", "thing:cup")
    assert labels.facets == ("label", "parity", "thing")
    assert labels.membership.dtype == np.bool_
    expected = [[name in row for row in column] for name in labels.names]
    assert labels.membership.toarray().tolist() == expected
    parity = labels.facet("parity")
    assert parity.names == ("parity:0", "parity:1")
    assert parity.membership.toarray().tolist() == expected[:2]
    assert labels.facet("label").names == ("plain",)
    with pytest.raises(InputError, match="'stars'; found the facets: label, parity, thing"):
        labels.facet("stars")


def test_corpus_does_not_depend_on_labels(tmp_path: Path) -> None:
    bare = [{"text": row["text"]} for row in reviews(90)]
    ingest(written(tmp_path, reviews(90), "a.jsonl"), tmp_path / "a.parquet")
    ingest(written(tmp_path, bare, "b.jsonl"), tmp_path / "b.parquet")
    first, second = read_corpus(tmp_path / "a.parquet"), read_corpus(tmp_path / "b.parquet")
    assert first.fingerprint == second.fingerprint


def test_damaged_corpus(tmp_path: Path) -> None:
    path = tmp_path / "corpus.parquet"
    with pytest.raises(RunError, match="cannot read"):
        read_corpus(path)
    ingest(written(tmp_path, reviews(90)), path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    for read in (read_corpus, read_labels):
        with pytest.raises(RunError, match=r"cannot read .*corpus\.parquet"):
            read(path)
    pq.write_table(pa.table({"id": ["a"], "text": ["b"]}), path)
    with pytest.raises(RunError, match="expected the columns id, text, document, split"):
        read_corpus(path)
    columns = {"id": ["a"], "text": ["b"], "document": ["c"], "split": ["train"]}
    pq.write_table(pa.table(columns), path)
    with pytest.raises(RunError, match="each of split discover, validation, test"):
        read_corpus(path)


def test_sample_source() -> None:
    assert sample.resolve_source("other.csv") == "other.csv"
    assert sample.resolve_source("sample") == str(sample.sample_corpus_path())
    assert sample.sample_corpus_path().parent.name == "sample_data"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "texts", "facets"),
    [
        ("clinc150", 23_633, ("domain", "intent")),
        ("device_reviews", 20_897, ("category", "sentiment", "stars")),
    ],
)
def test_development_corpora(
    tmp_path: Path, name: str, texts: int, facets: tuple[str, ...]
) -> None:
    source = SHARED / f"{name}.jsonl.gz"
    if not source.exists():
        pytest.skip("shared development data is absent")
    report = ingest(str(source), tmp_path / "corpus.parquet")
    assert (report.texts_read, report.documents) == (texts, texts)
    assert read_labels(tmp_path / "corpus.parquet").facets == facets
    shares = np.array(list(report.split_counts.values())) / report.sentences
    np.testing.assert_allclose(shares, [0.5, 0.15, 0.35], atol=0.001)
