from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import encoder as encoder_module
from indexer.arrays import FloatArray
from indexer.encoder import Encoder, SentenceEncoder, embed_sentences
from indexer.errors import RunError

SENTENCES = [
    "The battery lasts two days.",
    "Battery life is excellent.",
    "The parcel arrived a week late.",
    "Tastes like cardboard!",
    "",
    "Größe passt, Farbe nicht 🙂",
]


@pytest.fixture(scope="module")
def bundled() -> SentenceEncoder:
    return SentenceEncoder.load("bundled", "cpu")


def test_embedding_file_does_not_depend_on_being_written_in_windows(
    bundled: SentenceEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"{sentence} ({number})" for number in range(3) for sentence in SENTENCES]
    monkeypatch.setattr(encoder_module, "WINDOW", 4)
    report = embed_sentences(tuple(texts), bundled, tmp_path / "index" / "embeddings.npy")
    stored = np.load(tmp_path / "index" / "embeddings.npy", mmap_mode="r", allow_pickle=False)
    assert (report.n_sentences, report.dimension, report.n_truncated) == (18, 384, 0)
    assert stored.shape == (18, 384)
    assert stored.dtype == np.float16
    np.testing.assert_allclose(stored, bundled.encode(texts), atol=5e-4)
    embed_sentences(texts, bundled, tmp_path / "again.npy")
    first = (tmp_path / "index" / "embeddings.npy").read_bytes()
    assert (tmp_path / "again.npy").read_bytes() == first


def test_embedding_counts_truncated_sentences(bundled: SentenceEncoder, tmp_path: Path) -> None:
    report = embed_sentences(["short", "long " * 300], bundled, tmp_path / "embeddings.npy")
    assert report.n_truncated == 1


class _BreaksAfter:
    """The bundled encoder until a call too many, as a process that is interrupted."""

    def __init__(self, inner: Encoder, calls: int) -> None:
        self.inner, self.calls = inner, calls
        self.name, self.fingerprint, self.dimension = (
            inner.name,
            inner.fingerprint,
            inner.dimension,
        )

    def encode(self, texts: Any, *, progress: bool = False) -> FloatArray:
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        return self.inner.encode(texts, progress=progress)

    def count_truncated(self, texts: Any) -> int:
        return self.inner.count_truncated(texts)


def test_interrupted_embedding_keeps_the_old_file(
    bundled: SentenceEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_module, "WINDOW", 2)
    path = tmp_path / "embeddings.npy"
    embed_sentences(SENTENCES, bundled, path)
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        embed_sentences(SENTENCES[::-1], _BreaksAfter(bundled, 2), path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["embeddings.npy"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_full_disk_is_a_run_error(bundled: SentenceEncoder, tmp_path: Path) -> None:
    (tmp_path / "embeddings.npy.partial").symlink_to("/dev/full")
    with pytest.raises(RunError, match="No space left"):
        embed_sentences(SENTENCES, bundled, tmp_path / "embeddings.npy")
    assert list(tmp_path.iterdir()) == []
