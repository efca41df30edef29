"""Metrics of two sets, of scores against a set, and of two series of numbers.

Each function returns None where its number is undefined and says when that is: an undefined number
is never 0, and never 1. Values must be finite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import BoolArray, DoubleArray

Numbers = NDArray[np.floating[Any]] | NDArray[np.integer[Any]]


def f1(predicted: BoolArray, actual: BoolArray) -> float | None:
    """2 |both| / (|predicted| + |actual|) of two sets given by their members (`n_units`).

    The harmonic mean of precision and recall, 0 where the sets share nothing. Undefined for two
    empty sets. (Rivals: 0 there, as scikit-learn has it, or 1; the mean of the F1 of both classes,
    which depends on what neither set holds.)

    Raises:
        ValueError: shapes differ, or the values are not true or false.
    """
    _check_sets(predicted, actual)
    total = int(predicted.sum()) + int(actual.sum())
    return 2.0 * int((predicted & actual).sum()) / total if total else None


def jaccard(first: BoolArray, second: BoolArray) -> float | None:
    """|both| / |either| of two sets given by their members (`n_units`).

    Undefined for two empty sets. (Rival: 1, since they agree; averaged over neurons, this makes
    agreement out of silence.) Says little without the value it has for unrelated sets.

    Raises:
        ValueError: shapes differ, or the values are not true or false.
    """
    _check_sets(first, second)
    either = int((first | second).sum())
    return int((first & second).sum()) / either if either else None


def auroc(scores: Numbers, relevant: BoolArray) -> float | None:
    """Share of (relevant, other) pairs that the scores order right, a tie counting half.

    (R - n1 (n1 + 1) / 2) / (n1 n0), with R the rank sum of the n1 relevant of all units
    (Mann-Whitney); ranks of tied scores are averaged. Undefined without a relevant unit or without
    another. (Rivals: ties counted as losses, or by order of appearance.)

    Args:
        scores: higher means relevant (`n_units`).
        relevant: which units are (`n_units`).

    Raises:
        ValueError: shapes differ, `relevant` is not true or false, or a score is not finite.
    """
    from scipy.stats import rankdata

    numbers = _checked_scores(scores, relevant)
    n_relevant = int(relevant.sum())
    n_others = relevant.size - n_relevant
    if not n_relevant or not n_others:
        return None
    wins = float(rankdata(numbers)[relevant].sum()) - n_relevant * (n_relevant + 1) / 2.0
    return wins / (n_relevant * n_others)


def auprc(scores: Numbers, relevant: BoolArray) -> float | None:
    """Area under the precision-recall curve as a sum of steps, which is average precision.

    Precision at each threshold, weighted by the recall that the threshold adds; tied scores share
    a threshold. Chance is the share of relevant units, not one half. Undefined without a relevant
    unit; 1 if all are. (Rival: trapezoids between thresholds, which interpolate too favourably;
    ties by order of appearance.)

    Args:
        scores: higher means relevant (`n_units`).
        relevant: which units are (`n_units`).

    Raises:
        ValueError: shapes differ, `relevant` is not true or false, or a score is not finite.
    """
    numbers = _checked_scores(scores, relevant)
    n_relevant = int(relevant.sum())
    if not n_relevant:
        return None
    order = np.argsort(-numbers, kind="stable")
    found, ordered = np.cumsum(relevant[order]), numbers[order]
    last_of_ties = np.append(ordered[1:] != ordered[:-1], True)
    found, taken = found[last_of_ties], np.flatnonzero(last_of_ties) + 1
    return float((np.diff(found, prepend=0) * found / taken).sum()) / n_relevant


def mad(scores: Numbers, relevant: BoolArray) -> float | None:
    """(mean of the relevant - mean of the others) / standard deviation of the others.

    The mean activation difference of CoSy; the standard deviation is the unbiased one, with n0 - 1.
    Undefined without a relevant unit, with fewer than two others, or where all others are alike.
    (Rivals: 0 where they are alike, as the code of CoSy has it; the standard deviation with n0, or
    of both groups together.)

    Args:
        scores: activations (`n_units`).
        relevant: which units are about the concept (`n_units`).

    Raises:
        ValueError: shapes differ, `relevant` is not true or false, or a score is not finite.
    """
    numbers = _checked_scores(scores, relevant)
    own, others = numbers[relevant], numbers[~relevant]
    # Rounding gives equal numbers a standard deviation a hair above 0.
    if not own.size or others.size < 2 or others.min() == others.max():
        return None
    return float((own.mean() - others.mean()) / others.std(ddof=1))


def pearson(first: Numbers, second: Numbers) -> float | None:
    """Pearson's correlation of two series (`n_units`).

    Covariance divided by both standard deviations. Undefined for fewer than two units, or where a
    series is constant. (Rival: 0 for a constant series.)

    Raises:
        ValueError: shapes differ or a value is not finite.
    """
    pair = _checked_pair(first, second)
    if pair.shape[1] < 2 or (pair.min(axis=1) == pair.max(axis=1)).any():
        return None
    centred = pair - pair.mean(axis=1, keepdims=True)
    # Scaled first: squares of very small or very large numbers leave the range of a double.
    centred /= np.abs(centred).max(axis=1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=1)).prod()
    return float(np.clip((centred[0] * centred[1]).sum() / length, -1.0, 1.0))


def spearman(first: Numbers, second: Numbers) -> float | None:
    """Spearman's rank correlation: Pearson's over ranks, tied values sharing their mean rank.

    Undefined for fewer than two units, or where a series is constant. (Rival: 1 - 6 sum d^2 /
    (n^3 - n), which is wrong with ties.)

    Raises:
        ValueError: shapes differ or a value is not finite.
    """
    from scipy.stats import rankdata

    pair = _checked_pair(first, second)
    return pearson(*rankdata(pair, axis=1)) if pair.shape[1] else None


def _check_sets(first: BoolArray, second: BoolArray) -> None:
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"sets have shapes {first.shape} and {second.shape}, expected (n_units,)")
    if first.dtype != np.bool_ or second.dtype != np.bool_:
        raise ValueError(
            f"sets have types {first.dtype} and {second.dtype}, expected true or false for each "
            "unit"
        )


def _checked_scores(scores: Numbers, relevant: BoolArray) -> DoubleArray:
    if scores.ndim != 1 or scores.shape != relevant.shape or relevant.dtype != np.bool_:
        raise ValueError(
            f"scores have shape {scores.shape}, relevant has shape {relevant.shape} and type "
            f"{relevant.dtype}, expected a number and true or false for each unit"
        )
    return _finite(scores)


def _checked_pair(first: Numbers, second: Numbers) -> DoubleArray:
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(
            f"series have shapes {first.shape} and {second.shape}, expected (n_units,)"
        )
    return np.stack([_finite(first), _finite(second)])


def _finite(values: Numbers) -> DoubleArray:
    numbers = values.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("a value is NaN or infinite; leave undefined units out first")
    return numbers
