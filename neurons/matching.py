"""Ties the tails of neurons to descriptors: fitted on discover, chosen on validation, told on test.

The statistic is the lower confidence bound of the AUROC of the activation for the descriptor's
sentences: a bare AUROC would favour the smallest descriptors, whose AUROC varies most. A descriptor
may have a handicap, by which it comes after others; what a match must reach is not changed by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from indexer.arrays import BoolArray, DoubleArray, IntArray
from indexer.engine import Engine, Held, LocalEngine
from indexer.records import Record
from neurons.auroc import indicator, set_sizes
from neurons.match_block import (
    BlockMatches,
    JudgeableSets,
    TailMatches,
    lower_bound,
    match_block,
)
from neurons.null import NullThresholds, permutation_null
from neurons.rank_arithmetic import NUMPY_RANKS, RankArithmetic
from neurons.records import Tail
from neurons.selection import overlap
from neurons.significance import ZHistogram
from neurons.split_rows import (
    Activations,
    Block,
    SplitRanks,
    SplitRows,
    Watch,
    finite_blocks,
    ranked,
    ranked_blocks,
    sampled_units,
    unwatched,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_Number = TypeVar("_Number", bound=np.generic)

TAILS = (Tail.POSITIVE, Tail.NEGATIVE)


class MatchingSettings(Record):
    """How matches are chosen; AUROC values, shares, and counts per tail of a neuron.

    `minimum_auroc` is asked of discover and validation together. `minimum_discover` and
    `minimum_held_out` are the fewest members, and the fewest others, with which a descriptor is
    judged in the discover split and in the other two.
    """

    matches: int = Field(default=5, ge=1)
    candidates: int = Field(default=40, ge=1)
    standard_errors: float = Field(default=2.0, ge=0.0)
    minimum_auroc: float = Field(default=0.7, ge=0.5, le=1.0)
    false_discovery_rate: float = Field(default=0.05, gt=0.0, lt=1.0)
    maximum_overlap: float = Field(default=0.5, gt=0.0, le=1.0)
    exemplar_share: float = Field(default=0.01, gt=0.0, le=0.5)
    null_neurons: int = Field(default=256, ge=1)
    null_repeats: int = Field(default=4, ge=1)
    null_quantile: float = Field(default=0.99, gt=0.5, lt=1.0)
    minimum_discover: int = Field(default=5, ge=2)
    minimum_held_out: int = Field(default=2, ge=2)


@dataclass(frozen=True)
class Matches:
    """The matches of every tail, one entry each, sorted by neuron, tail and rank (`n_matches`).

    `neuron` counts over all blocks, `tail` is a position in `TAILS`, `rank` counts from 1,
    `descriptor` is a membership row. `beats_null`, `strong_enough` and `constant` say for each tail
    (`n_neurons, 2`) what its candidates reached, so that an abstention can be given its reason; a
    tail whose matches all have too large a q does not beat the null.
    """

    neuron: IntArray
    tail: IntArray
    rank: IntArray
    descriptor: IntArray
    auroc: DoubleArray
    ci_low: DoubleArray
    ci_high: DoubleArray
    q: DoubleArray
    exemplar_z: DoubleArray
    beats_null: BoolArray
    strong_enough: BoolArray
    constant: BoolArray
    usable_descriptors: int
    null: NullThresholds


class Matcher:
    """Matches one membership against neurons that are added block by block.

    Descriptors that are too small or too large in a split cannot be judged and take no part; the
    result's `usable_descriptors` says how many do.

    Raises:
        ValueError: membership and activations cover different numbers of sentences, or handicaps
            are not one for each descriptor.
    """

    def __init__(
        self,
        activations: Activations,
        membership: csr_matrix,
        rows: SplitRows,
        settings: MatchingSettings,
        seed: int,
        arithmetic: RankArithmetic = NUMPY_RANKS,
        *,
        handicaps: DoubleArray | None = None,
    ) -> None:
        if membership.shape[1] != activations.n_sentences:
            raise ValueError(
                f"membership covers {membership.shape[1]} sentences, "
                f"activations cover {activations.n_sentences}"
            )
        if handicaps is None:
            handicaps = np.zeros(membership.shape[0])
        if len(handicaps) != membership.shape[0]:
            raise ValueError(f"{len(handicaps)} handicaps for {membership.shape[0]} descriptors")
        self._settings = settings
        self.sets = _judgeable_sets(
            activations, membership, handicaps, rows, settings, seed, arithmetic
        )
        self._histogram = ZHistogram()
        self._blocks: list[tuple[TailMatches, TailMatches]] = []
        self._constant: list[BoolArray] = []

    def add(self, ranks: SplitRanks) -> None:
        """Match the next block of neurons."""
        self.take(match_block(ranks, self.sets, self._settings))

    def take(self, block: BlockMatches) -> None:
        """The next block of neurons, which was matched against `sets`."""
        self._histogram.merge(block.histogram)
        self._blocks.append((block.positive, block.negative))
        self._constant.append(block.constant)

    def q_values(self, z: DoubleArray) -> DoubleArray:
        """The q of pairs with these z values over all pairs of the blocks so far, same shape.

        Raises:
            ValueError: there was no block.
        """
        return self._histogram.q_values(z)

    def result(self) -> Matches:
        """All matches whose q value over every pair is small enough."""
        parts = [part for block in self._blocks for part in block]
        widths = [len(constant) for constant in self._constant]
        firsts = np.repeat(np.cumsum([0, *widths[:-1]]), 2)
        counts = [len(part.unit) for part in parts]
        neuron = _joined([part.unit for part in parts]) + np.repeat(firsts, counts)
        tail = np.repeat(np.tile([0, 1], len(self._blocks)), counts)
        z = _joined([part.z for part in parts])
        q = self.q_values(z) if len(z) else z
        order = np.lexsort((_joined([part.place for part in parts]), tail, neuron))
        significant = q <= self._settings.false_discovery_rate
        kept = order[significant[order]]
        beats_null = self._per_tail([(a.beats_null, b.beats_null) for a, b in self._blocks])
        beats_null[neuron, tail] = False
        beats_null[neuron[kept], tail[kept]] = True
        constant = np.concatenate(self._constant)
        return Matches(
            neuron=neuron[kept],
            tail=tail[kept],
            rank=_ranks_within(neuron[kept] * 2 + tail[kept]),
            descriptor=self.sets.rows[_joined([part.set_number for part in parts])[kept]],
            auroc=_joined([part.auroc for part in parts])[kept],
            ci_low=_joined([part.ci_low for part in parts])[kept],
            ci_high=_joined([part.ci_high for part in parts])[kept],
            q=q[kept],
            exemplar_z=_joined([part.exemplar_z for part in parts])[kept],
            beats_null=beats_null,
            strong_enough=self._per_tail(
                [(a.strong_enough, b.strong_enough) for a, b in self._blocks]
            ),
            constant=np.stack([constant, constant], axis=1),
            usable_descriptors=len(self.sets.rows),
            null=self.sets.null,
        )

    @staticmethod
    def _per_tail(blocks: list[tuple[BoolArray, BoolArray]]) -> BoolArray:
        return np.concatenate([np.stack(block, axis=1) for block in blocks])


def match(
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
) -> Matches:
    """Match every tail of every neuron against every descriptor; see `Matcher`.

    Args:
        activations: the neurons.
        membership: sentences of each descriptor (`n_descriptors, n_sentences`).
        rows: rows of each split.
        settings: how matches are chosen.
        seed: of the permutation null.
        watch: wraps the blocks, for a progress bar.
        arithmetic: of the ranks; what is found does not depend on it.
        engine: where blocks are matched; in this process if None.
        handicaps: AUROC by which each descriptor comes after others (`n_descriptors`); none if
            None.

    Raises:
        ValueError: see `Matcher`.
        RunError: an activation is no finite number.
    """
    matcher = Matcher(
        activations, membership, rows, settings, seed, arithmetic, handicaps=handicaps
    )
    # Workers keep what has a key they know, and two memberships may be alike in all that is cheap
    # to compare.
    task = Held(uuid4().hex, BlockTask(matcher.sets, rows, settings, arithmetic))
    blocks = finite_blocks(activations, watch)
    for matched in (engine or LocalEngine()).map(_matched, task, blocks):
        matcher.take(matched)
    return matcher.result()


def match_all(
    activations: Activations,
    memberships: Sequence[csr_matrix],
    rows: SplitRows,
    settings: MatchingSettings,
    seed: int,
    watch: Watch = unwatched,
    *,
    handicaps: Sequence[DoubleArray | None] | None = None,
) -> list[Matches]:
    """Match several memberships as `match` does, in one pass over the neurons.

    Raises:
        ValueError: see `Matcher`; or handicaps are not given for each membership.
        RunError: an activation is no finite number.
    """
    own = [None] * len(memberships) if handicaps is None else handicaps
    matchers = [
        Matcher(activations, each, rows, settings, seed, handicaps=handicap)
        for each, handicap in zip(memberships, own, strict=True)
    ]
    for ranks in ranked_blocks(activations, rows, watch):
        for matcher in matchers:
            matcher.add(ranks)
    return [matcher.result() for matcher in matchers]


@dataclass(frozen=True)
class BlockTask:
    """What every block of neurons is matched with."""

    sets: JudgeableSets
    rows: SplitRows
    settings: MatchingSettings
    arithmetic: RankArithmetic


def _matched(task: BlockTask, block: Block) -> BlockMatches:
    return match_block(ranked(block, task.rows, task.arithmetic), task.sets, task.settings)


def judgeable(
    membership: csr_matrix, rows: SplitRows, settings: MatchingSettings, minimum_positives: int = 0
) -> BoolArray:
    """Sets with enough members, and enough others, in every split to be matched (`n_sets`).

    `minimum_positives` may ask for more of both on test.
    """
    held_out = settings.minimum_held_out
    least = (settings.minimum_discover, held_out, max(held_out, minimum_positives))
    enough = np.ones(membership.shape[0], dtype=bool)
    for own, minimum in zip((rows.discover, rows.validation, rows.test), least, strict=True):
        sizes = set_sizes(membership[:, own])
        enough &= (sizes >= minimum) & (len(own) - sizes >= minimum)
    return enough


def _judgeable_sets(
    activations: Activations,
    membership: csr_matrix,
    handicaps: DoubleArray,
    rows: SplitRows,
    settings: MatchingSettings,
    seed: int,
    arithmetic: RankArithmetic,
) -> JudgeableSets:
    usable = np.flatnonzero(judgeable(membership, rows, settings))
    chosen = membership[usable]
    discover, validation, test = (
        indicator(chosen[:, own]) for own in (rows.discover, rows.validation, rows.test)
    )
    null = permutation_null(
        sampled_units(activations, settings.null_neurons, seed),
        (discover, validation),
        (rows.discover, rows.validation),
        rows.documents,
        lambda area, sizes: lower_bound(area, sizes, settings),
        settings.null_repeats,
        settings.null_quantile,
        seed,
        arithmetic,
    )
    return JudgeableSets(
        rows=usable,
        discover=discover,
        validation=validation,
        test=test,
        overlaps=overlap(discover),
        null=null.thresholds,
        z_spread=null.z_spread,
        handicaps=handicaps[usable],
    )


def _joined(arrays: list[NDArray[_Number]]) -> NDArray[_Number]:
    return np.concatenate(arrays)


def _ranks_within(owner: IntArray) -> IntArray:
    """Positions from 1 within runs of equal numbers."""
    if not len(owner):
        return owner
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    lengths = np.diff(np.r_[starts, len(owner)])
    return np.arange(len(owner)) - np.repeat(starts, lengths) + 1
