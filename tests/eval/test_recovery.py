from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.metrics import Ranking
from eval.records import Figure
from eval.recovery import RecoveryInputs, brief_recovery, label_recovery

A, B, C = 0, 1, 2


def _worked_case(**changes: object) -> RecoveryInputs:
    """Four neurons, labels A B C, descriptors 0 and 1 meaning A, 2 meaning B, 3 nothing.

    Gold at 0.9: neuron 0 {A, B}, neuron 1 {A, B}, neuron 2 {A, B, C}, neuron 3 {C}.
    """
    contents: dict[str, object] = {
        "test_auroc": np.array(
            [
                [0.95, 0.97, 0.99, 0.40],
                [0.92, 0.91, 0.99, np.nan],
                [0.50, 0.85, 0.99, 0.93],
            ]
        ),
        # Neuron 0 gets A twice, neuron 2 abstains, neuron 3 gets a descriptor without meaning.
        "ranking": Ranking(np.array([[0, 1], [2, 0], [-1, -1], [3, -1]]), np.array([2, 2, 0, 1])),
        "meanings": np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=np.bool_),
        "contained_meanings": np.array(
            [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.bool_
        ),
        "named_meanings": np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=np.bool_),
        "descriptor_sizes": np.array([10, 40, 20, 30]),
        "shuffled_ranking": Ranking(np.array([[2], [0], [0], [0]]), np.array([1, 0, 0, 0])),
        "upper_ranking": Ranking(
            np.array([[A, B], [A, 0], [C, A], [C, 0]]), np.array([2, 1, 2, 1])
        ),
    }
    return RecoveryInputs(**(contents | changes))  # type: ignore[arg-type]


def _figure(figures: list[Figure], variant: str, metric: str, k: int | None) -> Figure:
    found = [f for f in figures if (f.variant, f.metric, f.k) == (variant, metric, k)]
    assert len(found) == 1, (variant, metric, k, len(found))
    return found[0]


@pytest.mark.parametrize(
    ("variant", "metric", "k", "value", "null", "baseline", "n"),
    [
        # One gold label or more: all four neurons; hits 1, 1, 0, 0.
        ("tau=0.9", "P", 1, "1/2", "1/4", "3/4", 4),
        ("tau=0.9", "R", 1, "1/4", "1/8", "1/3", 4),
        ("tau=0.9", "R_ceiling", 1, "7/12", None, None, 4),
        ("tau=0.9", "gold_labels", 1, "2", None, None, 4),
        # Two gold labels or more: neurons 0, 1, 2; hits 1 (A twice counts once), 2, 0.
        ("tau=0.9", "P", 2, "1/2", "1/6", "1/2", 3),
        ("tau=0.9", "R", 2, "1/2", "1/6", "4/9", 3),
        ("tau=0.9", "R_ceiling", 2, "8/9", None, None, 3),
        ("tau=0.9", "gold_labels", 2, "7/3", None, None, 3),
        # Described neurons among them; the null describes neuron 0 only.
        ("tau=0.9 described", "P", 2, "3/4", "1/2", "1/2", 2),
        ("tau=0.9 described", "R", 2, "3/4", "1/2", "1/2", 2),
        ("tau=0.9 described", "R_ceiling", 2, "1", None, None, 2),
        ("tau=0.9 described", "coverage", 2, "2/3", "1/3", None, 3),
        ("tau=0.9 described", "P", 1, "2/3", "1", "2/3", 3),
        ("tau=0.9 described", "coverage", 1, "3/4", "1/4", None, 4),
        # In the second reading descriptor 3 means C, right for neuron 3 and, as baseline, neuron 2.
        ("tau=0.9 contained", "P", 1, "3/4", "1/4", "3/4", 4),
        ("tau=0.9 contained", "R", 1, "1/2", "1/8", "1/3", 4),
        ("tau=0.9 contained", "P", 2, "1/2", "1/6", "2/3", 3),
        ("tau=0.9 contained", "R", 2, "1/2", "1/6", "5/9", 3),
        # One draw of four finds A with 1/2, B with 1/4; two draws with 5/6 and 1/2.
        ("tau=0.9 random_descriptors", "P", 1, "9/16", None, None, 4),
        ("tau=0.9 random_descriptors", "R", 1, "1/4", None, None, 4),
        ("tau=0.9 random_descriptors", "P", 2, "2/3", None, None, 3),
        ("tau=0.9 random_descriptors", "R", 2, "16/27", None, None, 3),
        # Hits 2, 1, 2 of 2, 2, 3 gold labels.
        ("tau=0.9 upper_bound", "P", 2, "5/6", None, None, 3),
        ("tau=0.9 upper_bound", "R", 2, "13/18", None, None, 3),
        # Found at all: neurons 0 and 1.
        ("tau=0.9", "Success", 1, "1/2", "1/4", "3/4", 4),
        ("tau=0.9", "Success", 2, "2/3", "1/3", "1", 3),
        # Of the neurons with a gold label: A at rank 1 of {A, B}, B and A, nothing, nothing.
        ("tau=0.9", "MAP", None, "3/8", "1/8", "1/3", 4),
        # Descriptor 0 means A and does not say it: neuron 0 finds A at rank 2, neuron 1 only B.
        ("tau=0.9 named", "P", 1, "1/4", "1/4", "3/4", 4),
        ("tau=0.9 named", "P", 2, "1/3", "1/6", "1/2", 3),
        ("tau=0.9 named", "R", 2, "1/3", "1/6", "4/9", 3),
        # At 0.8 neuron 1 has C too, which lowers its recall to 2/3.
        ("tau=0.8", "R", 2, "7/18", "1/6", "7/18", 3),
        ("tau=0.8", "gold_labels", 2, "8/3", None, None, 3),
        ("every_neuron", "described", None, "3/4", "1/4", None, 4),
    ],
)
def test_worked_case(
    variant: str,
    metric: str,
    k: int | None,
    value: str,
    null: str | None,
    baseline: str | None,
    n: int,
) -> None:
    figure = _figure(label_recovery(_worked_case(), seed=0), variant, metric, k)
    assert figure.value == pytest.approx(float(Fraction(value)))
    assert figure.null == (None if null is None else pytest.approx(float(Fraction(null))))
    assert figure.baseline == (
        None if baseline is None else pytest.approx(float(Fraction(baseline)))
    )
    assert figure.n == n
    assert (figure.protocol, figure.split, figure.facet) == ("label_recovery", "test", "")
    assert figure.ci_low is not None
    assert figure.ci_high is not None
    assert figure.ci_low <= figure.value <= figure.ci_high


def test_the_discounted_gain_by_hand() -> None:
    """Neurons 0 and 1 have hits at rank 1 and at both ranks, of two gold labels; neuron 2 none."""
    figure = _figure(label_recovery(_worked_case(), seed=0), "tau=0.9", "nDCG", 2)
    second = 1 / np.log2(3)
    assert figure.value == pytest.approx((1 / (1 + second) + 1) / 3)
    assert figure.null == pytest.approx(1 / (1 + second) / 3)


def test_the_brief_figures_are_some_of_all_figures() -> None:
    inputs = _worked_case()
    brief = brief_recovery(inputs, ks=(1, 2), taus=(0.8, 0.9), seed=3)
    every = label_recovery(inputs, ks=(1, 2), taus=(0.8, 0.9), seed=3)
    assert all(figure in every for figure in brief)
    assert {(each.variant, each.metric, each.k) for each in brief} == {
        ("every_neuron", "described", None),
        *(
            (f"tau={tau}{reading}", metric, k)
            for tau in ("0.8", "0.9")
            for reading in ("", " upper_bound")
            for metric in ("P", "R")
            for k in (1, 2)
        ),
    }


def test_some_of_the_neurons_are_judged_as_if_they_were_all() -> None:
    some = _worked_case().take(np.array([1, 3]))
    figure = _figure(label_recovery(some, seed=0), "tau=0.9", "P", 1)
    assert (figure.value, figure.null, figure.baseline, figure.n) == (0.5, 0.0, 0.5, 2)
    upper = _figure(label_recovery(some, seed=0), "tau=0.9 upper_bound", "R", 1)
    assert upper.value == (1 / 2 + 1) / 2


def test_no_qualifying_neuron_is_undefined_and_not_zero() -> None:
    figures = [f for f in label_recovery(_worked_case(), seed=0) if f.k == 5]
    readings = ("", " described", " contained", " named", " random_descriptors", " upper_bound")
    assert {f.variant for f in figures} == {
        f"tau={tau}{variant}" for tau in ("0.8", "0.9", "0.95") for variant in readings
    }
    for figure in figures:
        numbers = (figure.value, figure.ci_low, figure.ci_high, figure.null, figure.baseline)
        assert numbers == (None, None, None, None, None)
        assert figure.n == 0


def test_one_qualifying_neuron_has_no_interval() -> None:
    figure = _figure(label_recovery(_worked_case(), ks=(3,), seed=0), "tau=0.9", "P", 3)
    assert (figure.value, figure.n, figure.ci_low, figure.ci_high) == (0.0, 1, None, None)


def test_optional_rankings_left_out() -> None:
    inputs = _worked_case(
        shuffled_ranking=None, upper_ranking=None, named_meanings=None, facet="theme"
    )
    figures = label_recovery(inputs, seed=0)
    assert all(figure.null is None for figure in figures)
    assert not any("upper_bound" in figure.variant for figure in figures)
    assert not any("named" in figure.variant for figure in figures)
    assert {figure.facet for figure in figures} == {"theme"}
    assert _figure(figures, "tau=0.9", "P", 1).baseline == 0.75


def test_everything_abstains_with_an_empty_catalog() -> None:
    nothing = Ranking(np.zeros((4, 0), dtype=np.int64), np.zeros(4, dtype=np.int64))
    inputs = _worked_case(
        ranking=nothing,
        shuffled_ranking=nothing,
        meanings=np.zeros((0, 3), dtype=np.bool_),
        contained_meanings=np.zeros((0, 3), dtype=np.bool_),
        named_meanings=np.zeros((0, 3), dtype=np.bool_),
        descriptor_sizes=np.zeros(0, dtype=np.int64),
    )
    figures = label_recovery(inputs, seed=0)
    for variant in ("tau=0.9", "tau=0.9 contained", "tau=0.9 random_descriptors"):
        assert _figure(figures, variant, "P", 2).value == 0.0
    assert _figure(figures, "tau=0.9 described", "P", 2).value is None
    assert _figure(figures, "tau=0.9 described", "coverage", 2).value == 0.0


def test_ties_in_size_go_to_the_first_descriptor() -> None:
    inputs = _worked_case(descriptor_sizes=np.array([5, 1, 5, 1]))
    figure = _figure(label_recovery(inputs, seed=0), "tau=0.9", "R", 1)
    # Descriptor 0 means A: found for neurons 0, 1, 2.
    assert figure.baseline == pytest.approx((1 / 2 + 1 / 2 + 1 / 3) / 4)


@st.composite
def _inputs(draw: st.DrawFn) -> RecoveryInputs:
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_neurons, n_labels, n_descriptors = 12, 4, draw(st.integers(1, 6))
    meanings = np.zeros((n_descriptors, n_labels), dtype=np.bool_)
    labels = generator.integers(-1, n_labels, size=n_descriptors)
    meanings[np.flatnonzero(labels >= 0), labels[labels >= 0]] = True

    def ranking(n_known: int) -> Ranking:
        rows = [generator.permutation(n_known) for _ in range(n_neurons)]
        return Ranking(np.array(rows), generator.integers(n_known + 1, size=n_neurons))

    test_auroc = generator.random((n_labels, n_neurons)) * 0.5 + 0.5
    best_first = np.argsort(-test_auroc, axis=0).T
    return RecoveryInputs(
        test_auroc=test_auroc,
        ranking=ranking(n_descriptors),
        meanings=meanings,
        contained_meanings=meanings | (generator.random(meanings.shape) < 0.3),
        named_meanings=meanings & (generator.random(meanings.shape) < 0.5),
        descriptor_sizes=generator.integers(5, size=n_descriptors),
        shuffled_ranking=ranking(n_descriptors),
        upper_ranking=Ranking(best_first, np.full(n_neurons, n_labels)),
    )


@given(_inputs())
@settings(max_examples=25, deadline=None)
def test_bounds_and_a_perfect_upper_bound(inputs: RecoveryInputs) -> None:
    figures = label_recovery(inputs, seed=1, ks=(1, 2, 5), taus=(0.7,))
    for figure in figures:
        if figure.metric == "gold_labels":
            continue
        for number in (figure.value, figure.ci_low, figure.ci_high, figure.null, figure.baseline):
            assert number is None or 0.0 <= number <= 1.0
    for k in (1, 2):
        if _figure(figures, "tau=0.7", "P", k).n == 0:
            continue
        ceiling = _figure(figures, "tau=0.7", "R_ceiling", k).value
        assert ceiling is not None
        # Labels ranked by their test AUROC put all gold labels first.
        assert _figure(figures, "tau=0.7 upper_bound", "P", k).value == 1.0
        assert _figure(figures, "tau=0.7 upper_bound", "R", k).value == ceiling
        for variant in ("tau=0.7", "tau=0.7 contained", "tau=0.7 random_descriptors"):
            recall = _figure(figures, variant, "R", k).value
            assert recall is not None
            assert recall <= ceiling + 1e-12
        for metric in ("P", "R"):
            named = _figure(figures, "tau=0.7 named", metric, k).value
            headline = _figure(figures, "tau=0.7", metric, k).value
            assert named is not None
            assert headline is not None
            assert named <= headline


@given(_inputs(), st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_the_order_of_neurons_changes_nothing(inputs: RecoveryInputs, random: object) -> None:
    order = np.arange(12)
    random.shuffle(order)  # type: ignore[attr-defined]
    assert inputs.shuffled_ranking is not None
    assert inputs.upper_ranking is not None
    permuted = RecoveryInputs(
        test_auroc=inputs.test_auroc[:, order],
        ranking=inputs.ranking.take(order),
        meanings=inputs.meanings,
        contained_meanings=inputs.contained_meanings,
        named_meanings=inputs.named_meanings,
        descriptor_sizes=inputs.descriptor_sizes,
        shuffled_ranking=inputs.shuffled_ranking.take(order),
        upper_ranking=inputs.upper_ranking.take(order),
    )
    before = label_recovery(inputs, seed=1, taus=(0.7,))
    assert label_recovery(permuted, seed=1, taus=(0.7,)) == before


@given(_inputs())
@settings(max_examples=15, deadline=None)
def test_random_descriptors_are_the_mean_over_all_draws(inputs: RecoveryInputs) -> None:
    k = min(2, inputs.descriptor_sizes.size)
    figure = _figure(
        label_recovery(inputs, seed=1, ks=(k,), taus=(0.7,)), "tau=0.7 random_descriptors", "P", k
    )
    gold = (inputs.test_auroc >= 0.7).T
    qualifying = gold[gold.sum(axis=1) >= k]
    shares = [
        (inputs.meanings[list(drawn)].any(axis=0) & row).sum() / k
        for row in qualifying
        for drawn in combinations(range(inputs.descriptor_sizes.size), k)
    ]
    assert figure.value == (pytest.approx(np.mean(shares)) if shares else None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"meanings": np.ones((4, 3), dtype=np.bool_)}, "means several labels"),
        ({"meanings": np.zeros((3, 3), dtype=np.bool_)}, "meanings have shape"),
        ({"contained_meanings": np.zeros((4, 2), dtype=np.bool_)}, "contained_meanings have"),
        ({"named_meanings": np.zeros((4, 2), dtype=np.bool_)}, "named_meanings have shape"),
        ({"named_meanings": np.eye(4, 3, dtype=np.bool_)}, "a label that it does not mean"),
        ({"test_auroc": np.zeros(3)}, "expected 2 dimensions"),
        ({"ranking": Ranking(np.zeros((3, 1), dtype=np.int64), np.ones(3, np.int64))}, "covers 3"),
        ({"upper_ranking": Ranking(np.full((4, 1), 3), np.ones(4, np.int64))}, "beyond the 3"),
        ({"shuffled_ranking": Ranking(np.full((4, 1), 4), np.ones(4, np.int64))}, "beyond the 4"),
    ],
)
def test_inputs_that_do_not_fit(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _worked_case(**changes)


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match="expected k >= 1"):
        label_recovery(_worked_case(), ks=(0,), seed=0)
    with pytest.raises(ValueError, match="tau in"):
        label_recovery(_worked_case(), taus=(1.5,), seed=0)
