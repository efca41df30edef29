"""The fewest descriptors that together explain a tail of a neuron.

Non-negative orthogonal matching pursuit (Bruckstein, Elad & Zibulevsky 2008) of the activation on
memberships: fitted on discover, stopped on validation, told on test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.optimize import nnls

from indexer.arrays import DoubleArray, IntArray
from indexer.records import Record
from neurons.auroc import indicator, members_of, rarer_sizes, set_sizes
from neurons.null import permuted_rows
from neurons.records import Tail
from neurons.row_checks import check_rows, check_sentences
from neurons.split_rows import SplitRows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_STREAM = 2
_ROUNDING = 1e-9


class JointSettings(Record):
    """When a descriptor is added; explained variance as a share, sizes in sentences.

    It must raise the explained variance on validation by `minimum_rise` and by more than
    `standard_errors` standard errors of the rise (by document), and have `minimum_discover` members
    and others on discover, `minimum_validation` on validation.
    """

    maximum_descriptors: int = Field(default=5, ge=1)
    minimum_rise: float = Field(default=0.005, ge=0.0, le=1.0)
    standard_errors: float = Field(default=2.0, ge=0.0)
    minimum_discover: int = Field(default=5, ge=1)
    minimum_validation: int = Field(default=2, ge=1)
    shuffles: int = Field(default=20, ge=0)


@dataclass(frozen=True)
class Combination:
    """Sets in the order they were added; weights above 0 in standard deviations of discover."""

    sets: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()


@dataclass(frozen=True)
class JointStep:
    """A combination of membership rows and its explained variance on each split.

    NaN on a split where the activation is constant.
    """

    combination: Combination
    discover: float
    validation: float
    test: float


@dataclass(frozen=True)
class JointExplanation:
    """The descriptors that together explain one tail of a unit, after each addition.

    `null` holds the explained variance on test that the same procedure reaches when the sentences
    of the memberships are shuffled (`n_shuffles`); 0 where it then adds no descriptor.
    """

    unit: int
    tail: Tail
    steps: tuple[JointStep, ...]
    null: tuple[float, ...]

    @property
    def combination(self) -> Combination:
        """The last step's; empty if no descriptor was worth adding."""
        return self.steps[-1].combination if self.steps else Combination()

    @property
    def explained_variance(self) -> float:
        """On test; 0 without descriptors."""
        return self.steps[-1].test if self.steps else 0.0


@dataclass(frozen=True)
class JointSplit:
    """One split: activation (`n_rows`), sets (`n_sets, n_rows`) of ones, document (`n_rows`)."""

    activation: DoubleArray
    sets: csr_matrix
    documents: IntArray

    @property
    def variance(self) -> float:
        """Of the activation; 0 for a constant, whose mean need not be exact."""
        constant = (self.activation == self.activation[:1]).all()
        return 0.0 if constant else float(self.activation.var())

    def residual(self, combination: Combination) -> DoubleArray:
        """What a combination leaves of the activation, with mean 0 (`n_rows`)."""
        left = self.activation.copy()
        for number, weight in zip(combination.sets, combination.weights, strict=True):
            left[members_of(self.sets, number)] -= weight
        return np.asarray(left - left.mean(), dtype=np.float64)

    def explained_variance(self, combination: Combination) -> float:
        """1 - Var(activation - prediction) / Var(activation), NaN for a constant activation."""
        total = self.variance
        return float(1.0 - self.residual(combination).var() / total) if total > 0.0 else np.nan


def joint_explanations(
    activations: NDArray[np.floating[Any]],
    membership: csr_matrix,
    rows: SplitRows,
    settings: JointSettings,
    seed: int,
) -> tuple[JointExplanation, ...]:
    """Explain both tails of every unit, the positive tail first.

    The shuffles depend on the seed only, so blocks of units can be explained one by one.

    Args:
        activations: pooled activations (`n_sentences, n_units`).
        membership: every stored entry is a member (`n_descriptors, n_sentences`).
        rows: rows of each split; test only tells how well a choice fits.
        settings: when a descriptor is added.
        seed: of the shuffles.

    Raises:
        ValueError: the arguments cover different sentences, a split is empty or shares rows with
            another, or an activation of a split is not finite.
    """
    splits = (rows.discover, rows.validation, rows.test)
    _check_joint(activations, membership, rows)
    sets = [indicator(membership[:, own]) for own in splits]
    usable = np.flatnonzero(
        (rarer_sizes(sets[0]) >= settings.minimum_discover)
        & (rarer_sizes(sets[1]) >= settings.minimum_validation)
    )
    generator = np.random.default_rng([seed, _STREAM])
    shuffles = [
        [permuted_rows(rows.documents[own], generator) for own in splits]
        for _ in range(settings.shuffles)
    ]
    parts = [
        JointSplit(np.empty(0), own_sets[usable], rows.documents[own])
        for own_sets, own in zip(sets, splits, strict=True)
    ]
    explained = []
    for unit, column in enumerate(np.asarray(activations.T, dtype=np.float64)):
        # A constant column has a standard deviation of rounding errors, or 0.
        constant = (column[rows.discover] == column[rows.discover[0]]).all()
        scaled = column * 0.0 if constant else column / column[rows.discover].std()
        for tail, signed in ((Tail.POSITIVE, scaled), (Tail.NEGATIVE, -scaled)):
            own = [
                replace(part, activation=signed[at]) for part, at in zip(parts, splits, strict=True)
            ]
            steps = tuple(_step(own, found, usable) for found in pursue(own[0], own[1], settings))
            null = tuple(_shuffled_variance(own, shuffle, settings) for shuffle in shuffles)
            explained.append(JointExplanation(unit, tail, steps, null))
    return tuple(explained)


def pursue(
    discover: JointSplit, validation: JointSplit, settings: JointSettings
) -> list[Combination]:
    """Growing combinations of sets, for as long as validation confirms what is added.

    Each step adds the set whose centred indicator correlates most with what discover leaves, and
    refits all weights by non-negative least squares; sets that get weight 0 are dropped.

    Raises:
        ValueError: a set has no members or no others on discover.
    """
    members = set_sizes(discover.sets)
    n_rows = len(discover.activation)
    unusable = np.flatnonzero((members == 0) | (members == n_rows))
    if len(unusable):
        number = unusable[0]
        raise ValueError(
            f"set {number} has {members[number]} members of {n_rows}, expected 1 to {n_rows - 1}"
        )
    if not len(members) or discover.variance == 0.0:
        return []
    norms = np.sqrt(members * (1.0 - members / n_rows) * n_rows * discover.variance)
    found = [Combination()]
    for _ in range(settings.maximum_descriptors):
        correlations = discover.sets @ discover.residual(found[-1]) / norms
        best = int(np.argmax(correlations))
        if correlations[best] <= _ROUNDING:
            break
        wider = _refitted(discover, (*found[-1].sets, best))
        if not _confirmed(validation, found[-1], wider, settings):
            break
        found.append(wider)
    return found[1:]


def _refitted(split: JointSplit, numbers: Sequence[int]) -> Combination:
    columns = np.zeros((len(split.activation), len(numbers)))
    for place, number in enumerate(numbers):
        columns[members_of(split.sets, number), place] = 1.0
    weights, _ = nnls(columns - columns.mean(axis=0), split.activation - split.activation.mean())
    kept = [place for place, weight in enumerate(weights) if weight > _ROUNDING * weights.max()]
    return Combination(
        tuple(numbers[place] for place in kept), tuple(float(weights[place]) for place in kept)
    )


def _confirmed(
    split: JointSplit, before: Combination, after: Combination, settings: JointSettings
) -> bool:
    """Whether the explained variance rises enough, and by more than chance between documents."""
    total = len(split.activation) * split.variance
    _, of_row, sizes = np.unique(split.documents, return_inverse=True, return_counts=True)
    if total <= 0.0 or len(sizes) < 2:
        return False
    gains = (split.residual(before) ** 2 - split.residual(after) ** 2) / total
    rise = gains.sum()
    # Sentences of one document are not independent, so their gains count together.
    of_document = np.bincount(of_row, weights=gains - gains.mean())
    error = np.sqrt((of_document**2).sum() * len(sizes) / (len(sizes) - 1))
    return bool(rise >= settings.minimum_rise and rise > settings.standard_errors * error)


def _step(splits: Sequence[JointSplit], found: Combination, usable: IntArray) -> JointStep:
    named = replace(found, sets=tuple(int(usable[number]) for number in found.sets))
    return JointStep(named, *(split.explained_variance(found) for split in splits))


def _shuffled_variance(
    splits: Sequence[JointSplit], orders: Sequence[IntArray], settings: JointSettings
) -> float:
    """Explained variance on test when the activations belong to other documents."""
    discover, validation, test = (
        replace(split, activation=split.activation[order])
        for split, order in zip(splits, orders, strict=True)
    )
    found = pursue(discover, validation, settings)
    return test.explained_variance(found[-1]) if found else 0.0


def _check_joint(
    activations: NDArray[np.floating[Any]], membership: csr_matrix, rows: SplitRows
) -> None:
    if activations.ndim != 2:
        raise ValueError(f"activations have shape {activations.shape}, expected 2 dimensions")
    n_sentences = len(activations)
    check_sentences(membership, activations=n_sentences, documents=len(rows.documents))
    splits = {"discover": rows.discover, "validation": rows.validation, "test": rows.test}
    for name, own in splits.items():
        check_rows(name, own, n_sentences)
        if not np.isfinite(activations[own]).all():
            raise ValueError(f"{name} has activations that are not finite, expected numbers")
    check_rows("the splits together", np.concatenate(list(splits.values())), n_sentences)
