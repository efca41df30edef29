"""From a judge's scores to decisions: where to say yes, and how good it is to say so."""

from __future__ import annotations

import math

import numpy as np

from indexer.arrays import BoolArray, DoubleArray


def best_threshold(scores: DoubleArray, truth: BoolArray) -> float:
    """The score from which on to say yes for the best balanced accuracy, the highest among equals.

    Infinite where no threshold is better than to say no to everything.

    Args:
        scores: of some items (`n_items`).
        truth: which of them are so (`n_items`).

    Raises:
        ValueError: all items are so, or none is.
    """
    n_true, n_false = _counts(truth)
    order = np.argsort(-scores, kind="stable")
    descending, so = scores[order], truth[order]
    gains = np.cumsum(so) / n_true - np.cumsum(~so) / n_false
    # Of equal scores all or none reach a threshold: only the last of them counts.
    last = np.append(descending[1:] < descending[:-1], True)
    gains = np.where(last, gains, -np.inf)
    best = int(np.argmax(gains))
    return float(descending[best]) if gains[best] > 0.0 else math.inf


def balanced_accuracy(said: BoolArray, truth: BoolArray) -> float:
    """(TPR + TNR) / 2, the mean share of right decisions about what is so and what is not.

    Args:
        said: where yes is said (`n_items`).
        truth: which items are so (`n_items`).

    Raises:
        ValueError: all items are so, or none is.
    """
    n_true, n_false = _counts(truth)
    hits, rejections = int((said & truth).sum()), int((~said & ~truth).sum())
    return (hits / n_true + rejections / n_false) / 2.0


def _counts(truth: BoolArray) -> tuple[int, int]:
    n_true = int(truth.sum())
    if not 0 < n_true < truth.size:
        raise ValueError(f"{n_true} of {truth.size} items are so, expected some and not all")
    return n_true, truth.size - n_true
