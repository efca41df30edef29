from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from indexer.arrays import FloatArray
from indexer.errors import RunError
from indexer.faiss_backend import write_index
from indexer.faiss_module import faiss_module
from indexer.index import VectorIndex
from indexer.index_manifest import IndexKind, read_manifest, vectors_fingerprint
from indexer.inverted_lists import build_inverted_lists

KINDS = [IndexKind.EXACT, IndexKind.INVERTED_LISTS]


def small_vectors(n_vectors: int, seed: int = 0) -> FloatArray:
    """Unit vectors of few dimensions, where inverted lists need no fallback."""
    rows = np.random.default_rng(seed).normal(size=(n_vectors, 6))
    unit: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


@pytest.mark.parametrize("kind", KINDS)
def test_saved_index_answers_as_before(kind: IndexKind, tmp_path: Path) -> None:
    vectors, queries = small_vectors(2_000), small_vectors(20, seed=1)
    index = VectorIndex.build(vectors, kind)
    index.save(tmp_path / "index", {"encoder": "bundled", "key": [1, 2]})
    loaded = VectorIndex.load(tmp_path / "index")
    assert loaded.facts == index.facts
    assert loaded.extra == {"encoder": "bundled", "key": [1, 2]}
    before, after = index.search(queries, 10), loaded.search(queries, 10)
    np.testing.assert_array_equal(after.ids, before.ids)
    np.testing.assert_array_equal(after.similarities, before.similarities)
    for one, other in zip(index.similar(queries, 0.4), loaded.similar(queries, 0.4), strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)
    loaded.save(tmp_path / "copy", loaded.extra)
    for name in ("sentences.faiss", "manifest.json"):
        copy = (tmp_path / "copy" / name).read_bytes()
        assert copy == (tmp_path / "index" / name).read_bytes()
    assert sorted(item.name for item in (tmp_path / "index").iterdir()) == [
        "manifest.json",
        "sentences.faiss",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_same_vectors_give_same_bytes(kind: IndexKind, tmp_path: Path) -> None:
    for name in ("one", "two"):
        VectorIndex.build(small_vectors(2_000), kind).save(tmp_path / name)
    for file in ("sentences.faiss", "manifest.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_manifest_says_what_was_indexed(tmp_path: Path) -> None:
    vectors = small_vectors(2_000)
    VectorIndex.build(vectors, IndexKind.INVERTED_LISTS).save(tmp_path)
    facts = json.loads((tmp_path / "manifest.json").read_text())["index"]
    assert (facts["kind"], facts["n_vectors"], facts["dimension"]) == ("inverted_lists", 2_000, 6)
    assert facts["recall_at_10"] >= 0.95
    assert facts["vectors_sha256"] == vectors_fingerprint(vectors)
    assert vectors_fingerprint(vectors[:1_999]) != facts["vectors_sha256"]
    assert vectors_fingerprint(vectors.astype(np.float16)) != facts["vectors_sha256"]
    assert read_manifest(tmp_path).extra == {}


def _cut(folder: Path) -> None:
    index_file = folder / "sentences.faiss"
    index_file.write_bytes(index_file.read_bytes()[:-7])


def _flip_a_bit(folder: Path) -> None:
    content = bytearray((folder / "sentences.faiss").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "sentences.faiss").write_bytes(content)


def _other_index(folder: Path) -> None:
    VectorIndex.build(small_vectors(30, seed=9)).save(folder / "other")
    (folder / "other" / "sentences.faiss").replace(folder / "sentences.faiss")


def _manifest_with(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["index"].update(changes)
    (folder / "manifest.json").write_text(json.dumps(manifest))


DAMAGE = {
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "manifest.json"),
    "no index file": (lambda folder: (folder / "sentences.faiss").unlink(), "is missing"),
    "cut index file": (_cut, "Rebuild"),
    "flipped bit": (_flip_a_bit, "sha256"),
    "index of other vectors": (_other_index, "sha256"),
    "manifest is no JSON": (lambda folder: (folder / "manifest.json").write_text("{"), "read"),
    "manifest is a list": (lambda folder: (folder / "manifest.json").write_text("[]"), "manifest"),
    "other number": (lambda folder: _manifest_with(folder, n_vectors=99), "says 99"),
    "unknown kind": (lambda folder: _manifest_with(folder, kind="magic"), "not an index manifest"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_index_is_a_run_error(
    damage: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    VectorIndex.build(small_vectors(100)).save(tmp_path)
    damage(tmp_path)
    with pytest.raises(RunError, match=message) as refused:
        VectorIndex.load(tmp_path)
    assert str(tmp_path) in str(refused.value)


def test_file_that_faiss_cannot_read_is_a_run_error(tmp_path: Path) -> None:
    VectorIndex.build(small_vectors(100)).save(tmp_path)
    (tmp_path / "sentences.faiss").write_bytes(b"not an index")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["file_sha256"] = hashlib.sha256(b"not an index").hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match="FAISS cannot read"):
        VectorIndex.load(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("n_vectors", [3, 3_000], ids=["within one buffer", "many buffers"])
@pytest.mark.parametrize("file", ["sentences.faiss", "manifest.json"])
def test_full_disk_is_a_run_error(file: str, n_vectors: int, tmp_path: Path) -> None:
    index = VectorIndex.build(small_vectors(n_vectors))
    (tmp_path / f"{file}.partial").symlink_to("/dev/full")
    with pytest.raises(RunError, match="No space left"):
        index.save(tmp_path)
    assert not (tmp_path / "manifest.json").exists()
    assert not list(tmp_path.glob("*.partial"))


def test_saving_over_an_index_that_cannot_be_written_keeps_the_old_one(tmp_path: Path) -> None:
    old = VectorIndex.build(small_vectors(40))
    old.save(tmp_path)
    (tmp_path / "sentences.faiss.partial").mkdir()
    with pytest.raises(RunError, match="cannot write"):
        VectorIndex.build(small_vectors(50)).save(tmp_path)
    assert VectorIndex.load(tmp_path).facts == old.facts


def test_loaded_index_survives_a_new_one_in_its_place(tmp_path: Path) -> None:
    vectors = small_vectors(3_000)
    VectorIndex.build(vectors).save(tmp_path)
    loaded = VectorIndex.load(tmp_path)
    VectorIndex.build(small_vectors(10, seed=5)).save(tmp_path)
    expected = np.argsort(-(vectors[:30] @ vectors.T), axis=1)[:, :5]
    np.testing.assert_array_equal(loaded.search(vectors[:30], 5).ids, expected)
    assert VectorIndex.load(tmp_path).facts.n_vectors == 10


def test_index_file_written_elsewhere_is_whole(tmp_path: Path) -> None:
    lists = build_inverted_lists(small_vectors(500), seed=0)
    write_index(lists.index, tmp_path / "new" / "lists.faiss")
    native = tmp_path / "native.faiss"
    faiss_module().write_index(lists.index, str(native))
    assert (tmp_path / "new" / "lists.faiss").read_bytes() == native.read_bytes()
