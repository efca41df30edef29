"""The few calls into FAISS, always by inner product; the rest of neuroscribe never sees them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from indexer.arrays import FloatArray, IntArray
from indexer.errors import RunError
from indexer.faiss_module import faiss_module
from indexer.neighbours import Neighbours, best_first
from indexer.storage import atomic_path

_TRAINING_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class RangeAnswer:
    """What a range search found for all queries, end to end.

    Attributes:
        limits: the findings of query i are `limits[i]` to `limits[i + 1]` (`n_queries + 1`).
        similarities: cosine similarities (`n_found`), in no order.
        ids: rows of the indexed vectors (`n_found`).
    """

    limits: IntArray
    similarities: FloatArray
    ids: IntArray


def faiss_version() -> str:
    """The version of the installed FAISS."""
    return str(faiss_module().__version__)


def new_exact_index(dimension: int) -> Any:
    """An empty index that compares a query with every vector."""
    return faiss_module().IndexFlatIP(dimension)


def new_inverted_lists_index(training_rows: FloatArray, n_lists: int, seed: int) -> Any:
    """An empty index over `n_lists` spherical k-means cells of `training_rows` (unit rows)."""
    faiss = faiss_module()
    dimension = training_rows.shape[1]
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(dimension), dimension, n_lists, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.seed = seed
    index.cp.niter = _TRAINING_ROUNDS
    # All rows handed in are used: the caller has sampled them.
    index.cp.max_points_per_centroid = len(training_rows)
    index.cp.min_points_per_centroid = 1
    index.train(training_rows)
    return index


def nearest(index: Any, queries: FloatArray, k: int, n_probes: int) -> Neighbours:
    """The k nearest of `queries` (unit rows), looking into `n_probes` lists where there are lists.

    A query whose probed lists hold fewer than k vectors, which FAISS pads with id -1, is searched
    again in all lists.
    """
    similarities, ids = index.search(queries, k, params=_probing(index, n_probes))
    short = (ids < 0).any(axis=1)
    if short.any():
        similarities[short], ids[short] = index.search(
            queries[short], k, params=_probing(index, index.nlist)
        )
    return best_first(ids, similarities)


def within(index: Any, queries: FloatArray, minimum_similarity: float) -> RangeAnswer:
    """Every vector more similar than `minimum_similarity`, whatever the kind of index."""
    n_lists = getattr(index, "nlist", 1)
    limits, similarities, ids = index.range_search(
        queries, minimum_similarity, params=_probing(index, n_lists)
    )
    return RangeAnswer(limits.astype(np.int64), similarities, ids)


def _probing(index: Any, n_probes: int) -> Any:
    if not hasattr(index, "nprobe"):
        return None
    return faiss_module().SearchParametersIVF(nprobe=n_probes)


def write_index(index: Any, path: Path) -> None:
    """Write an index file, atomically.

    Raises:
        RunError: the file cannot be written.
    """
    faiss = faiss_module()
    with atomic_path(path) as partial, partial.open("wb") as handle:
        # FAISS's own file writer only prints when the last write meets a full disk.
        faiss.write_index(index, faiss.PyCallbackIOWriter(handle.write))


def read_index(path: Path) -> Any:
    """Open an index file, leaving the vectors on disk until a search touches them.

    Raises:
        RunError: FAISS cannot read it.
    """
    faiss = faiss_module()
    try:
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise RunError(f"FAISS cannot read {path}: {error}. Rebuild the index.") from error
