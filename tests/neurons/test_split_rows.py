from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.errors import RunError
from neurons import split_rows
from neurons.auroc import average_ranks
from neurons.records import Pooling, Site
from neurons.split_rows import (
    Activations,
    Block,
    SplitRanks,
    SplitRows,
    block_units,
    ranked_blocks,
    sampled_units,
)
from neurons.store import ActivationStore, ExtractionReport, StoredSite, StoreLayout
from neurons.store_writer import StoreWriter

VALUES = np.random.default_rng(0).normal(size=(12, 30)).round(1).astype(np.float16)
ROWS = SplitRows(
    discover=np.array([0, 2, 4, 6, 8]),
    validation=np.array([1, 3, 5]),
    test=np.array([11, 10, 9, 7]),
    documents=np.arange(12),
)


def in_memory(values: NDArray[np.float16], at_most: int | None = None) -> Activations:
    def blocks(n_units: int) -> Iterator[Block]:
        step = min(n_units, at_most or n_units)
        for first in range(0, values.shape[1], step):
            yield values[:, first : first + step]

    return Activations(values.shape[1], len(values), blocks)


def stored(folder: Path, values: NDArray[np.float16]) -> Activations:
    """The first 19 columns as one layer site and the others as another."""
    sites = (
        StoredSite(layer=0, site=Site.FFN, units=19),
        StoredSite(layer=1, site=Site.HIDDEN, units=11),
    )
    layout = StoreLayout(
        key="k", n_sentences=12, window_sentences=12, pooling=Pooling.MAX, sites=sites
    )
    writer = StoreWriter.open(folder, layout)
    parts = {sites[0].layer_site: values[:, :19], sites[1].layer_site: values[:, 19:]}
    writer.write_window(parts, ExtractionReport(sentences=12))
    writer.finish(None)
    return Activations.of_store(ActivationStore.open(folder))


def test_a_store_is_read_in_blocks_that_make_up_all_its_neurons(tmp_path: Path) -> None:
    activations = stored(tmp_path, VALUES)
    assert (activations.n_neurons, activations.n_sentences) == (30, 12)
    for _ in range(2):
        blocks = list(activations.blocks(8))
        assert [block.shape[1] for block in blocks] == [8, 8, 3, 8, 3]
        np.testing.assert_array_equal(np.concatenate(blocks, axis=1), VALUES)


@pytest.mark.parametrize(
    ("n_sentences", "expected"), [(0, 512), (1, 512), (40_000, 104), (10**9, 8)]
)
def test_a_block_is_bounded(n_sentences: int, expected: int) -> None:
    assert block_units(n_sentences) == expected


def test_blocks_are_ranked_within_each_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_rows, "_BLOCK_BYTES", 1)
    found = list(ranked_blocks(in_memory(VALUES), ROWS))
    assert [ranks.discover.shape[1] for ranks in found] == [8, 8, 8, 6]
    for split in ("discover", "validation", "test"):
        np.testing.assert_array_equal(
            np.concatenate([getattr(ranks, split) for ranks in found], axis=1),
            average_ranks(VALUES[getattr(ROWS, split)].astype(np.float64)),
        )


def test_the_watch_sees_every_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_rows, "_BLOCK_BYTES", 1)
    seen: list[int] = []

    def watch(blocks: Iterable[Block], n_neurons: int) -> Iterable[Block]:
        seen.append(n_neurons)
        for block in blocks:
            seen.append(block.shape[1])
            yield block

    assert len(list(ranked_blocks(in_memory(VALUES), ROWS, watch))) == 4
    assert seen == [30, 8, 8, 8, 6]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("row", "unit", "name"), [(4, 3, "L0.ffn.3"), (11, 29, "L1.hidden.10")])
def test_an_activation_that_is_no_finite_number_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: float, row: int, unit: int, name: str
) -> None:
    monkeypatch.setattr(split_rows, "_BLOCK_BYTES", 1)
    values = VALUES.copy()
    values[row, unit] = wrong
    expected = f"^{name} of {tmp_path} is {wrong} on sentence {row} \\(counted from 0\\), expected"
    with pytest.raises(RunError, match=expected):
        list(ranked_blocks(stored(tmp_path, values), ROWS))
    with pytest.raises(RunError, match=f"^neuron {unit} is {wrong} on sentence {row} "):
        list(ranked_blocks(in_memory(values), ROWS))


def test_half_and_single_numbers_are_finite_alike() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    with np.errstate(invalid="ignore"):
        singles = every.astype(np.float32)
    np.testing.assert_array_equal(split_rows._finite(every), np.isfinite(singles))
    np.testing.assert_array_equal(split_rows._finite(singles), np.isfinite(singles))


def test_the_last_neuron_has_a_name_and_the_next_has_none(tmp_path: Path) -> None:
    activations = stored(tmp_path, VALUES)
    assert activations.name(18).startswith("L0.ffn.18 of ")
    assert activations.name(19).startswith("L1.hidden.0 of ")
    with pytest.raises(IndexError):
        activations.name(30)


def test_a_unit_is_constant_by_its_discover_sentences() -> None:
    values = VALUES[:, :3].copy()
    values[ROWS.discover, 0] = 2.0
    values[ROWS.validation, 1] = 2.0
    values[ROWS.discover, 2] = [0.0, -0.0, 0.0, -0.0, 0.0]
    [ranks] = ranked_blocks(in_memory(values), ROWS)
    assert ranks.constant.tolist() == [True, False, True]


def test_without_discover_sentences_every_unit_is_constant() -> None:
    empty = np.empty((0, 2))
    assert SplitRanks(empty, empty, empty).constant.tolist() == [True, True]


@pytest.mark.parametrize("at_most", [1, 7, 30])
def test_sampled_units_do_not_depend_on_the_blocks(at_most: int) -> None:
    found = sampled_units(in_memory(VALUES, at_most), 10, seed=3)
    np.testing.assert_array_equal(found, sampled_units(in_memory(VALUES), 10, seed=3))
    assert found.shape == (12, 10)
    assert found.dtype == np.float16
    columns = {column.tobytes() for column in found.T}
    assert len(columns) == 10
    assert columns <= {column.tobytes() for column in VALUES.T}


def test_sampling_all_units_keeps_their_order() -> None:
    np.testing.assert_array_equal(sampled_units(in_memory(VALUES, 7), 99, seed=3), VALUES)


def test_another_seed_samples_other_units() -> None:
    activations = in_memory(VALUES)
    assert (sampled_units(activations, 5, 0) != sampled_units(activations, 5, 1)).any()
