"""What single tails respond to, one by one, each beside the same with nothing to find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import FloatArray, IntArray
from neurons.auroc import indicator
from neurons.exemplar_groups import ExemplarGroupSettings, distinct_groups
from neurons.joint import Combination, JointSettings, JointSplit, pursue
from neurons.null import permuted_rows
from neurons.split_rows import SplitRows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True, slots=True)
class GroupCount:
    """Distinct descriptors among some exemplars, and the share of exemplars that they cover."""

    groups: int
    covered: float


class ExemplarGroupCounter:
    """Counts distinct descriptors among the test sentences on which a tail is most active.

    Args:
        membership: every stored entry is a member (`n_descriptors, n_sentences`).
        rows: rows of each split, of which test is used.
        n_exemplars: how many sentences to look at.
        settings: when a descriptor counts.
        seed: of the documents that exemplars are dealt to.

    Raises:
        ValueError: there are fewer test sentences than exemplars.
    """

    def __init__(
        self,
        membership: csr_matrix,
        rows: SplitRows,
        n_exemplars: int,
        settings: ExemplarGroupSettings,
        seed: int,
    ) -> None:
        if not 1 <= n_exemplars <= rows.test.size:
            raise ValueError(
                f"n_exemplars is {n_exemplars}, expected 1 to the {rows.test.size} test sentences"
            )
        self._sets = indicator(membership[:, rows.test])
        self._documents = rows.documents[rows.test]
        self._n_exemplars = n_exemplars
        self._settings = settings.model_copy(update={"shuffles": 0})
        self._order = permuted_rows(self._documents, np.random.default_rng(seed))

    def count(self, test: FloatArray) -> tuple[GroupCount, GroupCount]:
        """Groups of a tail, and those of as many sentences of other documents.

        Args:
            test: the tail's activations on test (`n_test`).
        """
        places = np.argsort(-test, kind="stable")[: self._n_exemplars]
        return self._counted(places), self._counted(self._order[places])

    def _counted(self, places: IntArray) -> GroupCount:
        every = np.arange(self._documents.size)
        found = distinct_groups(places, self._sets, every, self._documents, self._settings, 0)
        return GroupCount(len(found.descriptors), found.covered)


@dataclass(frozen=True, slots=True)
class Variances:
    """Explained variance on test of the first descriptor and of all together.

    NaN where the activation is constant on test.
    """

    first: float
    all: float

    @property
    def gain(self) -> float:
        """What all explain beyond the first."""
        return self.all - self.first


class VarianceExplainer:
    """What given descriptors of a tail explain of its activation on test; see `neurons.joint`.

    They are weighted on discover and added one by one for as long as validation confirms it, 0
    where it confirms none.

    Args:
        membership: every stored entry is a member (`n_descriptors, n_sentences`).
        rows: rows of each split.
        settings: when a descriptor is added.
        seed: of the documents that activations are dealt to.
    """

    def __init__(
        self, membership: csr_matrix, rows: SplitRows, settings: JointSettings, seed: int
    ) -> None:
        self._splits = (rows.discover, rows.validation, rows.test)
        self._sets = [indicator(membership[:, own]) for own in self._splits]
        self._documents = [rows.documents[own] for own in self._splits]
        self._settings = settings
        generator = np.random.default_rng(seed)
        self._orders = [permuted_rows(own, generator) for own in self._documents]

    def explained(
        self, column: FloatArray, descriptors: IntArray, *, shuffled: bool = False
    ) -> Variances:
        """Explained variance of a tail.

        Args:
            column: the tail's activations on discover, validation and test, one after the other.
            descriptors: membership rows, the first of them by itself and all together.
            shuffled: whether to deal the activations to other documents of the same split.

        Raises:
            ValueError: a descriptor has no members or no others on discover.
        """
        limits = np.cumsum([own.size for own in self._splits])[:-1]
        parts = np.split(column.astype(np.float64), limits)
        if shuffled:
            parts = [part[order] for part, order in zip(parts, self._orders, strict=True)]
        return Variances(self._pursued(parts, descriptors[:1]), self._pursued(parts, descriptors))

    def _pursued(self, parts: list[np.ndarray], descriptors: IntArray) -> float:
        discover, validation, test = (
            JointSplit(part, sets[descriptors], documents)
            for part, sets, documents in zip(parts, self._sets, self._documents, strict=True)
        )
        found = pursue(discover, validation, self._settings)
        return test.explained_variance(found[-1] if found else Combination())
