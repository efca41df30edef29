"""The torch arithmetic gives numpy's figures to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from indexer.arrays import BoolArray, DoubleArray
from neurons.auroc_torch import TorchRanks, agrees_with_numpy, ranks_on
from neurons.matching import Matches, MatchingSettings, match
from neurons.rank_arithmetic import NUMPY_RANKS, NumpyRanks

World = Any

CPU = TorchRanks("cpu")
LOOSE = MatchingSettings(minimum_auroc=0.55, null_quantile=0.8, candidates=7, matches=3)
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
    ),
]
TIED = st.sampled_from([-2.0, -0.0, 0.0, 6e-8, 0.5, 3.0])


@st.composite
def activations(draw: st.DrawFn) -> NDArray[np.floating]:
    """Finite columns of any float type, some with many ties, some constant (`12, 4`)."""
    dtype, width = draw(st.sampled_from([(np.float16, 16), (np.float32, 32), (np.float64, 64)]))
    some = st.floats(allow_nan=False, allow_infinity=False, width=width)
    values = draw(arrays(dtype, (12, 4), elements=st.one_of(some, TIED.map(dtype))))
    values[:, draw(st.integers(0, 3))] = draw(st.sampled_from([-0.0, 0.0, 2.5]))
    return values


@st.composite
def memberships(draw: st.DrawFn) -> csr_matrix:
    """Sets that may be empty, hold everything, store a sentence twice or a score of 0 (`n, 12`)."""
    sets = draw(st.lists(st.lists(st.integers(0, 11), max_size=15), max_size=5))
    stored = sum(map(len, sets))
    scores = draw(arrays(np.float64, stored, elements=st.sampled_from([0.0, 0.3, 1.0])))
    members = np.array([sentence for own in sets for sentence in own], dtype=np.int32)
    starts = np.cumsum([0, *map(len, sets)], dtype=np.int32)
    return csr_matrix((scores, members, starts), shape=(len(sets), 12))


def same(first: NDArray[Any], second: NDArray[Any]) -> None:
    assert first.dtype == second.dtype
    assert first.shape == second.shape
    assert first.tobytes() == second.tobytes()


def assert_same_figures(
    values: NDArray[np.floating], membership: csr_matrix, other: TorchRanks
) -> None:
    ranks, tensor = NUMPY_RANKS.average_ranks(values), other.average_ranks(values)
    same(ranks, tensor.cpu().numpy())
    same(NUMPY_RANKS.auroc(ranks, membership), other.auroc(tensor, membership))
    same(NUMPY_RANKS.variances(ranks), other.variances(tensor))
    for highest in (True, False):
        asked = (membership, max(1, len(values) // 4), highest)
        for one, two in zip(
            NUMPY_RANKS.exemplar_hits(ranks, *asked),
            other.exemplar_hits(tensor, *asked),
            strict=True,
        ):
            same(one, two)


@given(values=activations(), membership=memberships())
@settings(max_examples=150, deadline=None)
def test_figures_are_numpys(values: NDArray[np.floating], membership: csr_matrix) -> None:
    assert_same_figures(values, membership, CPU)


@given(values=activations(), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_picked_and_reordered_ranks_are_numpys(values: NDArray[np.floating], seed: int) -> None:
    generator = np.random.default_rng(seed)
    ranks, tensor = NUMPY_RANKS.average_ranks(values), CPU.average_ranks(values)
    sentences, units = generator.integers(0, 12, (5, 3)), generator.integers(0, 4, 5)
    same(NUMPY_RANKS.picked(ranks, sentences, units), CPU.picked(tensor, sentences, units))
    order = generator.permutation(12)
    same(NUMPY_RANKS.reordered(ranks, order), CPU.reordered(tensor, order).numpy())


@given(values=activations(), sets=arrays(np.bool_, (3, 12)))
@settings(max_examples=60, deadline=None)
def test_agrees_with_other_libraries(values: NDArray[np.floating], sets: BoolArray) -> None:
    tensor = CPU.average_ranks(values)
    np.testing.assert_array_equal(tensor.numpy(), rankdata(values, axis=0))
    np.testing.assert_allclose(CPU.variances(tensor), rankdata(values, axis=0).var(axis=0))
    found = CPU.auroc(tensor, csr_matrix(sets))
    for number, members in enumerate(sets):
        for unit, column in enumerate(values.astype(np.float64).T):
            if 0 < members.sum() < 12:
                assert found[number, unit] == pytest.approx(roc_auc_score(members, column))
            else:
                assert np.isnan(found[number, unit])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_figures_of_many_sentences_are_numpys(device: str, dtype: type) -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(6000, 40)).astype(dtype)
    values[:, 1] = np.maximum(values[:, 1], 0.0)
    values[::3, 1] = -0.0
    values[:, 2] = 0.25
    sets = csr_matrix(generator.random((30, 6000)) < np.linspace(0.0, 1.0, 30).reshape(-1, 1))
    assert_same_figures(values, sets, TorchRanks(device))


@pytest.mark.parametrize("shape", [(0, 3, 2), (5, 0, 2), (5, 2, 0), (1, 2, 1), (0, 0, 0)])
def test_nothing_is_numpys_nothing(shape: tuple[int, int, int]) -> None:
    n_sentences, n_units, n_sets = shape
    values = np.ones((n_sentences, n_units), np.float16)
    assert_same_figures(values, csr_matrix((n_sets, n_sentences)), CPU)


def test_read_only_activations_are_ranked() -> None:
    values = np.arange(4, dtype=np.float32).reshape(-1, 1)
    values.setflags(write=False)
    assert CPU.average_ranks(values).tolist() == [[1.0], [2.0], [3.0], [4.0]]


def test_membership_of_other_sentences_is_refused() -> None:
    with pytest.raises(ValueError, match="covers 5 sentences, ranks cover 4"):
        CPU.auroc(CPU.average_ranks(np.ones((4, 1))), csr_matrix((2, 5)))


def matched(world: World, chosen: MatchingSettings, device: str) -> Iterator[Matches]:
    for arithmetic in (NUMPY_RANKS, TorchRanks(device)):
        membership = csr_matrix(world.sets * 0.5)
        yield match(world.stored, membership, world.rows, chosen, 0, arithmetic=arithmetic)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("chosen", [LOOSE, MatchingSettings()], ids=["loose", "default"])
def test_matches_are_numpys(
    planted_world: World, device: str, dtype: type, chosen: MatchingSettings
) -> None:
    activations = planted_world.activations.round(1).astype(dtype)
    activations[:, 20] = -0.0
    numpys, torchs = matched(replace(planted_world, activations=activations), chosen, device)
    assert len(numpys.neuron) > 5
    assert numpys.constant[20].all()
    for field in fields(Matches):
        one, two = getattr(numpys, field.name), getattr(torchs, field.name)
        if isinstance(one, np.ndarray):
            same(one, two)
        else:
            assert one == two


def test_without_descriptors_nothing_matches(planted_world: World) -> None:
    nothing = replace(planted_world, sets=planted_world.sets[:0])
    for matches in matched(nothing, MatchingSettings(), "cpu"):
        assert (matches.usable_descriptors, len(matches.neuron)) == (0, 0)


class _Off(NumpyRanks):
    """An arithmetic whose AUROC is wrong in its last bit."""

    def auroc(self, ranks: Any, membership: csr_matrix) -> DoubleArray:
        found = super().auroc(ranks, membership)
        return np.nextafter(found, 2.0)


def test_a_device_that_disagrees_is_not_used() -> None:
    assert agrees_with_numpy(TorchRanks("cpu"))
    assert agrees_with_numpy(NUMPY_RANKS)
    assert not agrees_with_numpy(_Off())
    assert ranks_on(torch.device("cpu")) is NUMPY_RANKS
