"""Matchers that see true labels, against scikit-learn and plain means."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.metrics import average_precision_score

from eval.label_matchers import (
    average_precision,
    average_precisions,
    mean_differences,
    probeless,
    signed_probeless,
)
from eval.matcher_task import MatcherTask
from tests.eval.matcher_tasks import every_activation, held, random_task, ranked_lists

Score = Callable[[np.ndarray, np.ndarray], float]


@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 5), st.booleans())
@settings(deadline=None, max_examples=60)
def test_average_precision_is_that_of_scikit_learn(
    seed: int, n_sentences: int, n_distinct: int, half: bool
) -> None:
    generator = np.random.default_rng(seed)
    dtype = np.float16 if half else np.float64
    columns = (generator.integers(-n_distinct, n_distinct + 1, size=(3, n_sentences)) / 4).astype(
        dtype
    )
    labels = generator.random((4, n_sentences)) < 0.4
    labels[0] = False
    labels[1, 0] = True
    found = average_precisions(columns, csr_matrix(labels))
    assert np.isnan(found[0]).all()
    for label, own in enumerate(labels):
        if own.any():
            expected = [average_precision_score(own, values) for values in columns.astype(float)]
            np.testing.assert_allclose(found[label], expected, rtol=1e-12)


def test_no_label_has_any_sentence() -> None:
    columns = np.ones((2, 5), dtype=np.float16)
    assert np.isnan(average_precisions(columns, csr_matrix((3, 5)))).all()


def test_keys_beyond_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    task = random_task(0)
    columns, labels = next(task.columns()), task.selected_membership
    expected = average_precisions(columns, labels)
    monkeypatch.setattr("eval.label_matchers.key_type", lambda _: np.uint64)
    np.testing.assert_array_equal(average_precisions(columns, labels), expected)


@pytest.mark.parametrize("seed", range(4))
def test_mean_differences(seed: int) -> None:
    task = random_task(seed)
    columns, labels = next(task.columns()), task.selected_membership
    found = mean_differences(columns, labels)
    members = labels.toarray() > 0
    for label, own in enumerate(members):
        for unit, values in enumerate(columns.astype(np.float64)):
            if own.any() and not own.all():
                expected = values[own].mean() - values[~own].mean()
                assert found[label, unit] == pytest.approx(expected, abs=1e-12)
            else:
                assert np.isnan(found[label, unit])


def ranked_by(task: MatcherTask, score: Score, sign: float, least: float) -> list[list[int]]:
    """Labels of each neuron by a score of its selected activations and a label's members."""
    members = task.membership.toarray()[:, task.selection] > 0
    lists = []
    for values in every_activation(task)[task.selection].T.astype(np.float64) * sign:
        judged = [
            (label, score(values, own))
            for label, own in enumerate(members)
            if own.any() and not own.all()
        ]
        kept = [pair for pair in judged if pair[1] > least]
        ranked = sorted(kept, key=lambda pair: (-round(pair[1], 12), pair[0]))
        lists.append([label for label, _ in ranked][: task.n_ranks])
    return lists


def difference(values: np.ndarray, own: np.ndarray) -> float:
    return float(values[own].mean() - values[~own].mean())


@pytest.mark.parametrize("seed", range(4))
def test_probeless_ranks_by_the_absolute_difference(seed: int) -> None:
    task = random_task(seed)
    positive, negative = probeless(task)
    expected = ranked_by(task, lambda values, own: abs(difference(values, own)), 1.0, -1.0)
    assert ranked_lists(positive) == ranked_lists(negative) == expected


@pytest.mark.parametrize("seed", range(4))
def test_signed_probeless_ranks_towards_the_tail(seed: int) -> None:
    task = random_task(seed)
    for ranking, sign in zip(signed_probeless(task), (1.0, -1.0), strict=True):
        assert ranked_lists(ranking) == ranked_by(task, difference, sign, 1e-12)


def test_standardised_activations_give_the_same_ranking() -> None:
    """Why there is no z-scored variant: a neuron's scale does not touch the order of its labels."""
    task = random_task(5, np.float64)
    values = every_activation(task)
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    ours = random_task(5, np.float64, activations=held(scaled))
    assert ranked_lists(signed_probeless(task)[0]) == ranked_lists(signed_probeless(ours)[0])


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_ranks_each_tail(seed: int) -> None:
    # The label that all sentences carry has an average precision of 1 for every neuron.
    task = random_task(seed)
    members = task.membership.toarray()[:, task.selection] > 0
    for ranking, sign in zip(average_precision(task), (1.0, -1.0), strict=True):
        for values, own in zip(
            every_activation(task)[task.selection].T.astype(float),
            ranked_lists(ranking),
            strict=True,
        ):
            scores = {
                label: average_precision_score(with_it, sign * values)
                for label, with_it in enumerate(members)
                if with_it.any()
            }
            best = sorted(scores.values(), reverse=True)[: task.n_ranks]
            np.testing.assert_allclose([scores[label] for label in own], best, rtol=1e-12)
