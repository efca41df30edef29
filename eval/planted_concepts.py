"""What can be planted in units: descriptors of the catalog, or the labels of a facet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eval.meaning import contained_meaning, f1_meaning
from eval.records import Figure
from indexer.arrays import BoolArray, IntArray
from neurons.auroc import set_sizes
from neurons.matching import MatchingSettings, judgeable
from neurons.split_rows import SplitRows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from descriptors.corpus import Labels

DESCRIPTORS = "gold=descriptors"
LABELS = "gold=labels"

_FEWEST_CONCEPTS = 2


@dataclass(frozen=True, kw_only=True)
class Plantable:
    """Which sets may be planted: those the matcher can judge that are neither rare nor everywhere.

    Attributes:
        rows: rows of each split.
        matching: settings of the matcher.
        minimum_positives: the fewest sentences of a set in each of the counted splits.
        maximum_share: of the discover sentences that a set may hold for.
        on_test: whether sentences of test are counted as well as those of discover.
    """

    rows: SplitRows
    matching: MatchingSettings
    minimum_positives: int
    maximum_share: float
    on_test: bool = False

    def among(self, sets: csr_matrix) -> IntArray:
        """Positions of such sets, ascending (`n_plantable`)."""
        found = judgeable(sets, self.rows, self.matching)
        on_discover = set_sizes(sets[:, self.rows.discover])
        found &= on_discover >= self.minimum_positives
        found &= on_discover <= self.maximum_share * len(self.rows.discover)
        if self.on_test:
            found &= set_sizes(sets[:, self.rows.test]) >= self.minimum_positives
        return np.flatnonzero(found)

    def __str__(self) -> str:
        where = "on discover and on test" if self.on_test else "on discover"
        return (
            f"that hold for {self.minimum_positives} sentences or more {where}, and for "
            f"{self.maximum_share:.0%} of discover at most"
        )


@dataclass(frozen=True, eq=False)
class Concepts:
    """What can be planted, and how descriptors are judged by it.

    Attributes:
        variant: how the variants of its figures begin.
        facet: of the labels; empty where the concepts are descriptors.
        n_all: how many concepts there are, those that cannot be planted included.
        sets: the plantable ones by sentences (`n_concepts, n_sentences`).
        meanings: which of them each descriptor means (`n_descriptors, n_concepts`).
        contained: a second reading of that; None where the concepts are descriptors.
    """

    variant: str
    facet: str
    n_all: int
    sets: csr_matrix
    meanings: BoolArray
    contained: BoolArray | None = None

    @property
    def are_labels(self) -> bool:
        """Whether the concepts are labels, so that a descriptor must mean one to be right."""
        return self.contained is not None

    @property
    def n_concepts(self) -> int:
        """How many can be planted."""
        return int(self.sets.shape[0])

    def refusal(self, protocol: str, split: str, plantable: Plantable) -> list[Figure]:
        """One refused figure if there is too little to plant, otherwise none."""
        if self.n_concepts >= _FEWEST_CONCEPTS:
            return []
        kind = f"labels of the facet {self.facet!r}" if self.are_labels else "descriptors"
        reason = (
            f"{self.n_concepts} of {self.n_all} {kind} can be planted, expected "
            f"{_FEWEST_CONCEPTS} or more {plantable}; use a larger corpus"
        )
        return [
            Figure.refused(
                protocol,
                reason,
                variant=self.variant,
                split=split,
                facet=self.facet,
                n=self.n_concepts,
            )
        ]

    def figures(self, protocol: str, split: str) -> list[Figure]:
        """How many concepts can be planted, and what share of them some descriptor means."""
        meant = self.meanings.any(axis=0)
        values = [("plantable_concepts", float(meant.size), self.n_all)]
        if self.are_labels:
            values.append(("meant_concepts", float(meant.mean()), meant.size))
        return [
            Figure(
                protocol=protocol,
                variant=f"{self.variant} every_concept",
                metric=metric,
                split=split,
                facet=self.facet,
                value=value,
                n=n,
            )
            for metric, value, n in values
        ]


def catalog_concepts(membership: csr_matrix, plantable: Plantable) -> Concepts:
    """Descriptors, each of which means itself."""
    pool = plantable.among(membership)
    meanings = np.zeros((membership.shape[0], len(pool)), dtype=np.bool_)
    meanings[pool, np.arange(len(pool))] = True
    return Concepts(DESCRIPTORS, "", int(membership.shape[0]), membership[pool], meanings)


def label_concepts(
    labels: Labels, facet: str, membership: csr_matrix, plantable: Plantable
) -> Concepts:
    """Labels of a facet, whether or not a descriptor means them; meaning is judged on validation.

    Raises:
        InputError: no label has this facet.
    """
    own = labels.facet(facet)
    sets = own.membership[plantable.among(own.membership)]
    validation = plantable.rows.validation
    held_out, descriptors = sets[:, validation], membership[:, validation]
    return Concepts(
        LABELS,
        facet,
        len(own),
        sets,
        f1_meaning(descriptors, held_out).means,
        contained_meaning(descriptors, held_out).means,
    )


def no_labels(protocol: str, split: str) -> Figure:
    """The part of a protocol that needs labels, refused."""
    reason = "the corpus has no labels, expected some; give a corpus with a column of labels"
    return Figure.refused(protocol, reason, variant=LABELS, split=split)
