from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import spearmanr

from neurons.auroc import auroc
from neurons.followed import N_UNITS, SampledNeurons, mean_first_correlation
from neurons.match_block import handicapped
from neurons.matching import MatchingSettings
from neurons.significance import conservative_standard_error
from neurons.split_rows import Activations, Block

SETTINGS = MatchingSettings()


def stored(array: NDArray[np.floating], widest: int = 10_000) -> Activations:
    """Blocks of at most `widest` columns."""

    def blocks(n_units: int) -> Iterator[Block]:
        step = min(n_units, widest)
        for first in range(0, array.shape[1], step):
            yield array[:, first : first + step]

    return Activations(array.shape[1], len(array), blocks)


def rarer(members: NDArray[np.bool_]) -> int:
    """Sentences on the rarer side."""
    return int(min(members.sum(), (~members).sum()))


def by_hand(
    array: NDArray[np.floating],
    membership: NDArray[np.bool_],
    handicaps: NDArray[np.float64],
    discover: NDArray[np.int64],
    validation: NDArray[np.int64],
) -> float:
    """One tail and one descriptor at a time, with scipy's correlation."""
    judged = [
        rarer(own[discover]) >= SETTINGS.minimum_discover
        and rarer(own[validation]) >= SETTINGS.minimum_held_out
        for own in membership
    ]
    if not any(judged):
        return 0.0
    membership, handicaps = membership[judged], handicaps[judged]
    found = []
    for column in array.T:
        for sign in (1.0, -1.0):
            statistics = []
            for own, handicap in zip(membership, handicaps, strict=True):
                members = own[discover]
                area = auroc((sign * column[discover])[:, None], csr_matrix(members[None]))
                n_rarer = np.array([rarer(members)])
                bound = area - 2.0 * conservative_standard_error(area, n_rarer)
                statistics.append(handicapped(bound, np.array([handicap])).item())
            first = membership[int(np.argmax(statistics))]
            found.append(spearmanr(sign * column[validation], first[validation]).statistic)
    return float(np.mean(found))


@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([1, 3, 10_000]))
@settings(max_examples=25, deadline=None)
def test_as_by_hand_with_scipy(seed: int, ties: bool, widest: int) -> None:
    random = np.random.default_rng(seed)
    array = random.normal(size=(120, 7))
    if ties:
        array = np.maximum(array.round(1), 0.0)
    membership = random.random((5, 120)) < random.uniform(0.02, 0.98, (5, 1))
    handicaps = random.uniform(0.0, 0.2, 5)
    discover, validation = np.arange(0, 80), np.arange(80, 110)
    array = array.astype(np.float32)
    neurons = SampledNeurons.of(stored(array, widest), discover, validation, seed)
    found = mean_first_correlation(neurons, csr_matrix(membership), handicaps, SETTINGS)
    expected = by_hand(array, membership, handicaps, discover, validation)
    assert found == pytest.approx(expected, abs=1e-9)


def planted(shares: list[float], n_sentences: int = 600) -> tuple[NDArray[np.float32], csr_matrix]:
    """One neuron a set, which fires on it and nowhere else; sets are runs of sentences."""
    random = np.random.default_rng(3)
    limits = np.cumsum([0, *(round(share * n_sentences) for share in shares)])
    order = random.permutation(n_sentences)
    membership = np.zeros((len(shares), n_sentences), dtype=np.bool_)
    for number, (start, end) in enumerate(pairwise(limits)):
        membership[number, order[start:end]] = True
    noise = 0.1 * random.random((n_sentences, len(shares)))
    return (membership.T + noise).astype(np.float32), csr_matrix(membership)


def follow(array: NDArray[np.floating], membership: csr_matrix, seed: int = 0) -> float:
    rows = np.arange(len(array))
    neurons = SampledNeurons.of(stored(array), rows[::2], rows[1::2], seed)
    return mean_first_correlation(neurons, membership, np.zeros(membership.shape[0]), SETTINGS)


def test_what_neurons_respond_to_is_followed_and_nothing_else_is() -> None:
    array, membership = planted([0.25] * 4)
    shuffled = membership[:, np.random.default_rng(0).permutation(membership.shape[1])]
    right, chance = follow(array, membership), follow(array, csr_matrix(shuffled))
    # The other tail of such a neuron falls on its set and rises on all others alike.
    assert right > 0.45
    assert abs(chance) < 0.1


def test_parts_of_what_neurons_respond_to_are_followed_less() -> None:
    array, membership = planted([0.25] * 4)
    random = np.random.default_rng(1)
    half = random.random(membership.shape[1]) < 0.5
    dense = membership.toarray()
    parts = csr_matrix(np.concatenate([dense & half, dense & ~half]))
    assert follow(array, parts) < 0.8 * follow(array, membership)


def test_nothing_to_judge_by_is_zero() -> None:
    array, membership = planted([0.25] * 4)
    assert follow(array, membership[:0]) == 0.0
    few = csr_matrix(([True], ([0], [3])), shape=(1, len(array)))
    assert follow(array, few) == 0.0
    assert follow(np.ones_like(array), membership) == 0.0


def test_sentences_of_no_split_do_not_matter() -> None:
    array, membership = planted([0.25] * 4)
    rows = np.arange(len(array))
    discover, validation, test = rows[:300], rows[300:450], rows[450:]
    changed = array.copy()
    changed[test] = np.random.default_rng(0).normal(size=changed[test].shape)
    found = [
        mean_first_correlation(
            SampledNeurons.of(stored(each), discover, validation, 0),
            membership,
            np.zeros(4),
            SETTINGS,
        )
        for each in (array, changed)
    ]
    assert found[0] == found[1]


def test_a_sample_is_of_the_size_and_of_the_seed() -> None:
    array = np.random.default_rng(0).normal(size=(20, N_UNITS + 40)).astype(np.float16)
    rows = np.arange(20)
    first, again, other = (
        SampledNeurons.of(stored(array, 300), rows[10:15], rows[:4], seed) for seed in (0, 0, 1)
    )
    assert first.values.shape == (9, N_UNITS)
    np.testing.assert_array_equal(first.values, again.values)
    assert (first.values != other.values).any()
    columns = {column.tobytes() for column in array[[10, 11, 12, 13, 14, 0, 1, 2, 3]].T}
    assert {column.tobytes() for column in first.values.T} <= columns
