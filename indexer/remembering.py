"""An encoder that computes no vector it has seen: a run's sentences are embedded once already."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indexer.arrays import FloatArray
from indexer.encoder import Encoder


class RememberingEncoder:
    """Another encoder and the vectors of texts it need not read again, kept until this is dropped.

    Memory grows with the distinct texts: 1.5 KB each at 384 dimensions.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[str, FloatArray] = {}

    @property
    def name(self) -> str:
        """That of the other encoder."""
        return self._encoder.name

    @property
    def fingerprint(self) -> str:
        """That of the other encoder."""
        return self._encoder.fingerprint

    @property
    def dimension(self) -> int:
        """Numbers per vector."""
        return self._encoder.dimension

    def remember(self, texts: Sequence[str], vectors: FloatArray) -> None:
        """Take `vectors` (`n_texts, dimension`) for what the encoder would give for `texts`.

        Raises:
            ValueError: numbers of texts and vectors, or dimensions, differ.
        """
        expected = (len(texts), self.dimension)
        if vectors.shape != expected:
            raise ValueError(f"found vectors of shape {vectors.shape}, expected {expected}")
        self._known.update(zip(texts, vectors.astype(np.float32), strict=True))

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        """One vector of length 1 per text (`n_texts, dimension`).

        Raises:
            InputError, BackendError: as the other encoder does.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self.remember(new, self._encoder.encode(new, progress=progress))
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        return np.stack([self._known[text] for text in texts])

    def count_truncated(self, texts: Sequence[str]) -> int:
        """How many texts the other encoder reads only the start of."""
        return self._encoder.count_truncated(texts)
