"""The space in which sentences are compared: centred, partly whitened, reduced embeddings.

Sentence embeddings share a large mean and a few dominant directions that say "this corpus" rather
than what a sentence is about. Removing the mean and dividing principal directions by a power of
their spread (Mu & Viswanath 2018, "All-but-the-Top"; Su et al. 2021, "Whitening Sentence
Representations") makes cosine similarity tell the sentences of one corpus apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from indexer.arrays import DoubleArray, FloatArray, IntArray
from indexer.errors import RunError
from indexer.storage import atomic_path

WINDOW = 8192
ROWS_PER_COMPONENT = 20
_FEW_COMPONENTS = 24
_FEWEST_ROWS_PER_COMPONENT = 5

# Directions with a smaller share of the largest variance hold what float16 left over. Scaled up
# they would drown all others in the vector of a sentence that the fit has not seen.
_SMALLEST_VARIANCE = 1e-6


@dataclass(frozen=True)
class Whitening:
    """An affine map from embeddings (`dimension`) to comparison space (`n_components`)."""

    mean: FloatArray
    projection: FloatArray

    @classmethod
    def fit(
        cls, embeddings: FloatArray, rows: IntArray, n_components: int = 128, power: float = 0.5
    ) -> Whitening:
        """Fit on `embeddings[rows]`, read in windows so that memory does not grow with the rows.

        `power` 0 only centres and rotates, 1 whitens fully. Fewer components than asked for are
        used when there are fewer than 20 rows per component (5 for the first 24): spreads could
        not be estimated, and when the rows (all alike, say) do not vary in so many directions.

        Raises:
            ValueError: fewer than two rows, no component, or a power outside [0, 1].
        """
        if len(rows) < 2 or n_components < 1 or not 0.0 <= power <= 1.0:
            raise ValueError(
                f"found {len(rows)} rows, {n_components} components and power {power}, expected "
                "2 rows or more, 1 component or more and a power in [0, 1]"
            )
        dimension = embeddings.shape[1]
        total = np.zeros(dimension)
        products = np.zeros((dimension, dimension))
        for start in range(0, len(rows), WINDOW):
            window = np.asarray(embeddings[rows[start : start + WINDOW]], dtype=np.float64)
            total += window.sum(axis=0)
            products += window.T @ window
        mean = total / len(rows)
        covariance: DoubleArray = products / len(rows) - np.outer(mean, mean)
        variances, directions = np.linalg.eigh(covariance)
        smallest = max(variances[-1] * _SMALLEST_VARIANCE, np.finfo(np.float64).tiny)
        varying = np.count_nonzero(variances > smallest)
        few = min(_FEW_COMPONENTS, len(rows) // _FEWEST_ROWS_PER_COMPONENT)
        estimable = max(2, few, len(rows) // ROWS_PER_COMPONENT)
        kept = max(1, min(n_components, estimable, varying))
        variances = np.maximum(variances[::-1][:kept], smallest)
        spreads = np.sqrt(variances / variances[0])
        projection = directions[:, ::-1][:, :kept] * spreads**-power
        return cls(mean.astype(np.float32), projection.astype(np.float32))

    def apply(self, embeddings: FloatArray) -> FloatArray:
        """Map embeddings (`n, dimension`) to unit vectors (`n, n_components`)."""
        mapped = (np.asarray(embeddings, dtype=np.float32) - self.mean) @ self.projection
        lengths = np.linalg.norm(mapped, axis=1, keepdims=True)
        unit: FloatArray = mapped / np.maximum(lengths, np.finfo(np.float32).tiny)
        # A vector at the corpus mean has no direction; the first axis keeps it a unit vector.
        unit[(lengths == 0.0).ravel(), 0] = 1.0
        return unit

    def save(self, path: Path) -> None:
        """Write the map as safetensors, atomically."""
        from safetensors.numpy import save

        tensors = {"mean": self.mean, "projection": np.ascontiguousarray(self.projection)}
        # `save_file` leaves a hidden file behind when it is killed and raises no OSError on a full
        # disk.
        with atomic_path(path) as partial:
            partial.write_bytes(save(tensors))

    @classmethod
    def load(cls, path: Path) -> Whitening:
        """Read a map that `save` wrote.

        Raises:
            RunError: the file is missing or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(path)
            return cls(tensors["mean"], tensors["projection"])
        except (OSError, KeyError, SafetensorError) as error:
            raise RunError(f"cannot read {path}: {error}. Re-run to rebuild the index.") from error
