from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.optimize import lsq_linear
from scipy.sparse import csr_matrix
from sklearn.linear_model import orthogonal_mp
from sklearn.metrics import explained_variance_score

from indexer.arrays import BoolArray, DoubleArray, IntArray
from neurons import joint
from neurons.joint import (
    Combination,
    JointExplanation,
    JointSettings,
    JointSplit,
    joint_explanations,
    pursue,
)
from neurons.records import Tail
from neurons.split_rows import SplitRows

N_SENTENCES = 1200
N_SETS = 15
EAGER = JointSettings(maximum_descriptors=60, minimum_rise=0.0, standard_errors=0.0)
"""Adds whatever lowers the residual at all."""

SMALL_SETS = arrays(np.bool_, (5, 12)).filter(
    lambda sets: bool((sets.any(axis=1) & ~sets.all(axis=1)).all())
)
SMALL_ACTIVATION = arrays(np.float64, 12, elements=st.integers(-8, 8).map(float))


def split_of(activation: DoubleArray, sets: BoolArray) -> JointSplit:
    return JointSplit(activation, csr_matrix(sets.astype(np.float64)), np.arange(len(activation)))


def centred(values: NDArray[np.generic]) -> DoubleArray:
    numbers = values.astype(np.float64)
    return np.asarray(numbers - numbers.mean(axis=-1, keepdims=True))


def squared_error(activation: DoubleArray, sets: BoolArray) -> float:
    """The least any non-negative combination of all `sets` leaves, by another solver."""
    found = lsq_linear(centred(sets).T, centred(activation), bounds=(0.0, np.inf), method="bvls")
    return float(2.0 * found.cost)


def splits_of(n_sentences: int = N_SENTENCES) -> SplitRows:
    half, three_quarters = n_sentences // 2, n_sentences * 3 // 4
    order = np.random.default_rng(9).permutation(n_sentences)
    discover, validation, test = np.split(order, [half, three_quarters])
    return SplitRows(discover, validation, test, documents=np.arange(n_sentences))


def random_sets(seed: int = 0) -> BoolArray:
    generator = np.random.default_rng(seed)
    shares = generator.uniform(0.08, 0.25, size=(N_SETS, 1))
    return np.asarray(generator.random((N_SETS, N_SENTENCES)) < shares)


def noise(n_units: int, seed: int = 1) -> DoubleArray:
    return np.random.default_rng(seed).normal(size=(N_SENTENCES, n_units))


def explain(
    activations: DoubleArray,
    sets: BoolArray,
    given_settings: JointSettings | None = None,
    rows: SplitRows | None = None,
    seed: int = 0,
) -> tuple[JointExplanation, ...]:
    chosen = given_settings or JointSettings(shuffles=0)
    return joint_explanations(
        activations, csr_matrix(sets * 0.5), rows or splits_of(), chosen, seed
    )


def test_worked_by_hand() -> None:
    # Disjoint pairs of 8 sentences: centred, the first has length 1.5 and product with the
    # activation 2 * (4 - 1.5) = 5; after the refit both members are met exactly.
    activation = np.array([4.0, 4.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0])
    sets = np.array([[0, 0, 1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0]], bool)
    split = split_of(activation, sets)
    first, second = pursue(split, split, EAGER)
    assert first.sets == (1,)
    # Members have mean 4, the other six 4 / 6.
    np.testing.assert_allclose(first.weights, [4.0 - 4.0 / 6.0])
    # Var = 5 - 1.5^2 = 2.75; left are (2, 2, 0, 0, 0, 0) around 2/3: 8 - 6 * 4/9 = 16/3, over 8.
    assert split.explained_variance(first) == pytest.approx(1.0 - (16.0 / 3.0 / 8.0) / 2.75)
    assert second.sets == (1, 0)
    np.testing.assert_allclose(second.weights, [4.0, 2.0])
    assert split.explained_variance(second) == pytest.approx(1.0)
    assert split.explained_variance(Combination()) == 0.0


@pytest.mark.parametrize("stranger", [0.0, -1.0])
def test_a_set_that_others_replace_is_dropped(stranger: float) -> None:
    # The union with a stranger fits best alone; with both halves it has no use, or a negative one.
    activation = np.array([3.0] * 8 + [stranger] + [0.0] * 11)
    sets = np.zeros((3, 20), bool)
    sets[0, :9] = True
    sets[1, :4] = True
    sets[2, 4:8] = True
    split = split_of(activation, sets)
    path = pursue(split, split, EAGER)
    assert [set(found.sets) for found in path] == [{0}, {0, 1}, {1, 2}]
    np.testing.assert_allclose(path[-1].weights, 3.0 - stranger / 12.0)


@given(activation=SMALL_ACTIVATION, sets=SMALL_SETS)
@settings(max_examples=150, deadline=None)
def test_pursued_to_the_end_it_is_the_non_negative_optimum(
    activation: DoubleArray, sets: BoolArray
) -> None:
    split = split_of(activation, sets)
    path = pursue(split, split, EAGER)
    last = path[-1] if path else Combination()
    assert (split.residual(last) ** 2).sum() == pytest.approx(
        squared_error(activation, sets), abs=1e-7
    )


@given(activation=SMALL_ACTIVATION, sets=SMALL_SETS)
@settings(max_examples=150, deadline=None)
def test_every_step_is_the_best_fit_of_its_sets(activation: DoubleArray, sets: BoolArray) -> None:
    split = split_of(activation, sets)
    path = pursue(split, split, EAGER)
    errors = [(split.residual(found) ** 2).sum() for found in (Combination(), *path)]
    assert all(after < before for before, after in pairwise(errors))
    for found, error in zip(path, errors[1:], strict=True):
        assert all(weight > 0.0 for weight in found.weights)
        assert len(set(found.sets)) == len(found.sets)
        assert error == pytest.approx(squared_error(activation, sets[list(found.sets)]), abs=1e-7)


@given(activation=SMALL_ACTIVATION, sets=SMALL_SETS)
@settings(max_examples=80, deadline=None)
def test_the_first_step_is_the_best_single_set(activation: DoubleArray, sets: BoolArray) -> None:
    split = split_of(activation, sets)
    alone = [squared_error(activation, sets[[number]]) for number in range(len(sets))]
    path = pursue(split, split, EAGER)
    if path:
        assert alone[path[0].sets[0]] == pytest.approx(min(alone))
    else:
        assert min(alone) == pytest.approx((centred(activation) ** 2).sum())


@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_the_best_of_all_subsets(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sets = generator.random((8, 300)) < 0.2
    activation = generator.normal(size=300) + sets[[1, 4, 6]].T @ np.array([3.0, 2.0, 1.5])
    split = split_of(activation, sets)
    for n_taken, found in enumerate(pursue(split, split, EAGER)[:3], start=1):
        best = min(
            combinations(range(8), n_taken),
            key=lambda numbers: squared_error(activation, sets[list(numbers)]),
        )
        assert sorted(found.sets) == list(best)


@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_orthogonal_matching_pursuit_of_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sets = generator.random((10, 400)) < 0.25
    activation = generator.normal(size=400) + sets[:4].T @ np.array([4.0, 3.0, 2.0, 1.5])
    columns = centred(sets).T
    lengths = np.linalg.norm(columns, axis=0)
    split = split_of(activation, sets)
    path = pursue(split, split, replace_settings(EAGER, maximum_descriptors=4))
    assert len(path) == 4
    for n_taken, found in enumerate(path, start=1):
        expected = orthogonal_mp(columns / lengths, centred(activation), n_nonzero_coefs=n_taken)
        weights = np.zeros(10)
        weights[list(found.sets)] = found.weights
        np.testing.assert_allclose(weights, expected / lengths, atol=1e-9)


def replace_settings(base: JointSettings, **changes: float) -> JointSettings:
    return JointSettings.model_validate(base.model_dump() | changes)


def test_a_set_that_only_discover_confirms_is_refused() -> None:
    sets = np.zeros((2, 40), bool)
    sets[0, :10] = True
    sets[1, 10:20] = True
    both = sets.T @ np.array([3.0, 2.0])
    only_first = sets.T @ np.array([3.0, 0.0])
    discover = split_of(both, sets)
    assert [found.sets for found in pursue(discover, split_of(both, sets), EAGER)] == [(0,), (0, 1)]
    assert [found.sets for found in pursue(discover, split_of(only_first, sets), EAGER)] == [(0,)]
    assert pursue(discover, split_of(-both, sets), EAGER) == []


def test_a_rise_below_the_minimum_is_refused() -> None:
    sets = np.zeros((2, 40), bool)
    sets[0, :10] = True
    sets[1, 10:20] = True
    split = split_of(sets.T @ np.array([3.0, 1.0]), sets)
    first, second = pursue(split, split, EAGER)
    rise = split.explained_variance(second) - split.explained_variance(first)
    enough = replace_settings(EAGER, minimum_rise=rise - 1e-9)
    too_much = replace_settings(EAGER, minimum_rise=rise + 1e-9)
    assert pursue(split, split, enough) == [first, second]
    assert pursue(split, split, too_much) == [first]


def test_the_standard_error_is_that_of_a_sum_over_documents() -> None:
    generator = np.random.default_rng(3)
    sets = generator.random((1, 60)) < 0.4
    activation = generator.normal(size=60) + sets[0]
    documents = np.arange(60) // 4
    split = replace(split_of(activation, sets), documents=documents)
    (found,) = pursue(split, split, EAGER)
    gains = (centred(activation) ** 2 - split.residual(found) ** 2) / (60 * activation.var())
    totals = gains.reshape(15, 4).sum(axis=1)
    ratio = totals.sum() / np.sqrt(15 * totals.var(ddof=1))
    assert ratio > 0.0
    below = replace_settings(EAGER, standard_errors=ratio * (1.0 - 1e-9))
    above = replace_settings(EAGER, standard_errors=ratio * (1.0 + 1e-9))
    assert pursue(split, split, below) == [found]
    assert pursue(split, split, above) == []


@pytest.mark.parametrize("n_members", [0, 40])
def test_a_set_of_nothing_or_of_everything_is_refused(n_members: int) -> None:
    sets = np.zeros((2, 40), bool)
    sets[0, :10] = True
    sets[1, :n_members] = True
    split = split_of(sets[0] * 3.0, sets)
    with pytest.raises(ValueError, match=f"set 1 has {n_members} members of 40, expected 1 to 39"):
        pursue(split, split, EAGER)


def test_a_constant_split_has_no_explained_variance() -> None:
    # The mean of 0.1 forty times is not 0.1, so its variance is not 0 in floating point.
    sets = np.arange(40)[np.newaxis, :] < 10
    constant = split_of(np.full(40, 0.1), sets)
    assert pursue(constant, split_of(sets[0] * 3.0, sets), EAGER) == []
    assert pursue(split_of(sets[0] * 3.0, sets), constant, EAGER) == []
    assert np.isnan(constant.explained_variance(Combination()))


def test_one_document_confirms_nothing() -> None:
    sets = np.arange(40)[np.newaxis, :] < 10
    split = split_of(sets[0] * 3.0, sets)
    one = replace(split, documents=np.zeros(40, np.int64))
    assert pursue(split, one, EAGER) == []
    assert len(pursue(split, split, EAGER)) == 1


def test_planted_sums_are_recovered_exactly() -> None:
    sets = random_sets()
    activations = noise(8)
    for unit in range(8):
        activations[:, unit] += 2.0 * sets[unit] + 1.2 * sets[unit + 5]
    for found in explain(activations, sets):
        if found.tail is Tail.POSITIVE:
            assert set(found.combination.sets) == {found.unit, found.unit + 5}
            assert len(found.steps) == 2
            assert 0.1 < found.steps[0].test < found.steps[1].test < 0.8


def test_weights_are_in_standard_deviations_of_discover() -> None:
    sets = random_sets()
    activations = 10.0 + 0.01 * noise(1) + 3.0 * sets[[2]].T + 2.0 * sets[[6]].T
    found = explain(activations, sets)[0]
    assert found.combination.sets == (2, 6)
    deviation = activations[splits_of().discover, 0].std()
    np.testing.assert_allclose(found.combination.weights, [3.0 / deviation, 2.0 / deviation], 1e-2)


def test_each_tail_gets_its_own_descriptors() -> None:
    sets = random_sets()
    activations = noise(1) + 2.0 * sets[[2]].T + 1.5 * sets[[3]].T - 2.0 * sets[[8]].T
    positive, negative = explain(activations, sets)
    assert (positive.tail, negative.tail) == (Tail.POSITIVE, Tail.NEGATIVE)
    assert set(positive.combination.sets) == {2, 3}
    assert set(negative.combination.sets) == {8}
    assert min(positive.combination.weights + negative.combination.weights) > 0.0


def test_noise_is_not_explained() -> None:
    found = explain(noise(60), random_sets())
    described = [each for each in found if each.steps]
    assert len(described) <= 3
    assert all(each.explained_variance == 0.0 for each in found if not each.steps)


def test_the_maximum_is_kept() -> None:
    sets = random_sets()
    activations = 0.1 * noise(1) + sets[:6].T.sum(axis=1, keepdims=True)
    for maximum in (1, 3, 10):
        limited = JointSettings(maximum_descriptors=maximum, shuffles=0)
        assert len(explain(activations, sets, limited)[0].combination.sets) == min(maximum, 6)


def test_explained_variance_is_that_of_scikit_learn() -> None:
    sets = random_sets()
    activations = noise(1) + 2.0 * sets[[2]].T + 1.5 * sets[[3]].T
    rows = splits_of()
    deviation = activations[rows.discover, 0].std()
    steps = explain(activations, sets)[0].steps
    assert len(steps) == 2
    for step in steps:
        prediction = sets[list(step.combination.sets)].T @ np.array(step.combination.weights)
        for own, found in (
            (rows.discover, step.discover),
            (rows.validation, step.validation),
            (rows.test, step.test),
        ):
            expected = explained_variance_score(activations[own, 0] / deviation, prediction[own])
            assert found == pytest.approx(expected)


def test_the_choice_never_looks_at_test_rows() -> None:
    sets = random_sets()
    activations = noise(4) + 1.5 * sets[:4].T + 1.0 * sets[4:8].T
    rows = splits_of()
    before = explain(activations, sets)
    changed_sets, changed = sets.copy(), activations.copy()
    changed[rows.test] = 1e6 * noise(4, seed=7)[rows.test]
    changed_sets[:, rows.test] = False
    after = explain(changed, changed_sets)
    assert [[step.combination for step in each.steps] for each in after] == [
        [step.combination for step in each.steps] for each in before
    ]
    for old, new in zip(before, after, strict=True):
        for step, other in zip(old.steps, new.steps, strict=True):
            assert (step.discover, step.validation) == (other.discover, other.validation)
            assert other.test == 0.0 < step.test


def test_fitting_never_looks_at_validation_rows() -> None:
    sets = random_sets()
    activations = noise(1) + 2.0 * sets[[2]].T + 1.5 * sets[[3]].T
    rows = splits_of()
    changed = activations.copy()
    changed[rows.validation] = 2.0 * changed[rows.validation] + 5.0
    before, after = explain(activations, sets)[0], explain(changed, sets)[0]
    assert before.combination == after.combination != Combination()
    assert before.steps[-1].validation != after.steps[-1].validation


def test_negation_swaps_the_tails_and_scale_and_place_do_not_count() -> None:
    sets = random_sets()
    activations = (noise(3) + 2.0 * sets[:3].T - 1.5 * sets[3:6].T).round(3)
    few = JointSettings(shuffles=2)
    original = explain(activations, sets, few)
    swapped = explain(-4.0 * activations, sets, few)
    for unit in range(3):
        positive, negative = original[2 * unit : 2 * unit + 2]
        other_positive, other_negative = swapped[2 * unit : 2 * unit + 2]
        assert positive.steps
        assert negative.steps
        assert positive.steps == other_negative.steps
        assert negative.steps == other_positive.steps
        assert (positive.null, negative.null) == (other_negative.null, other_positive.null)
    moved = explain(activations + 100.0, sets, few)
    for one, other in zip(original, moved, strict=True):
        assert one.combination.sets == other.combination.sets
        assert one.explained_variance == pytest.approx(other.explained_variance)


def test_units_can_be_explained_one_by_one() -> None:
    sets = random_sets()
    activations = noise(3) + 2.0 * sets[:3].T
    few = replace_settings(EAGER, maximum_descriptors=2, shuffles=3)
    together = explain(activations, sets, few)
    for unit in range(3):
        alone = explain(activations[:, [unit]], sets, few)
        assert (
            tuple(replace(each, unit=unit) for each in alone) == together[2 * unit : 2 * unit + 2]
        )


def test_the_null_is_the_procedure_on_shuffled_memberships(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def backwards(documents: IntArray, _generator: np.random.Generator) -> IntArray:
        return np.arange(len(documents))[::-1]

    monkeypatch.setattr(joint, "permuted_rows", backwards)
    sets, rows = random_sets(), splits_of()
    activations = noise(3) + 2.0 * sets[:3].T
    once = replace_settings(EAGER, maximum_descriptors=2, shuffles=1)
    shuffled = sets.copy()
    for own in (rows.discover, rows.validation, rows.test):
        shuffled[:, own] = sets[:, own[::-1]]
    expected = [each.explained_variance for each in explain(activations, shuffled, once)]
    assert any(expected)
    for found, value in zip(explain(activations, sets, once), expected, strict=True):
        assert found.null == pytest.approx((value,))


def test_a_planted_neuron_is_far_above_its_null() -> None:
    sets = random_sets()
    activations = noise(1) + 2.0 * sets[[2]].T + 1.5 * sets[[3]].T
    eager = replace_settings(EAGER, maximum_descriptors=3, shuffles=30)
    found = explain(activations, sets, eager)[0]
    assert len(found.null) == 30
    assert any(found.null)
    assert max(found.null) < 0.05 < 0.3 < found.explained_variance
    # A fit to noise predicts other noise worse than its mean does.
    assert np.mean(found.null) < 0.0


def test_the_seed_decides_the_shuffles() -> None:
    sets, activations = random_sets(), noise(1)
    eager = replace_settings(EAGER, shuffles=30)
    first = explain(activations, sets, eager, seed=1)[0]
    assert first == explain(activations, sets, eager, seed=1)[0]
    other = explain(activations, sets, eager, seed=2)[0]
    assert first.steps == other.steps
    assert first.null != other.null
    assert len(set(first.null)) > 1


def test_the_null_moves_whole_documents() -> None:
    documents = np.arange(N_SENTENCES) // 100
    generator = np.random.default_rng(5)
    of_document = generator.normal(size=(12, 1))
    sets = (np.arange(12) % 2 == 0)[documents][np.newaxis, :]
    blocks = np.split(np.arange(N_SENTENCES), 3)
    rows = SplitRows(blocks[0], blocks[1], blocks[2], documents=documents)
    eager = replace_settings(EAGER, shuffles=20)
    by_document = explain(of_document[documents], sets, eager, rows)[0].null
    loose = replace(rows, documents=np.arange(N_SENTENCES))
    by_sentence = explain(of_document[documents], sets, eager, loose)[0].null
    # Torn apart, 400 sentences would agree with nothing; four documents often do by chance.
    assert np.abs(by_sentence).max() < 0.05 < 0.2 < np.abs(by_document).max()


@pytest.mark.parametrize("complement", [False, True], ids=["members", "others"])
@pytest.mark.parametrize(
    ("in_discover", "in_validation", "judged"),
    [(5, 2, True), (4, 2, False), (5, 1, False)],
    ids=["enough", "few on discover", "few on validation"],
)
def test_sets_that_are_too_small_or_too_large_take_no_part(
    in_discover: int, in_validation: int, judged: bool, complement: bool
) -> None:
    rows = splits_of(90)
    members = np.zeros(90, bool)
    members[rows.discover[:in_discover]] = True
    members[rows.validation[:in_validation]] = True
    sets = np.zeros((3, 90), bool)
    sets[2] = ~members if complement else members
    found = explain(
        sets[2].astype(np.float64)[:, np.newaxis],
        sets,
        JointSettings(standard_errors=0.0, shuffles=0),
        rows,
    )[0]
    assert found.combination.sets == ((2,) if judged else ())


def test_a_constant_neuron_is_not_explained() -> None:
    sets, rows = random_sets(), splits_of()
    activations = np.full((N_SENTENCES, 1), 0.1)
    activations[rows.test] = noise(1)[rows.test]
    for found in explain(activations, sets, replace_settings(EAGER, shuffles=2)):
        assert found.steps == ()
        assert found.null == (0.0, 0.0)
        assert found.explained_variance == 0.0


def test_nothing_is_confirmed_by_a_constant_validation_and_told_on_a_constant_test() -> None:
    sets, rows = random_sets(), splits_of()
    activations = noise(1) + 2.0 * sets[[2]].T
    constant = activations.copy()
    constant[rows.validation] = 1.0
    assert explain(constant, sets)[0].steps == ()
    constant = activations.copy()
    constant[rows.test] = 1.0
    assert np.isnan(explain(constant, sets)[0].explained_variance)


def test_without_descriptors_nothing_is_explained() -> None:
    found = explain(noise(2), np.zeros((0, N_SENTENCES), bool))
    assert [each.steps for each in found] == [(), (), (), ()]


def test_scores_do_not_weigh_and_half_precision_is_read() -> None:
    sets = random_sets()
    activations = (noise(1) + 2.0 * sets[[2]].T + 1.5 * sets[[3]].T).astype(np.float16)
    scores = sets * np.random.default_rng(0).random(sets.shape)
    rows, plain = splits_of(), JointSettings(shuffles=0)
    weighed = joint_explanations(activations, csr_matrix(scores), rows, plain, 0)
    assert weighed == joint_explanations(activations, csr_matrix(sets), rows, plain, 0)
    assert set(weighed[0].combination.sets) == {2, 3}


def with_value(value: float, row: int) -> DoubleArray:
    activations = np.arange(9.0)[:, np.newaxis].copy()
    activations[row] = value
    return activations


FIRST, SECOND, THIRD = np.arange(3), np.arange(3, 6), np.arange(6, 9)
NONE = np.empty(0, np.int64)


@pytest.mark.parametrize(
    ("activations", "n_columns", "parts", "n_documents", "message"),
    [
        (np.ones(9), 9, (FIRST, SECOND, THIRD), 9, r"shape \(9,\), expected 2 dimensions"),
        (np.ones((9, 1)), 8, (FIRST, SECOND, THIRD), 9, "covers 8 sentences, activations cover 9"),
        (np.ones((9, 1)), 9, (FIRST, SECOND, THIRD), 7, "covers 9 sentences, documents cover 7"),
        (np.ones((9, 1)), 9, (NONE, SECOND, THIRD), 9, "discover: found no rows"),
        (np.ones((9, 1)), 9, (FIRST, SECOND, NONE), 9, "test: found no rows"),
        (np.ones((9, 1)), 9, (FIRST, SECOND, THIRD + 1), 9, "rows 7 to 9, expected some of 0 to 8"),
        (np.ones((9, 1)), 9, (FIRST - 1, SECOND, THIRD), 9, "rows -1 to 1, expected some of 0"),
        (np.ones((9, 1)), 9, (FIRST, SECOND, SECOND), 9, "together: found 9 rows, 6 different"),
        (np.ones((9, 1)), 9, (FIRST, NONE.astype(int), THIRD), 9, "validation: found no rows"),
        (with_value(np.nan, 4), 9, (FIRST, SECOND, THIRD), 9, "validation has activations that"),
        (with_value(np.inf, 8), 9, (FIRST, SECOND, THIRD), 9, "test has activations that"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    activations: DoubleArray,
    n_columns: int,
    parts: tuple[IntArray, IntArray, IntArray],
    n_documents: int,
    message: str,
) -> None:
    rows = SplitRows(*parts, documents=np.arange(n_documents))
    with pytest.raises(ValueError, match=message):
        joint_explanations(activations, csr_matrix((2, n_columns)), rows, JointSettings(), 0)


def test_rows_of_no_split_may_hold_anything() -> None:
    rows = SplitRows(FIRST, SECOND, THIRD[:2], documents=np.arange(9))
    found = joint_explanations(
        with_value(np.nan, 8), csr_matrix((1, 9)), rows, JointSettings(shuffles=1), 0
    )
    assert len(found) == 2
