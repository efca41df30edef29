"""The run's matcher on the run's membership and on its nulls, in one pass over the activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from eval.null_memberships import NullKind, null_membership
from indexer.arrays import BoolArray, DoubleArray, IntArray
from neurons.best_candidates import BestCandidates, best_candidates
from neurons.explanation_file import described_tails
from neurons.match_block import match_block, pair_z, split_areas
from neurons.matching import Matcher, MatchingSettings
from neurons.rank_arithmetic import NUMPY_RANKS, RankArithmetic
from neurons.split_rows import (
    Activations,
    SplitRanks,
    SplitRows,
    Watch,
    ranked_blocks,
    unwatched,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class NullTask:
    """A finished run as its nulls see it.

    Attributes:
        activations: the neurons.
        membership: kept descriptors by sentences (`n_descriptors, n_sentences`).
        rows: rows of each split.
        settings: of the run's matcher, which the nulls are matched with.
        seed: of the run.
        levels: the q values that are counted, see `Matched.discovered`.
        repeats: how often each null is drawn.
        watch: wraps the blocks of neurons, for a progress bar.
        arithmetic: of the ranks; what is found does not depend on it.
        handicaps: AUROC by which each descriptor comes after others in matching (`n_descriptors`);
            none if None.
    """

    activations: Activations
    membership: csr_matrix
    rows: SplitRows
    settings: MatchingSettings
    seed: int
    levels: tuple[float, ...]
    repeats: int = 1
    watch: Watch = unwatched
    arithmetic: RankArithmetic = NUMPY_RANKS
    handicaps: DoubleArray | None = None


@dataclass(frozen=True)
class Matched:
    """What one membership, or several draws of one null, gave.

    Attributes:
        described: share of the draws that describe each tail (`n_neurons, 2`).
        either: share of the draws that describe either tail (`n_neurons`).
        discovered: share of each neuron's (tail, descriptor) pairs with a q value of each level or
            below it, over all draws (`n_levels, n_neurons`).
        best: the first candidates of each tail, one draw after the other.
        varying: which neurons are not constant on discover (`n_neurons`).
    """

    described: DoubleArray
    either: DoubleArray
    discovered: DoubleArray
    best: BestCandidates
    varying: BoolArray


def match_nulls(task: NullTask) -> tuple[Matched, dict[NullKind, Matched]]:
    """The run itself, and each of its nulls.

    Raises:
        ValueError: no descriptor has enough sentences to be judged.
        RunError: an activation is no finite number.
    """
    observed = _Counting(task, task.membership)
    nulls = {
        kind: [
            _Counting(task, null_membership(kind, task.membership, task.rows, task.seed, repeat))
            for repeat in range(task.repeats)
        ]
        for kind in NullKind
    }
    every = [observed, *(each for own in nulls.values() for each in own)]
    for ranks in ranked_blocks(task.activations, task.rows, task.watch, task.arithmetic):
        for each in every:
            each.add(ranks)
    return _joined([observed]), {kind: _joined(own) for kind, own in nulls.items()}


class _Counting:
    """A matcher that counts small q values of all pairs, not of matches alone.

    q depends on the z values of all pairs. Since no q is smaller than its own p, pairs whose p is
    above the highest level need not be kept until q is known.
    """

    def __init__(self, task: NullTask, membership: csr_matrix) -> None:
        self._task = task
        self._matcher = Matcher(
            task.activations,
            membership,
            task.rows,
            task.settings,
            task.seed,
            task.arithmetic,
            handicaps=task.handicaps,
        )
        self._lowest_z = float(ndtri(1.0 - max(task.levels)))
        self._z: list[DoubleArray] = []
        self._n_kept: list[IntArray] = []
        self._best: list[BestCandidates] = []
        self._varying: list[BoolArray] = []

    def add(self, ranks: SplitRanks) -> None:
        """Match the next block of neurons."""
        sets, settings = self._matcher.sets, self._task.settings
        areas = split_areas(ranks, sets)
        block = match_block(ranks, sets, settings, areas)
        self._matcher.take(block)
        self._best.append(best_candidates(areas, sets, settings))
        self._varying.append(~block.constant)
        self._keep(pair_z(ranks, areas, sets))

    def _keep(self, z: DoubleArray) -> None:
        for tail in (z.T, -z.T):
            kept = tail >= self._lowest_z
            self._z.append(tail[kept])
            self._n_kept.append(kept.sum(axis=1, dtype=np.int64))

    def result(self) -> Matched:
        """What came of all blocks."""
        described = described_tails(self._matcher.result())
        return Matched(
            described=described.astype(np.float64),
            either=np.asarray(described.any(axis=1), dtype=np.float64),
            discovered=self._discovered(),
            best=BestCandidates.joined(self._best),
            varying=np.concatenate(self._varying),
        )

    def _discovered(self) -> DoubleArray:
        n_pairs = 2 * len(self._matcher.sets.rows)
        blocks = []
        for z, n_kept in zip(self._z, self._n_kept, strict=True):
            q = self._matcher.q_values(z)
            owner = np.repeat(np.arange(len(n_kept)), n_kept)
            counts = [
                np.bincount(owner[q <= level], minlength=len(n_kept)) for level in self._task.levels
            ]
            blocks.append(np.stack(counts) / n_pairs)
        # Blocks of neurons follow one another, each as its two tails.
        tails = zip(blocks[::2], blocks[1::2], strict=True)
        return np.concatenate([positive + negative for positive, negative in tails], axis=1)


def _joined(draws: Sequence[_Counting]) -> Matched:
    results = [draw.result() for draw in draws]
    return Matched(
        described=_mean([each.described for each in results]),
        either=_mean([each.either for each in results]),
        discovered=_mean([each.discovered for each in results]),
        best=BestCandidates.joined([each.best for each in results]),
        varying=results[0].varying,
    )


def _mean(arrays: Sequence[DoubleArray]) -> DoubleArray:
    return np.asarray(np.mean(np.stack(arrays), axis=0), dtype=np.float64)
