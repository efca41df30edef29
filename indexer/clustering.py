"""Spherical k-means over unit vectors, and how well a clustering fits held-out vectors."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from indexer.arrays import FloatArray, IntArray
from indexer.faiss_module import faiss_module
from indexer.neighbours import SIMILARITY_TOLERANCE

_MOST_STEPS = 25
_MOST_AT_A_TIME = 8
_LEAST_GAIN = 1e-4
"""Share of the objective, the sum of similarities to the nearest centroid."""


@dataclass(frozen=True)
class Clustering:
    """Unit centroids (`n_clusters, dimension`) and the cluster of each vector (`n_vectors`)."""

    centroids: FloatArray
    assignment: IntArray


def spherical_clusterings(
    vectors: FloatArray, starts: Sequence[tuple[int, int]]
) -> list[Clustering]:
    """Cluster unit vectors once for each number of clusters and seed; see `spherical_kmeans`.

    As many at a time as FAISS has threads, each on one of them: most of a clustering of a few
    thousand vectors is no matrix product, which alone would keep all threads at work.
    """
    faiss = faiss_module()

    def cluster(start: tuple[int, int]) -> Clustering:
        # The number of OpenMP threads is one of each thread that asks for work.
        faiss.omp_set_num_threads(1)
        return spherical_kmeans(vectors, *start)

    n_threads = min(faiss.omp_get_max_threads(), _MOST_AT_A_TIME)
    with ThreadPoolExecutor(n_threads, thread_name_prefix="k-means") as threads:
        return list(threads.map(cluster, starts))


def spherical_kmeans(vectors: FloatArray, n_clusters: int, seed: int) -> Clustering:
    """Cluster unit vectors by cosine similarity (Dhillon & Modha 2001), with FAISS.

    Begins with k-means++ (Arthur & Vassilvitskii 2007) and ends where a step gains next to nothing.

    Raises:
        ValueError: fewer vectors than clusters.
    """
    faiss = faiss_module()
    if not 1 <= n_clusters <= len(vectors):
        raise ValueError(f"cannot make {n_clusters} clusters of {len(vectors)} vectors")
    trainer = faiss.Kmeans(
        vectors.shape[1],
        n_clusters,
        niter=_MOST_STEPS,
        early_stop_threshold=_LEAST_GAIN,
        init_method=faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS,
        spherical=True,
        # FAISS keeps its seed in a C int.
        seed=seed % 2**31,
        min_points_per_centroid=1,
        max_points_per_centroid=len(vectors),
    )
    contiguous = np.ascontiguousarray(vectors, dtype=np.float32)
    trainer.train(contiguous)
    centroids: FloatArray = np.asarray(trainer.centroids, dtype=np.float32)
    similarity = contiguous @ centroids.T
    # Of centroids that coincide the first takes all, so that equal vectors stay together.
    as_near = similarity >= similarity.max(axis=1, keepdims=True) - SIMILARITY_TOLERANCE
    assignment = np.argmax(as_near, axis=1)
    return Clustering(centroids, assignment.astype(np.int64))


def held_out_silhouettes(vectors: FloatArray, centroids: FloatArray) -> FloatArray:
    """Simplified silhouettes of vectors that took no part in the clustering (`n_vectors`).

    1 - a / b with a and b the cosine distances to the nearest and second nearest
    centroid (Hruschka et al. 2004), 0 where both are nothing because two centroids coincide: from
    0 to 1, higher means that the clusters are better told apart.

    Raises:
        ValueError: fewer than two clusters or no vectors.
    """
    if len(centroids) < 2 or not len(vectors):
        raise ValueError(f"need vectors and 2 clusters, found {len(vectors)} and {len(centroids)}")
    similarity = vectors @ centroids.T
    nearest = np.partition(similarity, -2, axis=1)[:, -2:]
    # Sums of rounded unit vectors may end just above 1.
    own, other = np.maximum(1.0 - nearest[:, 1], 0.0), np.maximum(1.0 - nearest[:, 0], 0.0)
    apart = other > SIMILARITY_TOLERANCE
    return np.where(apart, 1.0 - own / np.where(apart, other, 1.0), np.float32(0.0))
