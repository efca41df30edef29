from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import RunError
from neurons.records import LayerSite, Pooling, Site
from neurons.store import (
    ActivationStore,
    ExtractionReport,
    HalfArray,
    StoredSite,
    StoreLayout,
)
from neurons.store_writer import StoreWriter

FFN = LayerSite(0, Site.FFN)
HIDDEN = LayerSite(1, Site.HIDDEN)
UNITS = {FFN: 5, HIDDEN: 3}
LAYOUT = StoreLayout(
    key="first",
    n_sentences=10,
    window_sentences=4,
    pooling=Pooling.MAX,
    sites=(
        StoredSite(layer=0, site=Site.FFN, units=5),
        StoredSite(layer=1, site=Site.HIDDEN, units=3),
    ),
)


def full_array(layer_site: LayerSite, seed: int = 0) -> HalfArray:
    generator = np.random.default_rng([seed, layer_site.layer])
    return generator.normal(size=(10, UNITS[layer_site])).astype(np.float16)


def write(folder: Path, layout: StoreLayout = LAYOUT, seed: int = 0) -> StoreWriter:
    """Write every window that is not yet there, and finish."""
    writer = StoreWriter.open(folder, layout)
    step = layout.window_sentences
    for first in range(writer.windows_done * step, layout.n_sentences, step):
        rows = slice(first, first + step)
        window = {site: full_array(site, seed)[rows] for site in UNITS}
        writer.write_window(window, ExtractionReport(sentences=len(window[FFN]), tokens=first + 1))
    writer.finish(None)
    return writer


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path)
    store = ActivationStore.open(tmp_path)

    assert store.layer_sites == (FFN, HIDDEN)
    assert store.n_sentences == 10
    assert store.n_neurons == 8
    assert store.units(HIDDEN) == 3
    assert store.manifest.layout == LAYOUT
    assert store.manifest.report == ExtractionReport(sentences=10, tokens=1 + 5 + 9)
    for layer_site in UNITS:
        np.testing.assert_array_equal(store.array(layer_site), full_array(layer_site))
        plain = np.load(tmp_path / f"{layer_site}.npy", allow_pickle=False)
        np.testing.assert_array_equal(plain, full_array(layer_site))
    assert set(contents(tmp_path)) == {
        "L0.ffn.npy",
        "L1.hidden.npy",
        "journal.json",
        "manifest.json",
    }


def test_arrays_are_mapped_and_read_only(tmp_path: Path) -> None:
    write(tmp_path)
    array = ActivationStore.open(tmp_path).array(FFN)
    assert isinstance(array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1.0


def test_columns_are_the_asked_rows_and_units(tmp_path: Path) -> None:
    write(tmp_path)
    store = ActivationStore.open(tmp_path)
    rows = np.asarray([7, 0, 9])
    found = store.columns(FFN, slice(1, 4), rows)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, full_array(FFN)[[7, 0, 9], 1:4].astype(np.float32))
    np.testing.assert_array_equal(
        store.columns(FFN, slice(4, 5)), full_array(FFN)[:, 4:].astype(np.float32)
    )


def test_a_site_that_is_not_stored_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(RunError, match=r"L5.ffn is not in .*stored are L0.ffn, L1.hidden"):
        ActivationStore.open(tmp_path).array(LayerSite(5, Site.FFN))


def test_an_unfinished_store_cannot_be_opened(tmp_path: Path) -> None:
    writer = StoreWriter.open(tmp_path, LAYOUT)
    with pytest.raises(RunError, match="has not finished"):
        ActivationStore.open(tmp_path)
    with pytest.raises(ValueError, match="0 of 3 windows"):
        writer.finish(None)


@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "other shape", "other type", "text"])
def test_damaged_arrays_are_refused(damage: str, tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "L1.hidden.npy"
    whole = path.read_bytes()
    path.unlink()
    match damage:
        case "cut":
            path.write_bytes(whole[:-1])
        case "empty":
            path.write_bytes(b"")
        case "other shape":
            np.save(path, np.zeros((10, 4), np.float16))
        case "other type":
            np.save(path, np.zeros((10, 3), np.float32))
        case "text":
            path.write_text("not an array " * 20)
    with pytest.raises(RunError, match=r"L1\.hidden\.npy .*run again"):
        ActivationStore.open(tmp_path)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"layout": 3}'])
def test_a_damaged_manifest_is_refused(content: str, tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RunError, match=r"manifest\.json"):
        ActivationStore.open(tmp_path)


def test_reports_add_up() -> None:
    one = ExtractionReport(sentences=1, tokens=2, clipped_values=3)
    two = ExtractionReport(sentences=4, truncated_sentences=5)
    assert one.plus(two) == ExtractionReport(
        sentences=5, tokens=2, clipped_values=3, truncated_sentences=5
    )


def test_a_store_is_a_value(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(dataclasses.FrozenInstanceError):
        ActivationStore.open(tmp_path).folder = tmp_path  # type: ignore[misc]
