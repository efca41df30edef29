"""Uploads reach the disk whole or not at all, whatever they are called."""

import asyncio
import gzip
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from descriptors.readers import read_rows
from indexer.errors import BackendError, InputError, NotFoundError
from service.service_settings import ServiceSettings
from service.uploads import Upload, Uploads, shown_name

ROWS = [{"id": str(n), "text": f"the battery lasts {n} days", "stars": n % 5} for n in range(40)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


@pytest.fixture
def service(tmp_path: Path) -> ServiceSettings:
    """Of a service that takes small uploads only."""
    return ServiceSettings(runs=tmp_path / "runs", upload_bytes=10_000, expanded_bytes=50_000)


@pytest.fixture
def uploads(service: ServiceSettings) -> Uploads:
    """The uploads of this service."""
    return Uploads(service)


async def chunks_of(content: bytes, size: int = 100) -> AsyncIterator[bytes]:
    """A body as it arrives."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


def send(uploads: Uploads, name: str, content: bytes) -> Upload:
    """Send a whole file."""
    return asyncio.run(uploads.save(name, chunks_of(content)))


def files(service: ServiceSettings) -> list[str]:
    """Everything that the service keeps."""
    return sorted(str(each.relative_to(service.runs)) for each in service.runs.rglob("*.*"))


def test_an_upload_is_kept_and_can_be_read(uploads: Uploads) -> None:
    sent = send(uploads, "reviews.jsonl", LINES)
    assert uploads.get(sent.id) == sent
    assert uploads.list() == [sent]
    assert sent.bytes == len(LINES)
    assert uploads.path(sent.id).read_bytes() == LINES
    assert [row.text for row in read_rows(str(uploads.path(sent.id)))] == [r["text"] for r in ROWS]


def test_gzip_is_kept_decompressed(uploads: Uploads) -> None:
    sent = send(uploads, "reviews.jsonl.gz", gzip.compress(LINES))
    assert sent.name == "reviews.jsonl.gz"
    assert sent.bytes == len(LINES)
    assert uploads.path(sent.id).suffix == ".jsonl"
    assert uploads.path(sent.id).read_bytes() == LINES


def test_the_newest_upload_is_listed_first(uploads: Uploads) -> None:
    sent = [send(uploads, f"{n}.txt", b"good\n") for n in range(3)]
    assert [each.name for each in uploads.list()] == ["2.txt", "1.txt", "0.txt"]
    assert len({each.id for each in sent}) == 3


def test_a_hostile_name_is_text_only(uploads: Uploads, service: ServiceSettings) -> None:
    name = "../../../etc\\cron.d/\x1b[31m\u202eevil <script>.csv"
    sent = send(uploads, name, b"text\ngood\n")
    assert sent.name == "[31mevil <script>.csv"
    kept = files(service)
    assert kept == [
        ".neuroscribe",
        f".neuroscribe/uploads/{sent.id}/content.csv",
        f".neuroscribe/uploads/{sent.id}/upload.json",
    ]


def test_a_long_name_keeps_its_ending() -> None:
    shown = shown_name("a" * 500 + ".jsonl.gz")
    assert len(shown) <= 120
    assert shown.endswith("….jsonl.gz")


REFUSED: dict[str, tuple[str, bytes, str]] = {
    "too large": ("a.txt", b"good\n" * 2001, "more than 10,000 bytes"),
    "too large once expanded": ("a.txt.gz", gzip.compress(b"good\n" * 10_001), "more than 50,000"),
    "gzip in gzip": ("a.txt.gz", gzip.compress(gzip.compress(b"good\n")), "content is gzip"),
    "not gzip": ("a.txt.gz", b"good\n", "whole gzip"),
    "another format": ("a.zip", b"PK", "ends in '.zip'"),
    "empty": ("a.txt", b"", "is empty"),
    "no JSON": ("a.jsonl", b"good\n", "not JSON"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_upload_leaves_nothing(
    case: str, uploads: Uploads, service: ServiceSettings
) -> None:
    name, content, said = REFUSED[case]
    with pytest.raises(InputError, match=said) as refusal:
        send(uploads, name, content)
    assert str(service.runs) not in str(refusal.value)
    assert not list(service.runs.rglob("*content*")) + list(service.runs.rglob(".partial*"))
    assert uploads.list() == []


def test_what_is_too_large_is_not_read_to_its_end(uploads: Uploads) -> None:
    arrived = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal arrived
        while True:
            arrived += 1000
            yield b"good\n" * 200

    with pytest.raises(InputError, match="10,000"):
        asyncio.run(uploads.save("a.txt", endless()))
    assert arrived == 11_000


@pytest.mark.parametrize("end", [ConnectionResetError("gone"), asyncio.CancelledError()])
def test_an_interrupted_upload_leaves_nothing(
    end: BaseException, uploads: Uploads, service: ServiceSettings
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"good\n"
        raise end

    with pytest.raises((BackendError, asyncio.CancelledError)):
        asyncio.run(uploads.save("a.txt", broken()))
    assert files(service) == [".neuroscribe"]


def test_what_a_killed_process_left_is_cleared(uploads: Uploads, service: ServiceSettings) -> None:
    folder = service.workspace / "uploads"
    for name, age in [(".partial-dead", 7200), (".partial-live", 10)]:
        (folder / name).mkdir(parents=True)
        (folder / name / "received").write_bytes(b"good\n")
        then = time.time() - age
        os.utime(folder / name / "received", (then, then))
        os.utime(folder / name, (then, then))
    assert uploads.list() == []
    send(uploads, "a.txt", b"good\n")
    assert [each.name for each in folder.glob(".partial*")] == [".partial-live"]


def test_a_full_disk_is_told(
    uploads: Uploads, service: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The answer of the system is changed, as a test cannot fill the disk.
    full = type("Usage", (), {"free": 200 * 2**20})()
    monkeypatch.setattr("shutil.disk_usage", lambda _: full)
    with pytest.raises(BackendError, match="nearly full"):
        send(uploads, "a.txt", b"good\n")
    assert files(service) == [".neuroscribe"]


def test_a_disk_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    code = f"""
import asyncio, resource, signal
from pathlib import Path
from indexer.errors import BackendError
from service.service_settings import ServiceSettings
from service.uploads import Uploads
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
async def chunks():
    for _ in range(30):
        yield b"good\\n" * 2000
try:
    asyncio.run(Uploads(ServiceSettings(runs=Path({str(tmp_path)!r}))).save("a.txt", chunks()))
except BackendError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=os.getcwd()
    )
    assert done.stdout.startswith("the upload cannot be kept: File too large")
    assert list((tmp_path / ".neuroscribe" / "uploads").iterdir()) == []


def test_memory_does_not_grow_with_an_upload(tmp_path: Path) -> None:
    uploads = Uploads(ServiceSettings(runs=tmp_path))
    line = b"a line of some forty characters, the same\n" * 24_000

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield line

    tracemalloc.start()
    try:
        sent = asyncio.run(uploads.save("a.txt", chunks()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent.bytes > 200_000_000
    assert peak < 10_000_000


PREVIEWED: dict[str, tuple[bytes, tuple[str, ...], str | None]] = {
    "a.jsonl": (LINES, ("id", "text", "stars"), "text"),
    "a.csv": (b'sku,opinion\n1,"it broke, twice"\n2,good value\n', ("sku", "opinion"), "opinion"),
    "a.tsv": (b"review\tstars\ngood\t5\n", ("review", "stars"), "review"),
    "a.txt": (b"good\nbad\n", ("text",), "text"),
    "b.jsonl": (b'{"stars": 5, "nested": {"a": [1]}}\n', ("stars", "nested"), None),
    "c.jsonl": (b'{"text": "half \\ud83d", "\\ud83d": 1}\n', ("text", "?"), "text"),
}


@pytest.mark.parametrize("name", PREVIEWED)
def test_a_preview_names_fields_and_guesses_the_text(name: str, uploads: Uploads) -> None:
    content, fields, text_field = PREVIEWED[name]
    preview = uploads.preview(send(uploads, name, content).id, 2)
    assert preview.fields == fields
    assert preview.text_field == text_field
    assert 1 <= len(preview.rows) <= 2
    # It must be possible to send it.
    assert json.loads(preview.model_dump_json())


def test_a_preview_of_parquet(uploads: Uploads) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(ROWS), sink)
    preview = uploads.preview(send(uploads, "a.parquet", sink.getvalue().to_pybytes()).id, 3)
    assert preview.fields == ("id", "text", "stars")
    assert [row["text"] for row in preview.rows] == [row["text"] for row in ROWS[:3]]
    assert preview.text_field == "text"


def test_a_preview_shortens_long_values(uploads: Uploads) -> None:
    sent = send(uploads, "a.jsonl", json.dumps({"text": "x" * 5000}).encode())
    assert uploads.preview(sent.id).rows[0]["text"] == "x" * 300 + "…"


def test_a_deleted_upload_is_gone(uploads: Uploads, service: ServiceSettings) -> None:
    sent = send(uploads, "a.txt", b"good\n")
    uploads.delete(sent.id)
    assert files(service) == [".neuroscribe"]
    with pytest.raises(NotFoundError):
        uploads.delete(sent.id)


@pytest.mark.parametrize("upload_id", ["", ".", "..", "../../x", "0" * 16, "0" * 15, "é" * 16])
def test_an_unknown_upload_is_not_found(upload_id: str, uploads: Uploads) -> None:
    for question in (uploads.get, uploads.path, uploads.preview, uploads.delete):
        asked: Any = question
        with pytest.raises(NotFoundError, match="GET /v1/uploads"):
            asked(upload_id)


def test_a_damaged_upload_does_not_hide_the_others(
    uploads: Uploads, service: ServiceSettings, caplog: pytest.LogCaptureFixture
) -> None:
    whole, damaged = (send(uploads, "a.txt", b"good\n") for _ in range(2))
    (service.workspace / "uploads" / damaged.id / "upload.json").write_text("{")
    assert uploads.list() == [whole]
    assert damaged.id in caplog.text


def test_several_uploads_at_once(uploads: Uploads) -> None:
    async def together() -> list[Upload]:
        sent = (
            uploads.save(f"{n}.txt", chunks_of(f"text {n}\n".encode() * 100)) for n in range(20)
        )
        return list(await asyncio.gather(*sent))

    for sent in asyncio.run(together()):
        number = sent.name.removesuffix(".txt")
        assert uploads.path(sent.id).read_text() == f"text {number}\n" * 100
