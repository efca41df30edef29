"""All training texts once, with their sentence embeddings and words, kept in a working folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from indexer.arrays import FloatArray
from indexer.encoder import SentenceEncoder, embed_sentences
from indexer.storage import fingerprint


@dataclass(frozen=True, eq=False)
class TextPool:
    """Distinct texts and their unit embeddings (`n_texts, dimension`, float16 on disk)."""

    texts: tuple[str, ...]
    vectors: FloatArray
    position: dict[str, int]

    @classmethod
    def embed(cls, texts: list[str], folder: Path, progress: bool = True) -> TextPool:
        """Embed the distinct texts, or read what an earlier call left for the same texts."""
        distinct = sorted(set(texts))
        path = folder / f"texts-{fingerprint(distinct)[:16]}.npy"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            encoder = SentenceEncoder.load("bundled", "cpu")
            embed_sentences(distinct, encoder, path, progress=progress)
        vectors = np.load(path, allow_pickle=False)
        return cls(tuple(distinct), vectors, {text: row for row, text in enumerate(distinct)})
