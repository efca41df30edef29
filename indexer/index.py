"""The vector index: sentences near a descriptor, or descriptors near a sentence.

One score convention: cosine similarity, higher is better. Vectors are kept as float32 unit rows
and compared by inner product. Either side can be the indexed one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import JsonValue

from indexer.arrays import FloatArray
from indexer.errors import RunError
from indexer.faiss_backend import (
    faiss_version,
    nearest,
    new_exact_index,
    read_index,
    within,
    write_index,
)
from indexer.index_manifest import (
    INDEX_FILE,
    IndexFacts,
    IndexKind,
    IndexManifest,
    read_manifest,
    vectors_fingerprint,
    write_manifest,
)
from indexer.inverted_lists import MINIMUM_RECALL, InvertedLists, build_inverted_lists
from indexer.neighbours import (
    SIMILARITY_TOLERANCE,
    Neighbours,
    SimilarVectors,
    Vectors,
    best_first,
    unit_chunks,
    unit_rows,
)
from indexer.storage import file_fingerprint

EXACT_BELOW = 200_000
"""From this many vectors on, `VectorIndex.build` looks for neighbours approximately."""

_QUERIES_AT_A_TIME = 256

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class VectorIndex:
    """Unit vectors ready to be searched by cosine similarity.

    `exact` compares with every vector, `inverted_lists` with those in the cells nearest to the
    query (see `indexer.inverted_lists`).

    Attributes:
        facts: kind, sizes and measured recall.
        extra: what the caller gave to `save`.
    """

    facts: IndexFacts
    extra: Mapping[str, JsonValue]
    _index: Any

    @classmethod
    def build(
        cls,
        vectors: Vectors,
        kind: IndexKind | None = None,
        *,
        exact_below: int = EXACT_BELOW,
        seed: int = 0,
    ) -> VectorIndex:
        """Index `vectors` (`n_vectors, dimension`; float16 or float32, may be a memory map).

        Inverted lists that miss `MINIMUM_RECALL` even when half of the lists are looked into give
        way to an exact index, with a logged warning.

        Args:
            vectors: rows of length 1.
            kind: overrules `exact_below`.
            exact_below: with fewer vectors than this the index is exact.
            seed: of the samples and of k-means.

        Raises:
            ValueError: no vectors, or not finite rows of length 1.
        """
        if vectors.ndim != 2 or 0 in vectors.shape:
            raise ValueError(
                f"vectors have shape {vectors.shape}, expected (n_vectors, dimension) with at "
                "least one vector"
            )
        if kind is None:
            kind = IndexKind.EXACT if len(vectors) < exact_below else IndexKind.INVERTED_LISTS
        if kind is IndexKind.INVERTED_LISTS:
            lists = build_inverted_lists(vectors, seed)
            if lists.recall_at_10 >= MINIMUM_RECALL:
                return cls._from_inverted_lists(vectors, lists)
            _logger.warning(
                "recall@10 is %.3f with %d of %d lists, expected %.2f: the index of %d vectors "
                "is exact instead",
                lists.recall_at_10,
                lists.n_probes,
                lists.n_lists,
                MINIMUM_RECALL,
                len(vectors),
            )
        return cls._build_exact(vectors)

    @classmethod
    def _build_exact(cls, vectors: Vectors) -> VectorIndex:
        index = new_exact_index(vectors.shape[1])
        for chunk in unit_chunks(vectors):
            index.add(chunk)
        facts = IndexFacts(
            kind=IndexKind.EXACT,
            n_vectors=len(vectors),
            dimension=vectors.shape[1],
            n_lists=1,
            n_probes=1,
            recall_at_10=1.0,
            vectors_sha256=vectors_fingerprint(vectors),
        )
        return cls(facts, {}, index)

    @classmethod
    def _from_inverted_lists(cls, vectors: Vectors, lists: InvertedLists) -> VectorIndex:
        facts = IndexFacts(
            kind=IndexKind.INVERTED_LISTS,
            n_vectors=len(vectors),
            dimension=vectors.shape[1],
            n_lists=lists.n_lists,
            n_probes=lists.n_probes,
            recall_at_10=lists.recall_at_10,
            vectors_sha256=vectors_fingerprint(vectors),
        )
        return cls(facts, {}, lists.index)

    def search(self, queries: Vectors, k: int) -> Neighbours:
        """The k most similar indexed vectors of each query (`n_queries, dimension`), best first.

        A k above the number of indexed vectors is cut to that number: every vector is listed.

        Raises:
            ValueError: k is below 1, or the queries are not rows of length 1 of this dimension.
        """
        if k < 1:
            raise ValueError(f"k is {k}, expected at least 1")
        width = min(k, self.facts.n_vectors)
        ids = np.empty((len(queries), width), dtype=np.int64)
        similarities = np.empty((len(queries), width), dtype=np.float32)
        for start, rows in self._query_chunks(queries):
            found = nearest(self._index, rows, width, self.facts.n_probes)
            ids[start : start + len(rows)] = found.ids
            similarities[start : start + len(rows)] = found.similarities
        return Neighbours(ids, similarities)

    def similar(self, queries: Vectors, minimum_similarity: float) -> list[SimilarVectors]:
        """Every indexed vector at least so similar to each query (`n_queries, dimension`).

        Complete for both kinds of index: inverted lists are all looked into, because a broad
        descriptor reaches far more lists than its ten nearest sentences do. A similarity less than
        1e-6 below the minimum counts as reaching it: float32 sums do not tell the two apart.

        Raises:
            ValueError: the minimum is not in [-1, 1], or the queries are not rows of length 1 of
                this dimension.
        """
        if not -1.0 <= minimum_similarity <= 1.0:
            raise ValueError(f"minimum similarity is {minimum_similarity}, expected -1 to 1")
        answers: list[SimilarVectors] = []
        for _, rows in self._query_chunks(queries):
            found = within(self._index, rows, minimum_similarity - SIMILARITY_TOLERANCE)
            for first, last in pairwise(found.limits):
                best = best_first(
                    found.ids[np.newaxis, first:last], found.similarities[np.newaxis, first:last]
                )
                answers.append(SimilarVectors(best.ids[0], best.similarities[0]))
        return answers

    def _query_chunks(self, queries: Vectors) -> Iterator[tuple[int, FloatArray]]:
        for start in range(0, len(queries), _QUERIES_AT_A_TIME):
            chunk = queries[start : start + _QUERIES_AT_A_TIME]
            yield start, unit_rows(chunk, self.facts.dimension, first_row=start)

    def save(self, folder: Path, extra: Mapping[str, JsonValue] | None = None) -> None:
        """Write sentences.faiss and then manifest.json to `folder`, each atomically.

        Args:
            folder: made where missing.
            extra: JSON kept in the manifest for the caller, for example a cache key.

        Raises:
            RunError: a file cannot be written; an index already there is kept.
        """
        index_file = folder / INDEX_FILE
        write_index(self._index, index_file)
        manifest = IndexManifest(
            index=self.facts,
            faiss_version=faiss_version(),
            file_sha256=file_fingerprint(index_file),
            extra=dict(extra or {}),
        )
        write_manifest(folder, manifest)

    @classmethod
    def load(cls, folder: Path) -> VectorIndex:
        """Open an index that `save` wrote; its vectors stay on disk until a search touches them.

        Raises:
            RunError: a file is missing or damaged, or manifest and index do not fit.
        """
        manifest = read_manifest(folder)
        index = read_index(folder / INDEX_FILE)
        facts = manifest.index
        if (index.ntotal, index.d) != (facts.n_vectors, facts.dimension):
            raise RunError(
                f"{folder / INDEX_FILE} holds {index.ntotal} vectors of dimension {index.d}, its "
                f"manifest says {facts.n_vectors} of {facts.dimension}. Rebuild the index."
            )
        return cls(facts, manifest.extra, index)
