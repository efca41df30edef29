"""Files that would harm, or are not what they are called, are refused with the reason."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from descriptors.readers import read_rows
from descriptors.text_lines import MAX_LINE_BYTES
from indexer.errors import InputError
from service.upload_checks import UploadFormat, check_content, expand, kind_of
from service.upload_parquet import check_parquet, parquet_rows
from service.upload_preview import preview_of

LIMIT = 64 * 2**20


def zipped() -> bytes:
    """A zip archive with a table in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("reviews.csv", "text\ngood\n")
    return buffer.getvalue()


def tarred() -> bytes:
    """The same as a tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("reviews.csv")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"text"))
    return buffer.getvalue()


REFUSED_TEXTS = {
    "an empty file": ("txt", b"", "is empty"),
    "blank lines only": ("jsonl", b"\n \n\t\n", "is empty"),
    "a NUL byte far in": ("txt", b"good\n" * 300_000 + b"a\0b\n", "line 300001: found a NUL byte"),
    "an endless line": ("txt", b"x" * (MAX_LINE_BYTES + 1), "line 1: the line has more than"),
    "a long line across blocks": (
        "jsonl",
        b'{"text": "a"}\n' * 3 + b'{"text": "' + b"x" * MAX_LINE_BYTES + b'"}\n',
        "line 4: the line has more than",
    ),
    "UTF-16": ("csv", "text\ngood\n".encode("utf-16"), "UTF-16"),
    "a zip archive": ("csv", zipped(), "a zip archive, though the name says .csv"),
    "a tar archive": ("txt", tarred(), "a tar archive"),
    "gzip under another name": ("jsonl", gzip.compress(b'{"text": "a"}\n'), "content is gzip"),
    "Parquet under another name": ("jsonl", b"PAR1rest", "content is Parquet"),
    "a table called JSON Lines": ("jsonl", b"text,label\ngood,1\n", "line 1 is not JSON"),
    "a JSON array": ("jsonl", b'[{"text": "a"}]\n', "line 1 is a JSON list"),
    "one JSON document over lines": ("jsonl", b'{\n"text": "a"\n}\n', "line 1 is not JSON"),
    "deep nesting": ("jsonl", b"[" * 100_000 + b"\n", "line 1 is not JSON"),
    "a table without names": ("csv", b",,,\n1,2,3,4\n", "expected between 1 and"),
    "a table of very many fields": ("tsv", b"\t".join([b"a"] * 10_001), "names 10,001 fields"),
}

ACCEPTED_TEXTS = {
    "JSON Lines": ("jsonl", b'\xef\xbb\xbf{"text": "good"}\n\n{"text": "bad"}'),
    "a table": ("csv", b'text,label\n"two\nlines",1\n'),
    "Latin-1": ("txt", "schön\n".encode("latin-1")),
    "JSON Lines in Latin-1": ("jsonl", '{"text": "schön"}\n'.encode("latin-1")),
    "the longest line": ("txt", b"x" * (MAX_LINE_BYTES - 1) + b"\n" + b"y\n"),
    "many lines": ("txt", b"a line of text\n" * 40_000),
}


@pytest.mark.parametrize("case", REFUSED_TEXTS)
def test_a_text_file_that_is_refused(case: str, tmp_path: Path) -> None:
    kind, content, said = REFUSED_TEXTS[case]
    path = tmp_path / "content"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as refusal:
        check_content(path, UploadFormat(kind), LIMIT)
    assert str(tmp_path) not in str(refusal.value)


@pytest.mark.parametrize("case", ACCEPTED_TEXTS)
def test_a_text_file_that_is_accepted(case: str, tmp_path: Path) -> None:
    kind, content = ACCEPTED_TEXTS[case]
    path = tmp_path / f"content.{kind}"
    path.write_bytes(content)
    check_content(path, UploadFormat(kind), LIMIT)
    # What is let in here can be read by the job: neither is stricter by mistake.
    encoding = "latin-1" if "Latin-1" in case else "utf-8"
    assert list(read_rows(str(path), encoding=encoding))


@pytest.mark.parametrize(
    ("name", "kind", "is_compressed"),
    [
        ("reviews.jsonl", "jsonl", False),
        ("Reviews.CSV.GZ", "csv", True),
        ("a.tsv", "tsv", False),
        ("../../etc/passwd.txt", "txt", False),
        ("a.parquet", "parquet", False),
    ],
)
def test_the_name_tells_the_format(name: str, kind: str, is_compressed: bool) -> None:
    assert kind_of(name) == (UploadFormat(kind), is_compressed)


@pytest.mark.parametrize(
    "name", ["", "reviews", "a.zip", "a.csv.zip", "a.parquet.gz", "a.csv.gz.gz", "a.pkl", "a.csv\0"]
)
def test_a_name_of_another_format_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"expected \.jsonl, \.csv"):
        kind_of(name)


def test_gzip_of_several_members_is_expanded_whole(tmp_path: Path) -> None:
    source, target = tmp_path / "received", tmp_path / "content"
    source.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    expand(source, target, LIMIT)
    assert target.read_bytes() == b"one\ntwo\n"


def test_a_gzip_bomb_is_stopped_at_the_limit(tmp_path: Path) -> None:
    source, target = tmp_path / "received", tmp_path / "content"
    source.write_bytes(gzip.compress(b"\n" * 50_000_000, 1))
    with pytest.raises(InputError, match="more than 1,000,000 bytes"):
        expand(source, target, 1_000_000)
    assert target.stat().st_size <= 1_000_000


def test_an_impossible_ratio_is_refused_below_the_limit(tmp_path: Path) -> None:
    source, target = tmp_path / "received", tmp_path / "content"
    source.write_bytes(gzip.compress(b"\n" * 50_000_000))
    with pytest.raises(InputError, match="200 times its size"):
        expand(source, target, 2**40)
    assert target.stat().st_size < 20_000_000


def test_real_texts_pass_the_ratio(tmp_path: Path, review_corpus: Path) -> None:
    source, target = tmp_path / "received", tmp_path / "content"
    source.write_bytes(gzip.compress(review_corpus.read_bytes() * 50, 9))
    expand(source, target, LIMIT)
    assert target.stat().st_size == 50 * review_corpus.stat().st_size


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[:-6], lambda whole: whole[:40] + b"\xff" * 9, lambda _: b"text"]
)
def test_damaged_gzip_is_refused(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    source = tmp_path / "received"
    source.write_bytes(damage(gzip.compress(json.dumps({"text": "good " * 99}).encode())))
    with pytest.raises(InputError, match="expected a whole gzip file"):
        expand(source, tmp_path / "content", LIMIT)


def parquet(path: Path, table: pa.Table, **options: object) -> Path:
    """A table as a Parquet file."""
    pq.write_table(table, path, **options)
    return path


def test_parquet_is_accepted(tmp_path: Path) -> None:
    texts = [f"text number {place}" for place in range(1000)]
    path = parquet(tmp_path / "a", pa.table({"text": texts, "stars": list(range(1000))}))
    check_content(path, UploadFormat.PARQUET, LIMIT)
    coded = pa.table({"text": pa.array(texts).dictionary_encode()})
    check_content(parquet(tmp_path / "b", coded), UploadFormat.PARQUET, LIMIT)


def test_parquet_that_declares_too_much_is_refused(tmp_path: Path) -> None:
    texts = pa.table({"text": ["x" * 100_000 + str(place) for place in range(400)]})
    path = parquet(tmp_path / "a", texts, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(InputError, match="200 times its size"):
        check_content(path, UploadFormat.PARQUET, LIMIT)
    with pytest.raises(InputError, match="more than 1,000 bytes"):
        check_content(path, UploadFormat.PARQUET, 1000)


def test_parquet_of_one_value_repeated_is_refused(tmp_path: Path) -> None:
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 5_000_000, pa.int8()), ["good"])
    path = parquet(tmp_path / "a", pa.table({"text": text}))
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="5,000,000 rows and 1 columns"):
        check_content(path, UploadFormat.PARQUET, LIMIT)


def varint(number: int) -> bytes:
    """A number as footers write it."""
    written = bytearray()
    rest = 2 * number
    while rest > 127:
        written.append(rest & 127 | 128)
        rest >>= 7
    return bytes([*written, rest])


def understated(path: Path) -> Path:
    """The same file with a footer that declares a thousand bytes."""
    group, whole = pq.ParquetFile(path).metadata.row_group(0), path.read_bytes()
    for size in (group.total_byte_size, group.column(0).total_uncompressed_size):
        true = varint(size)
        low = bytearray(varint(1000).ljust(len(true), b"\0"))
        for place in range(1, len(low)):
            low[place - 1] |= 128
        whole = whole.replace(true, low)
    path.write_bytes(whole)
    assert pq.ParquetFile(path).metadata.row_group(0).total_byte_size == 1000
    return path


@pytest.mark.parametrize(
    ("text_bytes", "said"),
    [
        (40_000_000, "200 times"),
        pytest.param(600_000_000, "within 512 MiB of memory", marks=pytest.mark.slow),
    ],
)
def test_a_parquet_bomb_behind_a_modest_footer_is_refused(
    text_bytes: int, said: str, tmp_path: Path
) -> None:
    table = pa.table({"text": ["x" * text_bytes]})
    options = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
    path = understated(parquet(tmp_path / "a", table, **options))
    assert path.stat().st_size < 50_000
    with pytest.raises(InputError, match=said):
        check_content(path, UploadFormat.PARQUET, 10 * LIMIT)


def test_one_long_text_repeated_is_counted_as_often(tmp_path: Path) -> None:
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int8()), ["good " * 1000])
    for table in (pa.table({"text": text}), pa.table({"text": text.cast(pa.string())})):
        path = parquet(tmp_path / "a", table)
        assert path.stat().st_size < 10_000
        with pytest.raises(InputError, match="200 times its size"):
            check_content(path, UploadFormat.PARQUET, 10 * LIMIT)


def test_parquet_without_texts_is_refused(tmp_path: Path) -> None:
    for table, said in [
        (pa.table({"text": pa.array([], pa.string())}), "has no rows"),
        (pa.table({"stars": [1, 2]}), "no column of strings"),
    ]:
        with pytest.raises(InputError, match=said):
            check_content(parquet(tmp_path / "a", table), UploadFormat.PARQUET, LIMIT)


def test_damaged_parquet_is_refused(tmp_path: Path) -> None:
    whole = parquet(tmp_path / "a", pa.table({"text": ["good"] * 100})).read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little")
    damaged = {
        "cut": whole[:-3],
        "text": b"text\ngood\n",
        "a footer longer than the file": whole[:-8] + (10**9).to_bytes(4, "little") + b"PAR1",
        "a footer of noise": whole[: -8 - footer] + b"\xff" * footer + whole[-8:],
    }
    for content in damaged.values():
        (tmp_path / "b").write_bytes(content)
        with pytest.raises(InputError, match="Parquet"):
            check_content(tmp_path / "b", UploadFormat.PARQUET, LIMIT)


def test_encrypted_parquet_is_refused(tmp_path: Path) -> None:
    import pyarrow.parquet.encryption as pe

    class Keys(pe.KmsClient):  # type: ignore[misc]
        """Keys that are not hidden: only the format counts here."""

        def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
            return key_bytes.hex().encode()

        def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
            return bytes.fromhex(wrapped_key.decode())

    factory = pe.CryptoFactory(lambda _: Keys())
    for plain_footer, said in [(False, "is encrypted"), (True, "cannot be read as Parquet")]:
        properties = factory.file_encryption_properties(
            pe.KmsConnectionConfig(),
            pe.EncryptionConfiguration(
                footer_key="f", column_keys={"c": ["text"]}, plaintext_footer=plain_footer
            ),
        )
        path = tmp_path / "a"
        table = pa.table({"text": ["good"], "stars": [1]})
        with pq.ParquetWriter(path, table.schema, encryption_properties=properties) as writer:
            writer.write_table(table)
        with pytest.raises(InputError, match=said):
            check_content(path, UploadFormat.PARQUET, LIMIT)


def noisy_tables() -> Iterator[bytes]:
    """Parquet files with a few bytes of noise, where it hurts most and anywhere."""
    rows = 200
    table = pa.table(
        {
            "text": [f"text {place}" for place in range(rows)],
            "labels": [["a", "b"]] * rows,
            "day": pa.array([0] * rows, pa.timestamp("ns", "Europe/Berlin")),
            "kind": pa.array(["a", "b"] * (rows // 2)).dictionary_encode(),
            "inner": [{"a": 1}] * rows,
        }
    )
    random = Random(0)
    for compression in ("none", "snappy", "zstd"):
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression=compression, row_group_size=50)
        whole = sink.getvalue().to_pybytes()
        yield whole
        for _ in range(80):
            noisy = bytearray(whole)
            for _ in range(random.choice([1, 2, 5])):
                start = random.choice([0, len(whole) - 3000])
                noisy[random.randrange(start, len(whole))] = random.randrange(256)
            yield bytes(noisy)


def test_noise_in_parquet_is_refused_or_shown(tmp_path: Path) -> None:
    path = tmp_path / "content"
    shown, refused = 0, 0
    for content in noisy_tables():
        path.write_bytes(content)
        try:
            check_parquet(path, LIMIT)
            rows = parquet_rows(path, 3)
        except InputError:
            refused += 1
            continue
        assert rows
        assert json.dumps(rows)
        shown += 1
    assert shown > 3
    assert refused > 50


def test_any_nesting_is_refused_or_shown(tmp_path: Path) -> None:
    path = tmp_path / "content"
    for depth in (1, *range(600, 1010, 5), 50_000):
        path.write_text('{"text": "a", "b": ' + "[" * depth + "]" * depth + "}\n")
        try:
            check_content(path, UploadFormat.JSONL, LIMIT)
            preview = preview_of(path, UploadFormat.JSONL, 1)
        except InputError as refusal:
            assert "recursion" in str(refusal)  # noqa: PT017 - either may be
            continue
        assert preview.text_field == "text"


def test_a_column_without_a_plain_form_is_named_only(tmp_path: Path) -> None:
    zone = pa.array([0], pa.timestamp("ns", "Nowhere/Atlantis"))
    path = parquet(tmp_path / "a", pa.table({"text": ["good"], "day": zone}))
    check_content(path, UploadFormat.PARQUET, LIMIT)
    preview = preview_of(path, UploadFormat.PARQUET, 1)
    assert preview.rows == ({"text": "good", "day": "(timestamp[ns, tz=Nowhere/Atlantis])"},)
