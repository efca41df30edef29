"""Two halves of a corpus, each matched on its own, and the same where nothing is to be found.

The documents of discover are halved at random, and those of validation likewise: a half is fitted
on its discover documents and chosen on its validation documents, as the run itself was. Test has no
part in it; the matcher, which tells its matches on test, tells those of a half on its validation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eval.metrics import Ranking
from eval.null_memberships import NullKind, null_membership
from eval.rankings import rankings_of
from indexer.arrays import DoubleArray, IntArray
from neurons.matching import TAILS, Matcher, Matches, MatchingSettings
from neurons.rank_arithmetic import NUMPY_RANKS
from neurons.records import Tail
from neurons.split_rows import Activations, SplitRanks, SplitRows, Watch, finite_blocks, unwatched

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from neurons.split_rows import Block

_STREAM = 13

TailRankings = tuple[Ranking, Ranking]
"""One ranking for each of `TAILS`."""


@dataclass(frozen=True)
class HalvedTask:
    """What is matched.

    Attributes:
        activations: the neurons.
        membership: kept descriptors by sentences (`n_descriptors, n_sentences`).
        rows: rows of each split of the run.
        settings: of the run's matcher.
        counted: how many descriptors plain counting gives a tail.
        exemplar_share: share of a half's discover sentences that plain counting counts in.
        fewest_exemplars: how many it counts in at least.
        seed: of everything that is drawn.
        watch: wraps the blocks of each pass over the activations, for a progress bar.
        handicaps: AUROC by which each descriptor comes after others in matching (`n_descriptors`);
            none if None.
    """

    activations: Activations
    membership: csr_matrix
    rows: SplitRows
    settings: MatchingSettings
    counted: int
    exemplar_share: float
    fewest_exemplars: int
    seed: int
    watch: Watch = unwatched
    handicaps: DoubleArray | None = None


@dataclass(frozen=True, eq=False)
class Found:
    """Descriptors of every neuron by one method: of two halves, and of the second shuffled.

    In `shuffled` the activations of the second half were dealt to other documents of it.
    """

    one: TailRankings
    other: TailRankings
    shuffled: TailRankings


@dataclass(frozen=True, eq=False)
class MatchedHalves:
    """What the matcher and plain counting find in two halves.

    `usable_descriptors` is the smaller number of descriptors that could be judged in a half.
    """

    matched: Found
    counted: Found
    usable_descriptors: int


def halves(rows: SplitRows, seed: int) -> tuple[SplitRows, SplitRows]:
    """Halve the documents of discover and of validation at random; see the module.

    Raises:
        ValueError: a split has fewer than two documents.
    """
    generator = np.random.default_rng([seed, _STREAM])
    discover = _halved("discover", rows.discover, rows.documents, generator)
    validation = _halved("validation", rows.validation, rows.documents, generator)
    one, other = (
        SplitRows(fitted, chosen, chosen, rows.documents)
        for fitted, chosen in zip(discover, validation, strict=True)
    )
    return one, other


def _halved(
    name: str, rows: IntArray, documents: IntArray, generator: np.random.Generator
) -> tuple[IntArray, IntArray]:
    distinct = np.unique(documents[rows])
    if distinct.size < 2:
        raise ValueError(f"{name} has {distinct.size} documents, expected 2 or more to halve")
    first = generator.permutation(distinct)[: distinct.size // 2]
    inside = np.isin(documents[rows], first)
    return rows[inside], rows[~inside]


def match_halves(task: HalvedTask, repeat: int) -> MatchedHalves:
    """Halve the corpus and match both halves in one pass over the activations.

    Args:
        task: what is matched.
        repeat: which halving; each has a seed of its own for halves, matching and shuffle.

    Raises:
        ValueError: see `halves`.
        RunError: an activation is no finite number.
    """
    seed = task.seed + repeat
    one, other = halves(task.rows, seed)
    shuffled = null_membership(NullKind.SHUFFLED_SENTENCES, task.membership, other, seed)
    cases = [(one, task.membership), (other, task.membership), (other, shuffled)]
    matchers = [
        Matcher(task.activations, membership, own, task.settings, seed, handicaps=task.handicaps)
        for own, membership in cases
    ]
    counters = [_ExemplarCounts(task, membership, own) for own, membership in cases]
    for block in finite_blocks(task.activations, task.watch):
        first, second = _half_ranks(block, one), _half_ranks(block, other)
        for number, ranks in enumerate((first, second, second)):
            matchers[number].add(ranks)
            counters[number].add(ranks.discover)
    return MatchedHalves(
        Found(*(_rankings(each.result(), task.settings) for each in matchers)),
        Found(*(each.result() for each in counters)),
        min(len(each.sets.rows) for each in matchers[:2]),
    )


def _half_ranks(block: Block, half: SplitRows) -> SplitRanks:
    """Ranks within a half, in which validation stands for test."""
    discover, validation = (
        NUMPY_RANKS.average_ranks(block[own]) for own in (half.discover, half.validation)
    )
    return SplitRanks(discover, validation, validation)


def _rankings(matches: Matches, settings: MatchingSettings) -> TailRankings:
    return rankings_of(matches, settings.matches)


class _ExemplarCounts:
    """The plain reading of the paper: descriptors that most exemplars have, on discover."""

    def __init__(self, task: HalvedTask, membership: csr_matrix, half: SplitRows) -> None:
        self._sets = membership[:, half.discover]
        share = round(task.exemplar_share * half.discover.size)
        self._wanted = max(task.fewest_exemplars, share)
        self._limit = task.counted
        self._counts: list[tuple[DoubleArray, DoubleArray]] = []

    def add(self, ranks: DoubleArray) -> None:
        """Count for the next block of neurons."""
        both = [
            NUMPY_RANKS.exemplar_hits(
                ranks, self._sets, self._wanted, highest=tail is Tail.POSITIVE
            )[0]
            for tail in TAILS
        ]
        self._counts.append((both[0], both[1]))

    def result(self) -> TailRankings:
        """The commonest descriptors of each tail, in catalog order among equals."""
        positive, negative = (
            count_ranking([block[tail] for block in self._counts], self._limit)
            for tail in range(len(TAILS))
        )
        return positive, negative


def count_ranking(counts: Iterable[DoubleArray], limit: int) -> Ranking:
    """The descriptors of highest count of each neuron, in catalog order among equals.

    Args:
        counts: exemplars that have each descriptor, block by block (`n_descriptors, n_units`).
        limit: how many to take; those with count 0 are never taken.
    """
    descriptors, lengths = [], []
    for block in counts:
        order = np.argsort(-block, axis=0, kind="stable")[:limit]
        descriptors.append(order.T)
        lengths.append((np.take_along_axis(block, order, axis=0) > 0.0).sum(axis=0))
    return Ranking(
        np.concatenate(descriptors).astype(np.int64), np.concatenate(lengths).astype(np.int64)
    )
