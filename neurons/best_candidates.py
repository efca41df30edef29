"""The one descriptor that fits each tail best, whether or not it may be called a match.

Matches are only those that pass thresholds. To compare two models, or a model with its controls,
every neuron needs a figure: here the AUROC on test of the candidate that the matcher would look at
first, chosen by discover and validation alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from indexer.arrays import DoubleArray, IntArray
from indexer.engine import Engine, Held, LocalEngine
from neurons.match_block import (
    BlockMatches,
    JudgeableSets,
    SplitAreas,
    candidate_statistic,
    match_block,
    pooled_area,
    split_areas,
)
from neurons.matching import BlockTask, Matcher, Matches, MatchingSettings
from neurons.rank_arithmetic import NUMPY_RANKS, RankArithmetic
from neurons.split_rows import (
    Activations,
    Block,
    SplitRows,
    Watch,
    finite_blocks,
    ranked,
    unwatched,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class BestCandidates:
    """The first candidate of each tail, in the order of `TAILS` (`n_neurons, 2` each).

    Attributes:
        descriptor: its row in the membership.
        statistic: what candidates are ordered by, the highest of all descriptors.
        test_auroc: its AUROC on test.
    """

    descriptor: IntArray
    statistic: DoubleArray
    test_auroc: DoubleArray

    @classmethod
    def joined(cls, blocks: Sequence[BestCandidates]) -> BestCandidates:
        """Those of several blocks of neurons, in their order."""
        return cls(
            np.concatenate([block.descriptor for block in blocks]),
            np.concatenate([block.statistic for block in blocks]),
            np.concatenate([block.test_auroc for block in blocks]),
        )


def best_candidates(
    areas: SplitAreas, sets: JudgeableSets, settings: MatchingSettings
) -> BestCandidates:
    """The first candidates of the units of a block, as `match_tail` orders them.

    Raises:
        ValueError: no descriptor has enough sentences to be judged.
    """
    if not len(sets.rows):
        raise ValueError("no descriptor can be judged: all have too few or too many sentences")
    tails = [_of_tail(each, sets, settings) for each in (areas, areas.mirrored())]
    descriptor, statistic, test_auroc = (
        np.stack(both, axis=1) for both in zip(*tails, strict=True)
    )
    return BestCandidates(descriptor, statistic, test_auroc)


def _of_tail(
    areas: SplitAreas, sets: JudgeableSets, settings: MatchingSettings
) -> tuple[IntArray, DoubleArray, DoubleArray]:
    statistic = candidate_statistic(pooled_area(areas, sets), sets, settings)
    # Of equals the first, as in `best_first`.
    first, unit = statistic.argmax(axis=0), np.arange(statistic.shape[1])
    return sets.rows[first], statistic[first, unit], areas.test[first, unit]


def match_with_best(
    activations: Activations,
    membership: csr_matrix,
    rows: SplitRows,
    settings: MatchingSettings,
    seed: int,
    watch: Watch = unwatched,
    arithmetic: RankArithmetic = NUMPY_RANKS,
    engine: Engine | None = None,
    *,
    handicaps: DoubleArray | None = None,
) -> tuple[Matches, BestCandidates]:
    """What `neurons.matching.match` finds, and the first candidates of every tail.

    Raises:
        ValueError: see `neurons.matching.Matcher`; or no descriptor has enough sentences to be
            judged.
        RunError: an activation is no finite number.
    """
    matcher = Matcher(
        activations, membership, rows, settings, seed, arithmetic, handicaps=handicaps
    )
    task = Held(uuid4().hex, BlockTask(matcher.sets, rows, settings, arithmetic))
    best = []
    blocks = finite_blocks(activations, watch)
    for matched, first in (engine or LocalEngine()).map(_matched, task, blocks):
        matcher.take(matched)
        best.append(first)
    return matcher.result(), BestCandidates.joined(best)


def _matched(task: BlockTask, block: Block) -> tuple[BlockMatches, BestCandidates]:
    ranks = ranked(block, task.rows, task.arithmetic)
    areas = split_areas(ranks, task.sets)
    return (
        match_block(ranks, task.sets, task.settings, areas),
        best_candidates(areas, task.sets, task.settings),
    )
