from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy
from numpy.typing import NDArray
from scipy.stats import kurtosis, skew

from indexer.errors import InputError, RunError
from neurons import statistics
from neurons.exemplars import NeuronTail, top_rows
from neurons.records import NeuronId, Pooling, Site, Tail
from neurons.split_rows import Block
from neurons.statistics import neuron_statistics, strongest
from neurons.statistics_records import FIGURES, QUANTILES, StoreStatistics
from neurons.store import (
    ActivationStore,
    ExtractionReport,
    HalfArray,
    StoredSite,
    StoreLayout,
    StoreManifest,
)

COLUMNS = hypothesis_numpy.arrays(
    np.float16,
    st.tuples(st.integers(1, 40), st.integers(1, 5)),
    elements=st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5])
    | st.floats(width=16, allow_nan=False, allow_infinity=False),
)


def in_memory(*arrays: NDArray[np.floating]) -> ActivationStore:
    """A store whose sites `L4.ffn`, `L5.hidden` … hold the arrays (`n_sentences, n_units`)."""
    sites = tuple(
        StoredSite(layer=4 + number, site=list(Site)[number % 2], units=array.shape[1])
        for number, array in enumerate(arrays)
    )
    layout = StoreLayout(
        key="k",
        n_sentences=len(arrays[0]),
        window_sentences=8,
        pooling=Pooling.MAX,
        sites=sites,
    )
    manifest = StoreManifest(layout=layout, report=ExtractionReport(), parity=None)
    stored = {
        site.layer_site: array.astype(np.float16) for site, array in zip(sites, arrays, strict=True)
    }
    return ActivationStore(Path("somewhere"), manifest, stored)


def one_neuron(*values: float) -> ActivationStore:
    return in_memory(np.array(values, dtype=np.float16)[:, np.newaxis])


def neuron(unit: int = 0) -> NeuronId:
    return NeuronId(4, Site.FFN, unit)


def random_values(n_sentences: int, n_units: int, seed: int = 0) -> HalfArray:
    """Many ties, one unit that is mostly zero and one that never changes."""
    values = np.random.default_rng(seed).gamma(2.0, size=(n_sentences, n_units)).round(1)
    values[:, 0] = np.where(values[:, 0] > 3.0, values[:, 0], 0.0)
    values[:, 1] = 7.3
    return values.astype(np.float16)


def arrays_of(found: StoreStatistics) -> dict[str, NDArray[np.generic]]:
    tails = {"positive": found.positive, "negative": found.negative}
    return {
        **{name: getattr(found, name) for name in (*FIGURES, "quantiles")},
        **{f"{name} rows": tail.rows for name, tail in tails.items()},
        **{f"{name} activations": tail.activations for name, tail in tails.items()},
    }


def assert_same(found: StoreStatistics, expected: StoreStatistics) -> None:
    assert found.sites == expected.sites
    assert found.n_sentences == expected.n_sentences
    for name, values in arrays_of(expected).items():
        assert arrays_of(found)[name].tobytes() == values.tobytes(), name


def test_a_neuron_by_hand() -> None:
    found = neuron_statistics(one_neuron(1.0, -1.0, 0.0, 4.0), kept=2).of(neuron())
    # Differences from the mean 1 are 0, -2, -1 and 3.
    assert found.neuron == "L4.ffn.0"
    assert found.n_sentences == 4
    assert found.mean == 1.0
    assert found.deviation == pytest.approx(3.5**0.5)
    assert found.skewness == pytest.approx(4.5 / 3.5**1.5)
    assert found.excess_kurtosis == pytest.approx(24.5 / 3.5**2 - 3.0)
    assert (found.minimum, found.maximum) == (-1.0, 4.0)
    assert (found.zero_share, found.positive_share) == (0.25, 0.5)
    assert not found.constant
    expected = [-0.997, -0.97, -0.85, -0.25, 0.5, 1.75, 3.55, 3.91, 3.991]
    assert found.quantiles == pytest.approx(expected)
    assert [(one.row, one.activation) for one in found.top_positive] == [(3, 4.0), (0, 1.0)]
    assert [(one.row, one.activation) for one in found.top_negative] == [(1, -1.0), (2, 0.0)]


def test_ties_go_to_the_earlier_row_and_negative_zero_is_zero() -> None:
    found = neuron_statistics(one_neuron(-0.0, 2.0, 0.0, -0.0, 2.0, -1.0), kept=4).of(neuron())
    assert [one.row for one in found.top_positive] == [1, 4, 0, 2]
    assert [one.row for one in found.top_negative] == [5, 0, 2, 3]
    assert (found.zero_share, found.positive_share) == (0.5, pytest.approx(1 / 3))
    zeros = [one.activation for one in found.top_negative[1:]] + list(found.quantiles[3:5])
    assert zeros == [0.0] * 5
    assert not np.signbit(zeros).any()


@pytest.mark.parametrize("value", [0.0, -0.0, 0.1, -3.3, 65504.0, 6e-8])
@pytest.mark.parametrize("n_sentences", [1, 2, 1000])
def test_what_never_changes_has_no_deviation_at_all(value: float, n_sentences: int) -> None:
    found = neuron_statistics(one_neuron(*[value] * n_sentences), kept=3).of(neuron())
    stored = float(np.float16(value))
    assert found.constant
    assert (found.mean, found.deviation) == (stored, 0.0)
    assert (found.skewness, found.excess_kurtosis) == (None, None)
    assert (found.minimum, found.maximum) == (stored, stored)
    assert set(found.quantiles) == {stored}
    assert [one.row for one in found.top_positive] == list(range(min(3, n_sentences)))
    assert found.top_positive == found.top_negative


def test_one_half_precision_step_apart_is_not_constant() -> None:
    low, high = np.float16(1000.0), np.nextafter(np.float16(1000.0), np.float16(np.inf))
    found = neuron_statistics(one_neuron(*[low] * 99_999, high)).of(neuron())
    exact = np.array([low] * 99_999 + [high], dtype=np.float64)
    assert not found.constant
    assert found.deviation == pytest.approx(exact.std(), rel=1e-9)
    assert found.skewness == pytest.approx(99_998 / 99_999**0.5, rel=1e-6)
    assert found.deviation > 0.0


@settings(max_examples=60, deadline=None)
@given(values=COLUMNS, kept=st.integers(0, 50))
def test_agrees_with_numpy_and_scipy(values: HalfArray, kept: int) -> None:
    store = in_memory(values)
    found = neuron_statistics(store, kept)
    exact = values.astype(np.float64)

    np.testing.assert_array_equal(found.minimum, exact.min(axis=0))
    np.testing.assert_array_equal(found.maximum, exact.max(axis=0))
    np.testing.assert_array_equal(found.constant, (exact == exact[0]).all(axis=0))
    np.testing.assert_allclose(found.mean, exact.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.deviation, exact.std(axis=0), rtol=1e-9, atol=0.0)
    np.testing.assert_array_equal(found.zero_share, (exact == 0.0).mean(axis=0))
    np.testing.assert_array_equal(found.positive_share, (exact > 0.0).mean(axis=0))
    quantiles = np.quantile(exact, QUANTILES, axis=0, method="linear").T
    np.testing.assert_allclose(found.quantiles, quantiles, rtol=1e-12, atol=1e-12)
    for unit in range(values.shape[1]):
        if found.constant[unit]:
            assert np.isnan([found.skewness[unit], found.excess_kurtosis[unit]]).all()
        else:
            scaled = exact[:, unit] / np.abs(exact[:, unit]).max()
            assert found.skewness[unit] == pytest.approx(skew(scaled), rel=1e-6, abs=1e-6)
            peaked = kurtosis(scaled)
            assert found.excess_kurtosis[unit] == pytest.approx(peaked, rel=1e-6, abs=1e-6)
        for tail, kept_rows in ((Tail.POSITIVE, found.positive), (Tail.NEGATIVE, found.negative)):
            expected = top_rows(store, NeuronTail(neuron(unit), tail), np.arange(len(values)), kept)
            assert kept_rows.rows[unit].tolist() == expected.tolist()
            assert kept_rows.activations[unit].tolist() == exact[expected, unit].tolist()


def test_many_sentences_agree_with_numpy_and_scipy() -> None:
    values = random_values(30_000, 6)
    found = neuron_statistics(in_memory(values), kept=25)
    exact = values.astype(np.float64)
    varying = np.flatnonzero(~found.constant)
    assert varying.tolist() == [0, 2, 3, 4, 5]
    np.testing.assert_allclose(found.skewness[varying], skew(exact[:, varying]), rtol=1e-9)
    np.testing.assert_allclose(found.excess_kurtosis[varying], kurtosis(exact[:, varying]), 1e-9)
    quantiles = np.quantile(exact, QUANTILES, axis=0, method="linear").T
    np.testing.assert_allclose(found.quantiles, quantiles, rtol=1e-12)
    strongest_first = np.argsort(-exact, axis=0, kind="stable")[:25].T
    np.testing.assert_array_equal(found.positive.rows, strongest_first)


def test_blocks_of_any_size_give_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    store = in_memory(random_values(3000, 30), random_values(3000, 11, seed=1))
    expected = neuron_statistics(store, kept=7)
    for n_units, n_tile in ((1, 1), (7, 999), (30, 5000), (512, 3000)):
        monkeypatch.setattr(statistics, "_block_units", lambda _, n_units=n_units: n_units)
        monkeypatch.setattr(statistics, "_TILE_SENTENCES", n_tile)
        assert_same(neuron_statistics(store, kept=7), expected)


def test_blocks_shrink_with_the_sentences() -> None:
    assert [statistics._block_units(n) for n in (1, 20_000, 200_000, 10**9)] == [512, 512, 167, 8]


def test_memory_is_bounded_by_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    store = in_memory(random_values(4000, 600))
    monkeypatch.setattr(statistics, "_block_units", lambda _: 8)
    tracemalloc.start()
    neuron_statistics(store, kept=5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The array has 4.8 MB, a block 64 kB, a column in double precision 32 kB.
    assert peak < 1_000_000


def test_all_neurons_pass_the_watch_in_order() -> None:
    seen: list[tuple[int, int]] = []

    def watch(blocks: Iterable[Block], n_neurons: int) -> Iterator[Block]:
        for block in blocks:
            seen.append((block.shape[1], n_neurons))
            yield block

    found = neuron_statistics(in_memory(np.zeros((4, 600)), np.ones((4, 5))), watch=watch)
    assert seen == [(512, 605), (88, 605), (5, 605)]
    assert found.mean.tolist() == [0.0] * 600 + [1.0] * 5


@pytest.mark.parametrize(
    ("value", "shown"),
    [(np.nan, "nan"), (-np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")],
)
def test_what_is_not_finite_is_told_with_neuron_and_row(value: float, shown: str) -> None:
    first, second = np.zeros((6, 3)), np.zeros((6, 4))
    second[4:, 2] = value
    with pytest.raises(RunError, match=rf"L5[.]hidden[.]2 is {shown} on sentence row 4 of some"):
        neuron_statistics(in_memory(first, second))


def test_neurons_are_found_by_their_address() -> None:
    first, second = np.arange(6.0).reshape(2, 3), np.arange(8.0).reshape(2, 4)
    found = neuron_statistics(in_memory(first, second))
    assert [str(one) for one in found.neurons] == [
        *("L4.ffn.0", "L4.ffn.1", "L4.ffn.2"),
        *("L5.hidden.0", "L5.hidden.1", "L5.hidden.2", "L5.hidden.3"),
    ]
    for number, one in enumerate(found.neurons):
        assert found.number(one) == number
        record = found.of(one)
        assert record.neuron == str(one)
        assert record.mean == found.mean[number]
    assert found.of(NeuronId(5, Site.HIDDEN, 3)).maximum == 7.0
    with pytest.raises(InputError, match=r"L5[.]hidden[.]4 does not exist.*4 units, 0 to 3"):
        found.of(NeuronId(5, Site.HIDDEN, 4))
    with pytest.raises(RunError, match=r"of L4[.]hidden; there are of L4[.]ffn, L5[.]hidden"):
        found.of(NeuronId(4, Site.HIDDEN, 0))


def test_a_negative_number_of_sentences_is_refused() -> None:
    with pytest.raises(ValueError, match="kept is -1"):
        neuron_statistics(one_neuron(1.0), kept=-1)


@settings(deadline=None)
@given(
    values=hypothesis_numpy.arrays(
        np.float32, st.integers(0, 30), elements=st.sampled_from([-1.0, -0.0, 0.0, 1.0, 2.5])
    ),
    limit=st.integers(0, 35),
)
def test_strongest_is_a_stable_descending_order(values: NDArray[np.float32], limit: int) -> None:
    expected = np.argsort(-values, kind="stable")[:limit]
    assert strongest(values, limit).tolist() == expected.tolist()


def test_a_store_of_a_real_model(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    from neurons.extraction import extract
    from neurons.reading import ExtractionSettings
    from neurons.subject import SubjectModel

    class Texts:
        def __len__(self) -> int:
            return 12

        def texts_at(self, rows: NDArray[np.int64]) -> list[str]:
            return [f"phone {'very ' * (row % 3)}{'good' if row % 2 else 'bad'}" for row in rows]

    subject = SubjectModel.load(str(tiny_model("bert")), "cpu")
    extract(subject, Texts(), tmp_path, ExtractionSettings(), "k")
    store = ActivationStore.open(tmp_path)
    found = neuron_statistics(store, kept=3)
    assert len(found.mean) == store.n_neurons == len(list(found.neurons))
    for one in (NeuronId(0, Site.FFN, 5), NeuronId(1, Site.HIDDEN, 31)):
        column = store.array(one.layer_site)[:, one.unit].astype(np.float64)
        assert found.of(one).mean == pytest.approx(column.mean())
        rows = top_rows(store, NeuronTail(one, Tail.POSITIVE), np.arange(12), 3)
        assert [sentence.row for sentence in found.of(one).top_positive] == rows.tolist()
