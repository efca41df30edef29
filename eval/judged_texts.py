"""Which texts a description is judged on: some on which the neuron is active, and some others.

Units of an encoder are hardly ever exactly 0, so "active" cannot mean "not zero": it means to reach
a quantile of the unit's own activations on `discover`, and inactive to stay in their lower half.
Half of the others are drawn at random, half are the nearest neighbours of the active texts that the
unit does not fire on, which tell a description of the neuron from one of its surroundings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from descriptors.records import Split
from indexer.arrays import BoolArray, DoubleArray, FloatArray, IntArray

N_STRATA = 10
"""Into how many parts of equal size the active texts are sorted by activation before drawing."""

FEWEST_ACTIVE = 20
"""Active texts of the test split, and others, that a neuron needs to be judged."""

_HARD_POOL = 4_096


@dataclass(frozen=True)
class Needed:
    """How many active texts of a split, and how many others, are needed at least."""

    texts: int
    split: Split


FOR_JUDGING = Needed(FEWEST_ACTIVE, Split.TEST)
FOR_CALIBRATING = Needed(10, Split.VALIDATION)
"""Thresholds are chosen on `validation`."""


@dataclass(frozen=True, eq=False)
class TextSample:
    """Texts of one split, in random order, and what a tail of a neuron does on them (`n_texts`).

    `rows` are rows of the corpus, `strengths` activations that point in the tail's direction,
    `hard` tells the inactive texts that are near an active one.
    """

    rows: IntArray
    active: BoolArray
    hard: BoolArray
    strengths: DoubleArray


@dataclass(frozen=True)
class Shortfall:
    """Too few texts to judge a tail on; `reason` is one word to count."""

    reason: str


@dataclass(frozen=True)
class ActivityBounds:
    """From `active` on a tail is active, up to `inactive` it is not; see `activity_bounds`."""

    active: float
    inactive: float


def activity_bounds(discover: DoubleArray, active_share: float) -> ActivityBounds:
    """The quantile above which `active_share` of the strengths lies, and their median.

    Args:
        discover: strengths on the discover split (`n_discover`).
        active_share: the share of texts on which a tail counts as active.
    """
    high, middle = np.quantile(discover, [1.0 - active_share, 0.5])
    return ActivityBounds(float(high), float(middle))


def draw_texts(
    strengths: DoubleArray,
    bounds: ActivityBounds,
    rows: IntArray,
    vectors: FloatArray,
    n_texts: int,
    needed: Needed,
    generator: np.random.Generator,
) -> TextSample | Shortfall:
    """Up to `n_texts` active texts, spread over their strengths, and as many inactive ones.

    Args:
        strengths: of the tail on every sentence (`n_sentences`).
        bounds: what is active and what is not.
        rows: sentences of the split.
        vectors: unit vectors of every sentence (`n_sentences, n_parts`).
        n_texts: active texts at most.
        needed: active and inactive texts at least.
        generator: draws.
    """
    own = strengths[rows]
    active = rows[own >= bounds.active]
    # Where many strengths are equal the median may be the quantile as well.
    inactive = rows[(own <= bounds.inactive) & (own < bounds.active)]
    if min(len(active), len(inactive)) < needed.texts:
        return Shortfall(f"fewer_than_{needed.texts}_{needed.split}_texts")
    chosen = _spread(active[np.argsort(strengths[active], kind="stable")], n_texts, generator)
    others, n_hard = _others(chosen, inactive, vectors, generator)
    order = generator.permutation(len(chosen) + len(others))
    together = np.concatenate([chosen, others])[order]
    return TextSample(
        rows=together,
        active=order < len(chosen),
        hard=(order >= len(chosen)) & (order < len(chosen) + n_hard),
        strengths=strengths[together],
    )


def _spread(ascending: IntArray, n_wanted: int, generator: np.random.Generator) -> IntArray:
    """As many rows from each tenth of those given, which are in the order of their strengths."""
    if len(ascending) <= n_wanted:
        return ascending
    strata = np.array_split(ascending, N_STRATA)
    # Larger parts come first, and so do larger quotas: a part always has enough.
    quotas = [len(part) for part in np.array_split(np.arange(n_wanted), N_STRATA)]
    return np.concatenate(
        [
            generator.choice(part, quota, replace=False)
            for part, quota in zip(strata, quotas, strict=True)
        ]
    )


def _others(
    active: IntArray, inactive: IntArray, vectors: FloatArray, generator: np.random.Generator
) -> tuple[IntArray, int]:
    """As many inactive rows as active ones if there are so many, the hard ones first."""
    n_wanted = min(len(active), len(inactive))
    pool = np.sort(generator.permutation(inactive)[:_HARD_POOL])
    sources = generator.permutation(active)[: n_wanted // 2]
    near = np.asarray(vectors[sources], np.float32) @ np.asarray(vectors[pool], np.float32).T
    taken = np.zeros(len(pool), dtype=np.bool_)
    hard = []
    for similarities in near:
        nearest = int(np.argmax(np.where(taken, -np.inf, similarities)))
        taken[nearest] = True
        hard.append(pool[nearest])
    rest = np.setdiff1d(inactive, hard)
    random = generator.choice(rest, n_wanted - len(hard), replace=False)
    return np.concatenate([np.asarray(hard, dtype=np.int64), random]), len(hard)
