import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, roc_curve

from eval.yes_no import balanced_accuracy, best_threshold

BoolArray = NDArray[np.bool_]


def items(n_items: int) -> st.SearchStrategy[tuple[list[float], list[bool]]]:
    """Scores with many ties, and which of the items are so: at least one of each."""
    scores = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75]), min_size=n_items, max_size=n_items)
    truth = st.lists(st.booleans(), min_size=n_items, max_size=n_items)
    return st.tuples(scores, truth.filter(lambda all_of: any(all_of) and not all(all_of)))


def test_threshold_worked_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.7, 0.1])
    truth = np.array([True, False, True, True, False])
    # Yes from 0.7 on: all three are found, and one of two is a false alarm, 1 - 0.5.
    # Yes from 0.9 on: one of three, and no false alarm, 1/3.
    assert best_threshold(scores, truth) == 0.7


def test_the_highest_of_equally_good_thresholds_is_chosen() -> None:
    scores = np.array([0.9, 0.5, 0.4, 0.1])
    truth = np.array([True, False, True, False])
    # From 0.9 on: 1/2 - 0. From 0.4 on: 1 - 1/2.
    assert best_threshold(scores, truth) == 0.9


@pytest.mark.parametrize("scores", [[0.5] * 4, [0.1, 0.2, 0.8, 0.9]], ids=["tied", "upside down"])
def test_a_judge_that_tells_nothing_says_no_to_everything(scores: list[float]) -> None:
    truth = np.array([True, True, False, False])
    assert best_threshold(np.array(scores), truth) == math.inf


@given(items(7))
def test_no_threshold_is_better(drawn: tuple[list[float], list[bool]]) -> None:
    scores, truth = np.array(drawn[0]), np.array(drawn[1])
    chosen = balanced_accuracy(scores >= best_threshold(scores, truth), truth)
    false_rate, true_rate, _ = roc_curve(truth, scores, drop_intermediate=False)
    assert chosen == pytest.approx(((true_rate + 1.0 - false_rate) / 2.0).max())


@given(items(7), st.lists(st.booleans(), min_size=7, max_size=7))
def test_balanced_accuracy_is_that_of_scikit_learn(
    drawn: tuple[list[float], list[bool]], said: list[bool]
) -> None:
    truth: Any = np.array(drawn[1])
    expected = balanced_accuracy_score(truth, said)
    assert balanced_accuracy(np.array(said), truth) == pytest.approx(expected)


@pytest.mark.parametrize("truth", [[True, True], [False, False]])
def test_one_class_is_refused(truth: list[bool]) -> None:
    with pytest.raises(ValueError, match="of 2 items are so, expected some and not all"):
        best_threshold(np.array([0.1, 0.2]), np.array(truth))
    with pytest.raises(ValueError, match="expected some and not all"):
        balanced_accuracy(np.array([True, False]), np.array(truth))
