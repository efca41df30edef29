"""Thresholds of firing against brute force and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_recall_fscore_support

from eval.firing import Firing, SortedActivations, firing

values = st.lists(st.integers(-3, 3), min_size=2, max_size=30)


def test_a_threshold_worked_by_hand() -> None:
    """Members at 5, 4 and 1, others at 3, 2 and 0: two of two firing beat three of five."""
    unit = SortedActivations.of(np.array([5.0, 4.0, 3.0, 2.0, 1.0, 0.0], dtype=np.float32))
    threshold, f1 = unit.best_threshold(np.array([0, 1, 4]))
    assert threshold == 4.0
    assert f1 == pytest.approx(2 * 2 / (2 + 3))
    assert firing(unit.values, threshold, np.array([0, 1, 4])) == Firing(1.0, 2 / 3, 0.8)


def test_of_equally_good_thresholds_the_highest_is_taken() -> None:
    """One of one, or two of four firing: F1 is 2/3 both times."""
    unit = SortedActivations.of(np.array([9.0, 8.0, 7.0, 6.0]))
    threshold, f1 = unit.best_threshold(np.array([0, 3]))
    assert threshold == 9.0
    assert f1 == pytest.approx(2 / 3)


@given(values=values, data=st.data())
def test_no_threshold_has_a_better_f1(values: list[int], data: st.DataObject) -> None:
    members = np.array(sorted(data.draw(st.sets(st.integers(0, len(values) - 1), min_size=1))))
    column = np.array(values, dtype=np.float32)
    named = np.isin(np.arange(column.size), members)
    threshold, f1 = SortedActivations.of(column).best_threshold(members)
    candidates = [*np.unique(column), np.inf]
    best = max(f1_score(named, column >= each, zero_division=0.0) for each in candidates)
    assert f1 == pytest.approx(best)
    assert f1_score(named, column >= threshold) == pytest.approx(best)


@given(values=values, threshold=st.integers(-4, 4), data=st.data())
def test_firing_as_scikit_learn_has_it(
    values: list[int], threshold: int, data: st.DataObject
) -> None:
    members = np.array(sorted(data.draw(st.sets(st.integers(0, len(values) - 1), min_size=1))))
    column = np.array(values, dtype=np.float32)
    found = firing(column, float(threshold), members)
    expected = precision_recall_fscore_support(
        np.isin(np.arange(column.size), members),
        column >= threshold,
        average="binary",
        zero_division=0.0,
    )
    assert (found.precision, found.recall, found.f1) == pytest.approx(expected[:3])


def test_no_members() -> None:
    nobody = np.empty(0, dtype=np.int64)
    with pytest.raises(ValueError, match="no members"):
        SortedActivations.of(np.zeros(3)).best_threshold(nobody)
    with pytest.raises(ValueError, match="no members"):
        firing(np.zeros(3), 0.0, nobody)
