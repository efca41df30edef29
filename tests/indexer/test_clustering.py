from __future__ import annotations

import hashlib
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from indexer.arrays import FloatArray, IntArray
from indexer.clustering import held_out_silhouettes, spherical_clusterings, spherical_kmeans
from indexer.faiss_module import faiss_module
from indexer.neighbours import Vectors

pytestmark = pytest.mark.usefixtures("one_faiss_thread")


def unit(rows: Vectors) -> FloatArray:
    result: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return result


def random_units(n_rows: int, dimension: int, seed: int = 0) -> FloatArray:
    return unit(np.random.default_rng(seed).normal(size=(n_rows, dimension)))


def planted(n_clusters: int, size: int, seed: int = 0) -> tuple[FloatArray, IntArray]:
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(n_clusters), size))
    centres = np.eye(max(n_clusters, 8), dtype=np.float32)
    noise = 0.1 * random.normal(size=(len(labels), centres.shape[1]))
    return unit(centres[labels] + noise), labels


@pytest.mark.parametrize("n_clusters", [2, 5, 8])
def test_planted_clusters_are_found(n_clusters: int) -> None:
    vectors, labels = planted(n_clusters, 40)
    runs = [spherical_kmeans(vectors, n_clusters, seed) for seed in range(5)]
    best = max(runs, key=lambda run: held_out_silhouettes(vectors, run.centroids).mean())
    assert adjusted_rand_score(labels, best.assignment) == 1.0


def test_every_vector_belongs_to_its_nearest_centroid_of_length_one() -> None:
    vectors = random_units(300, 6)
    clustering = spherical_kmeans(vectors, 7, 0)
    np.testing.assert_allclose(np.linalg.norm(clustering.centroids, axis=1), 1.0, atol=1e-5)
    nearest = [int(np.argmax([vector @ c for c in clustering.centroids])) for vector in vectors]
    assert clustering.assignment.tolist() == nearest
    assert clustering.assignment.dtype == np.int64
    for cluster in range(7):
        mean = vectors[clustering.assignment == cluster].mean(axis=0)
        assert mean @ clustering.centroids[cluster] / np.linalg.norm(mean) > 0.99


def digest(vectors: FloatArray, seed: int) -> str:
    clustering = spherical_kmeans(vectors, 9, seed)
    return hashlib.sha256(
        clustering.centroids.tobytes() + clustering.assignment.tobytes()
    ).hexdigest()


_PROGRAM = """
import hashlib
import numpy as np
from indexer.clustering import spherical_kmeans
rows = np.random.default_rng(0).normal(size=(500, 16))
vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
found = spherical_kmeans(vectors, 9, 4)
print(hashlib.sha256(found.centroids.tobytes() + found.assignment.tobytes()).hexdigest())
"""


def test_the_seed_decides_within_a_process_and_across_processes() -> None:
    vectors = random_units(500, 16)
    first = digest(vectors, 4)
    assert digest(vectors, 4) == first
    assert digest(vectors, 5) != first
    for _ in range(2):
        other = subprocess.run(
            [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
        )
        assert other.stdout.strip() == first


def test_a_seed_of_any_size_works() -> None:
    vectors = random_units(60, 4)
    np.testing.assert_array_equal(
        spherical_kmeans(vectors, 3, 2**31 + 5).centroids,
        spherical_kmeans(vectors, 3, 5).centroids,
    )


@pytest.mark.parametrize(("n_vectors", "n_clusters"), [(3, 3), (5, 2), (40, 30), (400, 6), (1, 1)])
def test_nothing_is_printed(
    n_vectors: int, n_clusters: int, capfd: pytest.CaptureFixture[str]
) -> None:
    clustering = spherical_kmeans(random_units(n_vectors, 5), n_clusters, 0)
    assert clustering.centroids.shape == (n_clusters, 5)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_float16_rows_are_the_numbers_they_hold() -> None:
    stored = random_units(200, 8).astype(np.float16)
    assert digest(stored, 0) == digest(stored.astype(np.float32), 0)


def test_equal_vectors_stay_together() -> None:
    distinct = random_units(5, 16)
    vectors = np.repeat(distinct, 30, axis=0)
    for n_clusters in (5, 8):
        assignment = spherical_kmeans(vectors, n_clusters, 0).assignment.reshape(5, 30)
        assert (assignment == assignment[:, :1]).all()


@pytest.mark.parametrize("n_clusters", [0, 11])
def test_clusters_must_be_fillable(n_clusters: int) -> None:
    with pytest.raises(ValueError, match=f"cannot make {n_clusters} clusters of 10 vectors"):
        spherical_kmeans(random_units(10, 3), n_clusters, 0)


def looped_silhouette(vectors: FloatArray, centroids: FloatArray) -> float:
    values = []
    for vector in vectors.astype(np.float64):
        own, other = sorted(1.0 - float(vector @ centroid) for centroid in centroids)[:2]
        values.append(0.0 if other <= 1e-6 else 1.0 - max(own, 0.0) / other)
    return math.fsum(values) / len(values)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(2, 9), st.integers(0, 99))
def test_silhouette_equals_a_loop(n_vectors: int, n_centroids: int, seed: int) -> None:
    vectors, centroids = random_units(n_vectors, 4, seed), random_units(n_centroids, 4, seed + 1)
    found = held_out_silhouettes(vectors, centroids)
    assert found.shape == (n_vectors,)
    assert found.mean() == pytest.approx(looped_silhouette(vectors, centroids), abs=1e-5)
    assert 0.0 <= found.min() <= found.max() <= 1.0


def test_silhouette_by_hand() -> None:
    centroids = np.eye(2, dtype=np.float32)
    vectors = np.array([[1.0, 0.0], [0.6, 0.8]], np.float32)
    # Distances 0 and 1 give 1; distances 0.2 and 0.4 give a half.
    assert held_out_silhouettes(vectors, centroids).tolist() == pytest.approx([1.0, 0.5])


def test_coinciding_centroids_tell_nothing_apart() -> None:
    """Sentences said over and over must not make a clustering look the better, the finer it is."""
    stored = np.repeat(random_units(5, 32), 30, axis=0).astype(np.float16)
    centroids = unit(stored[::30].astype(np.float32))
    doubled = np.vstack([centroids, centroids])
    assert held_out_silhouettes(stored, centroids).min() > 0.99
    assert 0.0 <= held_out_silhouettes(stored, doubled).mean() < 0.5


def test_silhouette_needs_two_clusters_and_vectors() -> None:
    with pytest.raises(ValueError, match="found 4 and 1"):
        held_out_silhouettes(random_units(4, 3), random_units(1, 3))
    with pytest.raises(ValueError, match="found 0 and 2"):
        held_out_silhouettes(random_units(4, 3)[:0], random_units(2, 3))


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_many_clusterings_are_those_one_by_one_on_any_number_of_threads(n_threads: int) -> None:
    vectors = random_units(400, 24)
    starts = [(8, 0), (8, 1), (20, 2), (3, 7), (8, 0), (40, 2**31 + 3)]
    one_by_one = [spherical_kmeans(vectors, *start) for start in starts]
    faiss_module().omp_set_num_threads(n_threads)
    found = spherical_clusterings(vectors, starts)
    faiss_module().omp_set_num_threads(1)
    for own, expected in zip(found, one_by_one, strict=True):
        np.testing.assert_array_equal(own.centroids, expected.centroids)
        np.testing.assert_array_equal(own.assignment, expected.assignment)
    assert spherical_clusterings(vectors, []) == []


def test_of_many_clusterings_one_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot make 9 clusters of 8 vectors"):
        spherical_clusterings(random_units(8, 4), [(2, 0), (9, 0)])
