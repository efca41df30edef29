from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.stats import norm

from indexer.arrays import DoubleArray, IntArray
from neurons.null import NullThresholds, PermutationNull, permutation_null, permuted_rows


def area_itself(area: DoubleArray, _sizes: IntArray) -> DoubleArray:
    return area


def thresholds(
    sample: DoubleArray,
    sets: DoubleArray,
    documents: IntArray | None = None,
    repeats: int = 4,
    quantile: float = 0.99,
) -> NullThresholds:
    return null(sample, sets, documents, repeats, quantile).thresholds


def null(
    sample: DoubleArray,
    sets: DoubleArray,
    documents: IntArray | None = None,
    repeats: int = 4,
    quantile: float = 0.99,
) -> PermutationNull:
    """The null where the first half of the sentences is discover and the rest validation."""
    half = len(sample) // 2
    rows = (np.arange(half), np.arange(half, len(sample)))
    return permutation_null(
        sample,
        (csr_matrix(sets[:, rows[0]]), csr_matrix(sets[:, rows[1]])),
        rows,
        np.arange(len(sample)) if documents is None else documents,
        area_itself,
        repeats,
        quantile,
        seed=0,
    )


@given(documents=st.lists(st.integers(0, 9), max_size=60), seed=st.integers(0, 1000))
def test_every_sentence_is_dealt_once(documents: list[int], seed: int) -> None:
    found = permuted_rows(np.array(documents, dtype=np.int64), np.random.default_rng(seed))
    assert found.dtype == np.int64
    assert sorted(found.tolist()) == list(range(len(documents)))


@pytest.mark.parametrize("scattered", [False, True])
def test_whole_documents_trade_places_with_documents_of_their_size(scattered: bool) -> None:
    sizes = np.repeat([1, 2, 5, 12], [9, 8, 7, 6])
    documents = np.repeat(np.arange(len(sizes)) * 11, sizes)
    generator = np.random.default_rng(1)
    if scattered:
        documents = generator.permutation(documents)
    dealt = documents[permuted_rows(documents, generator)]
    moved = 0
    for place, size in enumerate(sizes):
        of_place = dealt[documents == place * 11]
        assert len(np.unique(of_place)) == 1
        assert (documents == of_place[0]).sum() == size
        moved += of_place[0] != place * 11
    assert moved > 20


def test_sentences_keep_their_order_inside_a_document() -> None:
    documents = np.repeat(np.arange(10), 4)
    found = permuted_rows(documents, np.random.default_rng(2)).reshape(10, 4)
    assert (np.diff(found, axis=1) == 1).all()


def test_documents_of_a_rare_size_move_too() -> None:
    documents = np.repeat(np.arange(12), np.arange(1, 13))
    generator = np.random.default_rng(3)
    stayed = [np.mean(permuted_rows(documents, generator) == np.arange(78)) for _ in range(30)]
    assert np.mean(stayed) < 0.35


def test_every_deal_of_single_sentences_is_as_likely() -> None:
    generator = np.random.default_rng(4)
    counts = np.zeros((6, 6))
    for _ in range(6000):
        counts[np.arange(6), permuted_rows(np.arange(6), generator)] += 1
    assert np.abs(counts - 1000.0).max() < 5 * np.sqrt(1000.0)


def test_thresholds_are_the_quantiles_of_the_null_distribution() -> None:
    generator = np.random.default_rng(5)
    sets = np.zeros((30, 400))
    for row in sets:
        row[generator.permutation(200)[:40]] = 1.0
        row[200 + generator.permutation(200)[:40]] = 1.0
    found = thresholds(generator.normal(size=(400, 200)), sets, repeats=10)
    spread = np.sqrt((200 + 1) / (12 * 40 * 160))
    assert found.validation == pytest.approx(0.5 + norm.ppf(0.99) * spread, abs=0.1 * spread)
    # The best of 30 unrelated sets exceeds its threshold as rarely as one does 0.99 ** (1 / 30).
    best = norm.ppf(0.99 ** (1 / 30))
    assert found.discover == pytest.approx(0.5 + best * spread, abs=0.3 * spread)


def test_real_relations_do_not_raise_the_thresholds() -> None:
    generator = np.random.default_rng(6)
    sets = (generator.random((10, 400)) < 0.3).astype(float)
    unrelated = generator.normal(size=(400, 100))
    related = unrelated + 3.0 * sets[np.arange(100) % 10].T
    assert thresholds(related, sets).discover < thresholds(unrelated, sets).discover + 0.03


def test_documents_that_hang_together_raise_the_thresholds() -> None:
    generator = np.random.default_rng(7)
    documents = generator.permutation(np.repeat(np.arange(40), 10))
    sets = (generator.random((20, 40)) < 0.3).astype(float)[:, documents]
    sample = generator.normal(size=(40, 100))[documents]
    together, apart = thresholds(sample, sets, documents), thresholds(sample, sets)
    assert together.discover > apart.discover + 0.1
    assert together.validation > apart.validation + 0.1


def test_both_tails_count() -> None:
    generator = np.random.default_rng(11)
    sets = (generator.random((10, 200)) < 0.05).astype(float)
    rarely_high = np.maximum(generator.normal(size=(200, 50)) - 1.5, 0.0)
    found = thresholds(rarely_high, sets)
    mirrored = thresholds(-rarely_high, sets)
    assert found.discover == pytest.approx(mirrored.discover, abs=1e-12)
    assert found.discover > 0.65


def test_constant_neurons_are_left_out() -> None:
    generator = np.random.default_rng(8)
    sets = (generator.random((5, 100)) < 0.3).astype(float)
    sample = generator.normal(size=(100, 20))
    with_constant = np.concatenate([np.zeros((100, 300)), sample], axis=1)
    assert thresholds(with_constant, sets) == thresholds(sample, sets)


def test_half_precision_activations_may_span_their_whole_range() -> None:
    sample = np.tile(np.array([[6e4], [-6e4]], np.float16), (10, 1))
    sets = (np.arange(20) % 5 == 0).astype(float)[np.newaxis]
    assert 0.5 <= thresholds(sample, sets).discover <= 1.0


@pytest.mark.parametrize(
    ("n_sets", "n_sentences", "value"), [(0, 20, None), (3, 20, 1.0), (0, 0, None), (0, 1, None)]
)
def test_where_nothing_can_be_judged_nothing_exceeds_the_thresholds(
    n_sets: int, n_sentences: int, value: float | None
) -> None:
    sample = np.random.default_rng(9).normal(size=(n_sentences, 4))
    if value is not None:
        sample[:] = value
    sets = np.zeros((n_sets, n_sentences))
    sets[:, ::3] = 1.0
    assert thresholds(sample, sets) == NullThresholds(discover=1.0, validation=1.0)


def test_the_same_seed_gives_the_same_thresholds() -> None:
    generator = np.random.default_rng(10)
    sets, sample = (generator.random((5, 60)) < 0.4).astype(float), generator.normal(size=(60, 8))
    assert thresholds(sample, sets) == thresholds(sample, sets)


def test_z_scatters_as_its_formula_says_where_sentences_are_independent() -> None:
    generator = np.random.default_rng(5)
    sets = (generator.random((6, 800)) < 0.2).astype(float)
    found = null(generator.normal(size=(800, 150)), sets, repeats=8)
    assert found.z_spread == pytest.approx(np.ones(6), abs=0.08)
    assert (found.z_spread >= 1.0).all()


def test_z_scatters_more_where_documents_hang_together() -> None:
    """All sentences of a document alike: as if there were one sentence a document."""
    generator = np.random.default_rng(6)
    documents = np.repeat(np.arange(200), 4)
    sample = generator.normal(size=(200, 150))[documents]
    sets = (generator.random((6, 200)) < 0.2).astype(float)[:, documents]
    found = null(sample, sets, documents, repeats=8)
    assert found.z_spread == pytest.approx(np.full(6, 2.0), rel=0.1)
