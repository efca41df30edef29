"""Agreement beyond chance, on lists small enough to work out."""

import numpy as np
import pytest

from eval.agreement import (
    AgreementOptions,
    Comparison,
    agreement_figures,
    mapped_ranking,
    permuted_neurons,
    verdict,
)
from eval.metrics import Ranking
from eval.records import Figure

OPTIONS = AgreementOptions(
    protocol="stability",
    variant="halves tail=+ site=ffn",
    split="discover+validation",
    k=2,
    depth=5,
    minimum_neurons=2,
    seed=0,
)


def ranking(*own: list[int]) -> Ranking:
    width = max(1, *(len(each) for each in own))
    padded = [each + [99] * (width - len(each)) for each in own]
    return Ranking(np.array(padded), np.array([len(each) for each in own]))


def listed(found: Ranking) -> list[list[int]]:
    return [
        each[:length].tolist()
        for each, length in zip(found.descriptors, found.lengths, strict=True)
    ]


def one(figures: list[Figure], metric: str) -> Figure:
    (found,) = [each for each in figures if each.metric == metric]
    return found


def test_figures_worked_by_hand() -> None:
    """Three neurons described on either side, a fourth on neither; permuting two swaps them."""
    comparison = Comparison(
        ranking([0, 1], [2, 3], [4], []),
        ranking([0, 1], [2, 5], [], []),
        ranking([0], [], [4], [7]),
    )
    figures = agreement_figures([comparison], OPTIONS)
    similarity = one(figures, "Jaccard")
    assert similarity.n == 3
    assert similarity.value == pytest.approx((1.0 + 1 / 3 + 0.0) / 3)
    assert similarity.null == pytest.approx((1 / 2 + 0.0 + 1.0) / 3)
    assert similarity.baseline == 0.0
    assert (similarity.k, similarity.split) == (2, "discover+validation")
    above = one(figures, "Jaccard_above_null")
    assert above.value == pytest.approx((1 / 2 + 1 / 3 - 1.0) / 3)
    assert one(figures, "Jaccard_above_baseline").value == similarity.value
    assert one(figures, "RBO").k == 5


def test_neurons_average_over_the_repeats_that_describe_them() -> None:
    comparisons = [
        Comparison(ranking([0], [], [5]), ranking([0], [], [6]), ranking([], [], [])),
        Comparison(ranking([0], [3], [5]), ranking([1], [3], [5]), ranking([], [], [])),
    ]
    found = one(agreement_figures(comparisons, OPTIONS), "Jaccard")
    assert found.value == pytest.approx((0.5 + 1.0 + 0.5) / 3)
    assert (found.null, found.n) == (0.0, 3)


def test_two_abstentions_under_the_null_share_nothing() -> None:
    """A neuron that only the other side describes, and one that only the null does."""
    comparisons = [
        Comparison(ranking([0], [], []), ranking([0], [3], []), ranking([0], [], [8])),
        Comparison(ranking([0], [], [8]), ranking([0], [], [8]), ranking([0], [], [8])),
    ]
    found = one(agreement_figures(comparisons[:1], OPTIONS), "Jaccard")
    assert (found.value, found.null, found.n) == (0.5, 0.5, 2)
    found = one(agreement_figures(comparisons, OPTIONS), "Jaccard")
    assert found.value == found.null == pytest.approx(2 / 3)


def test_without_shuffled_lists_there_is_no_null() -> None:
    """As between generators, where only different neurons tell what chance is."""
    figures = agreement_figures([Comparison(ranking([0], [1]), ranking([0], [1]))], OPTIONS)
    assert [each.metric for each in figures] == [
        "Jaccard",
        "Jaccard_above_baseline",
        "RBO",
        "RBO_above_baseline",
    ]
    found = figures[0]
    assert (found.value, found.null, found.baseline) == (1.0, None, 0.0)
    (stable,) = verdict(figures)
    assert stable.value == 1.0


def test_neurons_that_agree_no_more_than_any_two_are_not_stable() -> None:
    """The commonest two descriptors for everyone: all agree, and it means nothing."""
    everyone = ranking(*([[0, 1]] * 40))
    figures = agreement_figures([Comparison(everyone, everyone, everyone)], OPTIONS)
    assert one(figures, "Jaccard").value == 1.0
    assert one(figures, "Jaccard_above_null").value == 0.0
    (stable,) = verdict(figures)
    assert (stable.value, stable.k, stable.n) == (0.0, 2, 40)


def test_verdict_needs_both_differences() -> None:
    generator = np.random.default_rng(0)
    own = ranking(*[[int(each)] for each in generator.integers(50, size=60)])
    silent = ranking(*([[]] * 60))
    (stable,) = verdict(agreement_figures([Comparison(own, own, silent)], OPTIONS))
    assert stable.value == 1.0
    (unstable,) = verdict(agreement_figures([Comparison(own, own, own)], OPTIONS))
    assert unstable.value == 0.0


def test_too_few_described_neurons_are_refused() -> None:
    (refused,) = agreement_figures([Comparison(ranking([0], []), ranking([0], []))], OPTIONS)
    assert refused.value is None
    assert "found 1 of 2 neurons described on either side, expected 2" in refused.reason
    assert refused.split == "discover+validation"
    assert verdict([refused]) == []


def test_only_neurons_that_both_sides_describe() -> None:
    comparison = Comparison(ranking([0], [1], []), ranking([0], [], [2]), ranking([5], [1], [2]))
    both = comparison.where_both_describe()
    assert listed(both.one) == listed(both.other) == [[0], [], []]
    assert both.shuffled is not None
    assert listed(both.shuffled) == [[5], [], []]


def test_permuted_neurons_get_the_list_of_another() -> None:
    own = ranking(*([[], [0], [1], [], [2, 3], [4]]))
    for seed in range(10):
        found = listed(permuted_neurons(own, seed))
        assert found[0] == found[3] == []
        assert sorted(found) == sorted(listed(own))
        assert all(found[place] != listed(own)[place] for place in (1, 2, 4, 5))
    assert listed(permuted_neurons(ranking([3], []), 0)) == [[3], []]


def test_a_ranking_in_another_catalog() -> None:
    """Descriptors 0 and 1 mean the same there, 2 has no counterpart."""
    found = mapped_ranking(ranking([0, 1, 3], [2], []), np.array([4, 4, -1, 0]), n_known=5)
    assert listed(found) == [[4, 0], [7], []]
    assert mapped_ranking(ranking([2]), np.array([0, 0, -1]), 5).descriptors.min() >= 5
    with pytest.raises(ValueError, match="mapping covers 2 descriptors, expected 4"):
        mapped_ranking(ranking([3]), np.array([0, 0]), 5)
    with pytest.raises(ValueError, match="mapping names 0 to 5, expected -1 to 4"):
        mapped_ranking(ranking([0]), np.array([0, 5]), 5)


def test_comparisons_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"cover \[1, 2\] neurons"):
        Comparison(ranking([0]), ranking([0], [1]))
    with pytest.raises(ValueError, match="found 0 comparisons"):
        agreement_figures([], OPTIONS)
