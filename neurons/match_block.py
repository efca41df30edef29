"""Matching one block of neurons; `neurons.matching` puts the blocks together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from neurons.auroc import rarer_sizes, set_sizes
from neurons.null import NullThresholds
from neurons.records import Tail
from neurons.selection import best_first, first_distinct
from neurons.significance import (
    ZHistogram,
    auroc_bounds,
    conservative_standard_error,
    delong_standard_error,
    enrichment_z,
    mann_whitney_z,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from neurons.matching import MatchingSettings
    from neurons.split_rows import SplitRanks

_MOST_LACKING = 2.0


@dataclass(frozen=True)
class JudgeableSets:
    """The sets with enough members in every split, and what stays the same for all blocks.

    Attributes:
        rows: their rows in the membership that was asked for (`n_sets`).
        discover: their members of each split (`n_sets, n_rows of the split`).
        validation: see `discover`.
        test: see `discover`.
        overlaps: overlap coefficients on discover (`n_sets, n_sets`).
        null: what a match must exceed.
        z_spread: standard deviation of z under the null (`n_sets`), see `PermutationNull`.
        handicaps: AUROC by which each comes after others (`n_sets`).
    """

    rows: IntArray
    discover: csr_matrix
    validation: csr_matrix
    test: csr_matrix
    overlaps: FloatArray
    null: NullThresholds
    z_spread: DoubleArray
    handicaps: DoubleArray


@dataclass(frozen=True)
class SplitAreas:
    """AUROC of every set for every unit of a block and one tail (`n_sets, n_units`)."""

    discover: DoubleArray
    validation: DoubleArray
    test: DoubleArray

    def mirrored(self) -> SplitAreas:
        """The AUROC of the other tail."""
        return SplitAreas(1.0 - self.discover, 1.0 - self.validation, 1.0 - self.test)


@dataclass(frozen=True)
class TailMatches:
    """Matches of one tail of a block, one entry each (`n_matches`), and why others have none.

    `unit` counts within the block, `place` from 0 within a unit, `set_number` within the judgeable
    sets. `beats_null` and `strong_enough` say whether any candidate did (`n_units`).
    """

    unit: IntArray
    place: IntArray
    set_number: IntArray
    auroc: DoubleArray
    ci_low: DoubleArray
    ci_high: DoubleArray
    z: DoubleArray
    exemplar_z: DoubleArray
    beats_null: BoolArray
    strong_enough: BoolArray


@dataclass(frozen=True)
class BlockMatches:
    """The matches of both tails of a block, which of its units are constant, and all z values."""

    positive: TailMatches
    negative: TailMatches
    constant: BoolArray
    histogram: ZHistogram


def match_block(
    ranks: SplitRanks,
    sets: JudgeableSets,
    settings: MatchingSettings,
    areas: SplitAreas | None = None,
) -> BlockMatches:
    """Match both tails of the units of a block, whose `split_areas` a caller may know already."""
    areas = split_areas(ranks, sets) if areas is None else areas
    z = pair_z(ranks, areas, sets)
    histogram = ZHistogram()
    histogram.add(z)
    histogram.add(-z)
    return BlockMatches(
        positive=match_tail(ranks, areas, z, sets, settings, Tail.POSITIVE),
        negative=match_tail(ranks, areas.mirrored(), -z, sets, settings, Tail.NEGATIVE),
        constant=ranks.constant,
        histogram=histogram,
    )


def pair_z(ranks: SplitRanks, areas: SplitAreas, sets: JudgeableSets) -> DoubleArray:
    """Normal scores of all sets for the positive tails of a block (`n_sets, n_units`).

    In units of its spread under the permutation null, so that q values hold where the sentences of
    a document resemble each other.
    """
    z = mann_whitney_z(
        areas.discover, set_sizes(sets.discover), len(ranks.discover), ranks.discover_variances
    )
    return np.asarray(z / sets.z_spread[:, np.newaxis])


def split_areas(ranks: SplitRanks, sets: JudgeableSets) -> SplitAreas:
    """AUROC of the positive tails of a block."""
    auroc = ranks.arithmetic.auroc
    return SplitAreas(
        auroc(ranks.discover, sets.discover),
        auroc(ranks.validation, sets.validation),
        auroc(ranks.test, sets.test),
    )


def lower_bound(area: DoubleArray, n_rarer: IntArray, settings: MatchingSettings) -> DoubleArray:
    """The statistic of matching: AUROC less some conservative standard errors."""
    return area - settings.standard_errors * conservative_standard_error(area, n_rarer)


def pooled_area(areas: SplitAreas, sets: JudgeableSets) -> DoubleArray:
    """AUROC over discover and validation together, weighted by the rarer class."""
    n_discover, n_validation = rarer_sizes(sets.discover), rarer_sizes(sets.validation)
    share = (n_discover / (n_discover + n_validation)).reshape(-1, 1)
    return np.asarray(areas.discover * share + areas.validation * (1.0 - share))


def candidate_statistic(
    pooled: DoubleArray, sets: JudgeableSets, settings: MatchingSettings
) -> DoubleArray:
    """What the candidates of a tail are ordered by, from its `pooled_area` (`n_sets, n_units`)."""
    n_rarer = rarer_sizes(sets.discover) + rarer_sizes(sets.validation)
    return handicapped(lower_bound(pooled, n_rarer, settings), sets.handicaps)


def handicapped(bound: DoubleArray, handicaps: DoubleArray) -> DoubleArray:
    """Lower bounds (`n_sets, n_units`) less the handicap of each set (`n_sets`).

    No more of a handicap counts than `_MOST_LACKING` times what the lower bound lacks to 1: what a
    unit tells apart all but perfectly comes first.
    """
    return np.asarray(bound - np.minimum(handicaps[:, np.newaxis], _MOST_LACKING * (1.0 - bound)))


def match_tail(
    ranks: SplitRanks,
    areas: SplitAreas,
    z: DoubleArray,
    sets: JudgeableSets,
    settings: MatchingSettings,
    tail: Tail,
) -> TailMatches:
    """Choose the matches of one tail: candidates by all that is not test, told on test.

    How large an effect is, discover and validation say together, as either alone says it less
    surely; that it is none of chance, each has to say for itself. The ranks are those of the
    activations for either tail; areas and z are those of the tail.
    """
    n_discover, n_validation = rarer_sizes(sets.discover), rarer_sizes(sets.validation)
    pooled = pooled_area(areas, sets)
    ordered = best_first(candidate_statistic(pooled, sets, settings), settings.candidates)
    unit = np.arange(len(ordered))[:, np.newaxis]

    def at_candidates(values: DoubleArray) -> DoubleArray:
        return values[ordered, unit]

    beats = at_candidates(lower_bound(areas.discover, n_discover, settings)) > sets.null.discover
    strong = beats & (at_candidates(pooled) >= settings.minimum_auroc)
    held = at_candidates(lower_bound(areas.validation, n_validation, settings))
    replicated = held > sets.null.validation
    places, lengths = first_distinct(
        ordered,
        strong & replicated,
        sets.overlaps,
        settings.maximum_overlap,
        settings.matches,
    )
    owner = np.repeat(np.arange(len(ordered)), lengths)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    chosen = ordered[owner, places[owner, place]]
    area = areas.test[chosen, owner]
    low, high = _intervals(ranks, area, sets.test, owner, chosen, tail)
    return TailMatches(
        unit=owner,
        place=place,
        set_number=chosen,
        auroc=area,
        ci_low=low,
        ci_high=high,
        z=z[chosen, owner],
        exemplar_z=_exemplar_z(ranks, sets.discover, owner, chosen, tail, settings),
        beats_null=np.asarray(beats.any(axis=1)),
        strong_enough=np.asarray(strong.any(axis=1)),
    )


def _intervals(
    ranks: SplitRanks,
    area: DoubleArray,
    sets: csr_matrix,
    owner: IntArray,
    chosen: IntArray,
    tail: Tail,
) -> tuple[DoubleArray, DoubleArray]:
    """Bounds of the AUROC on test of each match; sets of one size go together."""
    n_sentences = len(ranks.test)
    low, high = np.empty(len(chosen)), np.empty(len(chosen))
    sizes = set_sizes(sets)[chosen]
    # numpy sums one column in another order than several side by side. A match that is the only one
    # of its set is summed as one column, so that bounds depend on no other set.
    lone = np.bincount(chosen, minlength=sets.shape[0])[chosen] == 1
    groups = sizes * 2 + lone
    order = np.argsort(groups, kind="stable")
    limits = np.flatnonzero(np.diff(groups[order])) + 1
    for entries in np.split(order, limits) if len(order) else ():
        size = int(sizes[entries[0]])
        members = sets.indices[sets.indptr[chosen[entries]].reshape(-1, 1) + np.arange(size)]
        own = ranks.arithmetic.picked(ranks.test, members.astype(np.int64), owner[entries])
        if tail is Tail.NEGATIVE:
            own = n_sentences + 1.0 - own
        columns = np.asarray(own.T, order="F" if lone[entries[0]] else "C")
        error = delong_standard_error(columns, n_sentences)
        n_rarer = min(size, n_sentences - size)
        low[entries], high[entries] = auroc_bounds(area[entries], error, n_rarer)
    return low, high


def _exemplar_z(
    ranks: SplitRanks,
    sets: csr_matrix,
    owner: IntArray,
    chosen: IntArray,
    tail: Tail,
    settings: MatchingSettings,
) -> DoubleArray:
    """Enrichment of the exemplars on discover of each match."""
    n_sentences = len(ranks.discover)
    wanted = max(1, round(settings.exemplar_share * n_sentences))
    hits, counts = ranks.arithmetic.exemplar_hits(
        ranks.discover, sets, wanted, highest=tail is Tail.POSITIVE
    )
    column = hits[chosen, owner].reshape(-1, 1)
    found = enrichment_z(column, set_sizes(sets)[chosen], counts[owner].reshape(-1, 1), n_sentences)
    return found.ravel()
