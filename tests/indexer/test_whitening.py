from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from sklearn.decomposition import PCA

from indexer import whitening
from indexer.arrays import DoubleArray, FloatArray
from indexer.errors import RunError
from indexer.whitening import ROWS_PER_COMPONENT, Whitening

DIMENSION = 12


def embeddings(n_rows: int, seed: int = 0, dimension: int = DIMENSION) -> FloatArray:
    """Unit rows off the origin whose spread differs from direction to direction."""
    random = np.random.default_rng(seed)
    mixing = (
        random.normal(size=(dimension, dimension)) * np.geomspace(1.0, 0.05, dimension)[:, None]
    )
    rows = random.normal(size=(n_rows, dimension)) @ mixing + 2.0
    unit: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def unit_rows(rows: DoubleArray) -> DoubleArray:
    lengths: DoubleArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return lengths


def mapped(space: Whitening, rows: FloatArray) -> DoubleArray:
    """Before the lengths are divided away."""
    result: DoubleArray = (rows.astype(np.float64) - space.mean) @ space.projection
    return result


def every(rows: FloatArray) -> np.ndarray:
    return np.arange(len(rows))


def test_full_power_gives_equal_spread_in_every_direction() -> None:
    rows = embeddings(2_000)
    covariance = np.cov(mapped(Whitening.fit(rows, every(rows), power=1.0), rows).T, bias=True)
    np.testing.assert_allclose(covariance / covariance[0, 0], np.eye(DIMENSION), atol=1e-3)


def test_no_power_keeps_the_angles_of_centred_rows() -> None:
    rows = embeddings(500)
    space = Whitening.fit(rows, every(rows), power=0.0)
    centred = unit_rows(rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64))
    unit = space.apply(rows).astype(np.float64)
    np.testing.assert_allclose(unit @ unit.T, centred @ centred.T, atol=1e-4)
    np.testing.assert_allclose(space.projection.T @ space.projection, np.eye(DIMENSION), atol=1e-5)


@pytest.mark.parametrize("n_components", [1, 2, 5, DIMENSION])
def test_full_power_is_the_whitened_pca_of_scikit_learn(n_components: int) -> None:
    rows, unseen = embeddings(1_500), embeddings(80, seed=1)
    oracle = PCA(n_components, whiten=True, svd_solver="full").fit(rows.astype(np.float64))
    expected = unit_rows(oracle.transform(unseen.astype(np.float64)))
    found = Whitening.fit(rows, every(rows), n_components, power=1.0).apply(unseen)
    # Principal directions have no sign.
    signs = np.sign(np.sum(expected * found, axis=0))
    np.testing.assert_allclose(found * signs, expected, atol=2e-3)


@pytest.mark.parametrize("power", [0.25, 0.5, 0.75])
def test_powers_between_are_what_the_singular_values_say(power: float) -> None:
    rows, unseen = embeddings(1_000), embeddings(60, seed=2)
    mean = rows.mean(axis=0, dtype=np.float64)
    _, spreads, directions = np.linalg.svd(rows - mean, full_matrices=False)
    expected = unit_rows((unseen - mean) @ directions.T * spreads**-power)
    found = Whitening.fit(rows, every(rows), power=power).apply(unseen).astype(np.float64)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-3)


def test_only_the_given_rows_count() -> None:
    rows = embeddings(600)
    chosen = np.random.default_rng(0).choice(600, 300, replace=False)
    alone = Whitening.fit(rows[chosen], np.arange(300))
    rows[np.setdiff1d(np.arange(600), chosen)] = np.nan
    space = Whitening.fit(rows, chosen)
    np.testing.assert_array_equal(space.mean, alone.mean)
    np.testing.assert_array_equal(space.projection, alone.projection)


def test_windows_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, unseen = embeddings(1_003), embeddings(50, seed=3)
    whole = Whitening.fit(rows, every(rows)).apply(unseen)
    monkeypatch.setattr(whitening, "WINDOW", 64)
    windowed = Whitening.fit(rows, every(rows)).apply(unseen)
    np.testing.assert_allclose(windowed @ windowed.T, whole @ whole.T, atol=1e-4)


def test_a_float16_memory_map_is_read_as_the_numbers_it_holds(tmp_path: Path) -> None:
    stored = embeddings(700).astype(np.float16)
    np.save(tmp_path / "embeddings.npy", stored)
    on_disk = np.load(tmp_path / "embeddings.npy", mmap_mode="r", allow_pickle=False)
    space = Whitening.fit(on_disk, every(stored))
    in_memory = Whitening.fit(stored.astype(np.float32), every(stored))
    np.testing.assert_array_equal(space.projection, in_memory.projection)
    assert space.projection.dtype == space.mean.dtype == np.float32
    applied = space.apply(on_disk[:10])
    assert applied.dtype == np.float32
    np.testing.assert_array_equal(applied, in_memory.apply(stored[:10].astype(np.float32)))


@pytest.mark.parametrize(
    ("n_rows", "n_components"),
    [
        (2, 1),  # two rows differ in one direction only
        (14, 2),
        (40, 8),  # five rows each while there are few components
        (ROWS_PER_COMPONENT * 40, DIMENSION),
    ],
)
def test_few_rows_give_few_components(n_rows: int, n_components: int) -> None:
    rows = embeddings(n_rows)
    assert Whitening.fit(rows, every(rows)).projection.shape == (DIMENSION, n_components)


def test_components_are_at_most_those_asked_for() -> None:
    rows = embeddings(500)
    assert Whitening.fit(rows, every(rows), n_components=3).projection.shape == (DIMENSION, 3)


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_a_direction_the_rows_do_not_vary_in_does_not_drown_the_others(power: float) -> None:
    """A few sentences said over and over leave most directions empty."""
    few = embeddings(4)
    rows = np.repeat(few, 200, axis=0).astype(np.float16).astype(np.float32)
    space = Whitening.fit(rows, every(rows), power=power)
    assert space.projection.shape == (DIMENSION, 3)
    unseen = few + 0.02 * embeddings(4, seed=5)
    similarities = space.apply(unseen) @ space.apply(few).T
    assert similarities.argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert np.diag(similarities).min() > 0.9


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_rows_all_alike_still_give_unit_vectors(power: float) -> None:
    rows = np.repeat(embeddings(1), 100, axis=0)
    space = Whitening.fit(rows, every(rows), power=power)
    applied = space.apply(np.vstack([rows, embeddings(20, seed=4)]))
    np.testing.assert_allclose(np.linalg.norm(applied, axis=1), 1.0, atol=1e-5)


def test_every_vector_gets_length_one_even_the_mean() -> None:
    rows = embeddings(400)
    space = Whitening.fit(rows, every(rows), n_components=4)
    applied = space.apply(np.vstack([rows, space.mean]))
    np.testing.assert_allclose(np.linalg.norm(applied, axis=1), 1.0, atol=1e-5)
    assert applied[-1].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert space.apply(rows[:0]).shape == (0, 4)


@pytest.mark.parametrize(
    ("n_rows", "n_components", "power"),
    [(0, 4, 0.5), (1, 4, 0.5), (50, 0, 0.5), (50, 4, -0.1), (50, 4, 1.1), (50, 4, np.nan)],
)
def test_unusable_arguments(n_rows: int, n_components: int, power: float) -> None:
    with pytest.raises(ValueError, match=rf"found {n_rows} rows, {n_components} components"):
        Whitening.fit(embeddings(50), np.arange(n_rows), n_components, power)


def test_save_and_load(tmp_path: Path) -> None:
    rows = embeddings(300)
    space = Whitening.fit(rows, every(rows), n_components=5)
    path = tmp_path / "index" / "whitening.safetensors"
    space.save(path)
    first = path.read_bytes()
    loaded = Whitening.load(path)
    np.testing.assert_array_equal(loaded.mean, space.mean)
    np.testing.assert_array_equal(loaded.projection, space.projection)
    loaded.save(path)
    assert path.read_bytes() == first
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_that_cannot_be_read_is_a_run_error(tmp_path: Path) -> None:
    path = tmp_path / "whitening.safetensors"
    with pytest.raises(RunError, match="Re-run"):
        Whitening.load(path)
    rows = embeddings(300)
    Whitening.fit(rows, every(rows)).save(path)
    whole = path.read_bytes()
    for damaged in (b"", whole[:20], whole[:-3], b"no tensors at all, but text"):
        path.write_bytes(damaged)
        with pytest.raises(RunError, match=path.name):
            Whitening.load(path)
    save_file({"mean": rows[0]}, path)
    with pytest.raises(RunError, match="projection"):
        Whitening.load(path)


def test_many_components_need_twenty_rows_each() -> None:
    rows = embeddings(400, dimension=60)
    assert Whitening.fit(rows, every(rows)).projection.shape == (60, 24)
    rows = embeddings(ROWS_PER_COMPONENT * 40, dimension=60)
    assert Whitening.fit(rows, every(rows)).projection.shape == (60, 40)
