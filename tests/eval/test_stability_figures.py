"""Stability of neurons that know something and of neurons that know nothing."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from eval.halves import HalvedTask, count_ranking, halves, match_halves
from eval.label_recovery import Population
from eval.records import Figure
from eval.stability import StabilitySettings, StabilityTask, stability
from indexer.arrays import DoubleArray, IntArray
from neurons.matching import MatchingSettings
from neurons.split_rows import Activations, Block, SplitRows

N_SENTENCES, N_NEURONS = 3000, 120
SETTINGS = StabilitySettings(repeats=2, exemplar_share=0.1)


def activations(values: DoubleArray) -> Activations:
    def blocks(n_units: int) -> Iterator[Block]:
        for first in range(0, values.shape[1], n_units):
            yield values[:, first : first + n_units].astype(np.float16)

    return Activations(values.shape[1], values.shape[0], blocks)


def rows(sentences_a_document: int = 1) -> SplitRows:
    documents = np.arange(N_SENTENCES) // sentences_a_document
    kind = documents % 6
    return SplitRows(
        discover=np.flatnonzero(kind < 3),
        validation=np.flatnonzero(kind == 3),
        test=np.flatnonzero(kind > 3),
        documents=documents,
    )


def zipf_membership(n_descriptors: int = 40, per_sentence: float = 3.0) -> csr_matrix:
    """Descriptors as common as words: the n-th holds for 1 / n as many sentences as the first."""
    weights = 1.0 / np.arange(1, n_descriptors + 1)
    share = np.minimum(weights * per_sentence / weights.sum(), 0.9)
    drawn = np.random.default_rng(0).uniform(size=(n_descriptors, N_SENTENCES))
    return csr_matrix((drawn < share[:, np.newaxis]).astype(np.float64))


def task(values: DoubleArray, membership: csr_matrix) -> StabilityTask:
    halved = HalvedTask(
        activations=activations(values),
        membership=membership,
        rows=rows(),
        settings=MatchingSettings(null_neurons=60, null_repeats=4),
        counted=2,
        exemplar_share=SETTINGS.exemplar_share,
        fewest_exemplars=SETTINGS.fewest_exemplars,
        seed=4,
    )
    return StabilityTask(halved, (Population("ffn", np.arange(values.shape[1])),))


def one(figures: list[Figure], variant: str, metric: str) -> Figure:
    (found,) = [each for each in figures if (each.variant, each.metric) == (variant, metric)]
    return found


def noise() -> DoubleArray:
    return np.random.default_rng(1).normal(size=(N_SENTENCES, N_NEURONS))


def test_neurons_that_know_nothing_agree_by_plain_counting_only() -> None:
    """The trap: the commonest descriptors of exemplars are the commonest of all.

    Their agreement is near that of neurons that know something, and so is its null; the matcher
    describes none of them.
    """
    figures = stability(task(noise(), zipf_membership()), SETTINGS)
    plain = one(figures, "exemplar_counts tail=+ site=ffn", "Jaccard")
    assert plain.value is not None
    assert plain.value > 0.85
    assert plain.value == pytest.approx(plain.null, abs=0.05)
    assert plain.value == pytest.approx(plain.baseline, abs=0.05)
    assert plain.n == N_NEURONS
    above = one(figures, "exemplar_counts tail=+ site=ffn", "Jaccard_above_null")
    assert above.ci_low is not None
    assert above.ci_high is not None
    assert above.ci_low <= 0.0 <= above.ci_high
    described = one(figures, "halves tail=+ site=ffn", "described")
    assert described.value is not None
    assert described.value < 0.05
    assert "described on either side" in one(figures, "halves tail=+ site=ffn", "refused").reason
    assert not [each for each in figures if each.metric == "stable"]


def test_neurons_that_know_something_are_stable() -> None:
    membership = zipf_membership()
    values = noise()
    for neuron in range(N_NEURONS // 2):
        values[membership[10 + neuron % 20].indices, neuron] += 3.0
    figures = stability(task(values, membership), SETTINGS)
    where = "halves tail=+ site=ffn"
    found = one(figures, where, "Jaccard")
    assert found.value is not None
    assert found.null is not None
    assert found.baseline is not None
    assert found.value > 0.8
    assert found.null < 0.02
    assert found.baseline < 0.15
    assert N_NEURONS // 2 <= found.n < N_NEURONS * 0.6
    stable = one(figures, where, "stable")
    assert (stable.value, stable.split) == (1.0, "discover+validation")
    above = one(figures, where, "Jaccard_above_baseline")
    assert above.value == pytest.approx(found.value - found.baseline)
    described = one(figures, where, "described")
    assert described.value == pytest.approx(0.5, abs=0.06)
    assert described.null is not None
    assert described.null < 0.05
    for reading in ("halves both", "seeds"):
        again = one(figures, f"{reading} tail=+ site=ffn", "Jaccard")
        assert again.value is not None
        assert again.value > 0.8
        assert again.null == pytest.approx(0.0, abs=0.02)
    assert one(figures, where, "RBO").k == 5


def test_same_seed_same_figures() -> None:
    membership = zipf_membership()
    single = SETTINGS.model_copy(update={"repeats": 1})
    values = noise()[:, :30]
    figures = stability(task(values, membership), single)
    assert figures == stability(task(values, membership), single)
    assert not [each for each in figures if each.variant.startswith("seeds")]
    other = task(values, membership)
    other = replace(other, halved=replace(other.halved, seed=9))
    assert figures != stability(other, single)


def documents_of(own: IntArray, split: SplitRows) -> set[int]:
    return set(split.documents[own].tolist())


@pytest.mark.parametrize("sentences_a_document", [1, 7])
def test_halves_share_no_document_and_leave_none_out(sentences_a_document: int) -> None:
    split = rows(sentences_a_document)
    one_half, other_half = halves(split, seed=3)
    for name in ("discover", "validation"):
        first, second = getattr(one_half, name), getattr(other_half, name)
        assert sorted([*first, *second]) == getattr(split, name).tolist()
        shared = documents_of(first, split) & documents_of(second, split)
        assert shared == set()
        assert abs(len(documents_of(first, split)) - len(documents_of(second, split))) <= 1
    for half in (one_half, other_half):
        assert not documents_of(half.test, split) & documents_of(split.test, split)
    again, _ = halves(split, seed=3)
    assert again.discover.tolist() == one_half.discover.tolist()
    assert halves(split, seed=4)[0].discover.tolist() != one_half.discover.tolist()


def test_test_sentences_have_no_part_in_it() -> None:
    membership, values = zipf_membership(), noise()[:, :30]
    changed = values.copy()
    changed[rows().test] = 7.0
    before = match_halves(task(values, membership).halved, 0)
    after = match_halves(task(changed, membership).halved, 0)
    for own, other in ((before.matched, after.matched), (before.counted, after.counted)):
        for tail in range(2):
            assert own.one[tail].descriptors.tolist() == other.one[tail].descriptors.tolist()
            assert own.other[tail].lengths.tolist() == other.other[tail].lengths.tolist()


def test_plain_counting_against_brute_force() -> None:
    membership, values = zipf_membership(), noise()[:, :20].astype(np.float16).astype(np.float64)
    halved = task(values, membership).halved
    found = match_halves(halved, 1).counted.one
    half = halves(halved.rows, halved.seed + 1)[0].discover
    n_exemplars = round(SETTINGS.exemplar_share * half.size)
    sets = membership[:, half].toarray()
    for tail, sign in enumerate((1.0, -1.0)):
        for neuron in range(20):
            exemplars = np.argsort(-sign * values[half, neuron], kind="stable")[:n_exemplars]
            counts = sets[:, exemplars].sum(axis=1)
            chosen = found[tail].descriptors[neuron]
            assert counts[chosen] == pytest.approx(np.sort(counts)[::-1][:2], abs=1.0)


def test_descriptors_without_exemplars_are_not_counted() -> None:
    blocks = [np.array([[2.0, 0.0], [2.0, 0.0], [3.0, 1.0]]), np.array([[0.0], [5.0], [4.0]])]
    found = count_ranking(blocks, 2)
    assert found.lengths.tolist() == [2, 1, 2]
    assert found.descriptors[[0, 2]].tolist() == [[2, 0], [1, 2]]
    assert found.descriptors[1, 0] == 2


def test_a_corpus_that_cannot_be_halved_is_refused() -> None:
    membership, values = zipf_membership(), noise()[:, :5]
    whole = task(values, membership)
    same = replace(rows(), documents=np.zeros(N_SENTENCES, dtype=np.int64))
    (refused,) = stability(replace(whole, halved=replace(whole.halved, rows=same)), SETTINGS)
    assert refused.reason == "found 1 documents in discover, expected 2 or more to halve"
    with pytest.raises(ValueError, match="discover has 1 documents"):
        halves(same, 0)
    empty = task(values, membership[:1])
    (refused,) = stability(empty, SETTINGS)
    assert "found 1 descriptors that can be judged in half of the corpus" in refused.reason
