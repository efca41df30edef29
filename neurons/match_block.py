"""Matching one block of neurons; `neurons.matching` puts the blocks together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from neurons.auroc import auroc_from_ranks, indicator, rarer_sizes, set_sizes
from neurons.null import NullThresholds
from neurons.selection import best_first, first_distinct
from neurons.significance import (
    auroc_bounds,
    conservative_standard_error,
    delong_standard_error,
    enrichment_z,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from neurons.matching import MatchingSettings
    from neurons.split_rows import SplitRanks


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
    """

    rows: IntArray
    discover: csr_matrix
    validation: csr_matrix
    test: csr_matrix
    overlaps: FloatArray
    null: NullThresholds


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


def split_areas(ranks: SplitRanks, sets: JudgeableSets) -> SplitAreas:
    """AUROC of the positive tails of a block."""
    return SplitAreas(
        auroc_from_ranks(ranks.discover, sets.discover),
        auroc_from_ranks(ranks.validation, sets.validation),
        auroc_from_ranks(ranks.test, sets.test),
    )


def mirrored_ranks(ranks: SplitRanks) -> SplitRanks:
    """Ranks of the negated activations."""
    return type(ranks)(
        *(len(own) + 1.0 - own for own in (ranks.discover, ranks.validation, ranks.test))
    )


def lower_bound(area: DoubleArray, n_rarer: IntArray, settings: MatchingSettings) -> DoubleArray:
    """The statistic of matching: AUROC less some conservative standard errors."""
    return area - settings.standard_errors * conservative_standard_error(area, n_rarer)


def match_tail(
    ranks: SplitRanks,
    areas: SplitAreas,
    z: DoubleArray,
    sets: JudgeableSets,
    settings: MatchingSettings,
) -> TailMatches:
    """Choose the matches of one tail: candidates by all that is not test, told on test."""
    n_discover, n_validation = rarer_sizes(sets.discover), rarer_sizes(sets.validation)
    pooled = _pooled_area(areas, n_discover, n_validation)
    ordered = best_first(
        lower_bound(pooled, n_discover + n_validation, settings), settings.candidates
    )
    unit = np.arange(len(ordered))[:, np.newaxis]

    def at_candidates(values: DoubleArray) -> DoubleArray:
        return values[ordered, unit]

    beats = at_candidates(lower_bound(areas.discover, n_discover, settings)) > sets.null.discover
    strong = beats & (at_candidates(areas.discover) >= settings.minimum_auroc)
    held = at_candidates(lower_bound(areas.validation, n_validation, settings))
    replicated = (held > sets.null.validation) & (
        at_candidates(areas.validation) >= settings.minimum_auroc
    )
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
    low, high = _intervals(ranks.test, areas.test, sets.test, owner, chosen)
    return TailMatches(
        unit=owner,
        place=place,
        set_number=chosen,
        auroc=areas.test[chosen, owner],
        ci_low=low,
        ci_high=high,
        z=z[chosen, owner],
        exemplar_z=_exemplar_z(ranks.discover, sets.discover, settings)[chosen, owner],
        beats_null=np.asarray(beats.any(axis=1)),
        strong_enough=np.asarray(strong.any(axis=1)),
    )


def _pooled_area(areas: SplitAreas, n_discover: IntArray, n_validation: IntArray) -> DoubleArray:
    """AUROC over discover and validation together, weighted by the rarer class."""
    share = (n_discover / (n_discover + n_validation)).reshape(-1, 1)
    return np.asarray(areas.discover * share + areas.validation * (1.0 - share))


def _intervals(
    ranks: DoubleArray, area: DoubleArray, sets: csr_matrix, owner: IntArray, chosen: IntArray
) -> tuple[DoubleArray, DoubleArray]:
    low, high = np.empty(len(chosen)), np.empty(len(chosen))
    order = np.argsort(chosen, kind="stable")
    limits = np.flatnonzero(np.diff(chosen[order])) + 1
    for entries in np.split(order, limits) if len(order) else ():
        number = int(chosen[entries[0]])
        members = sets.indices[sets.indptr[number] : sets.indptr[number + 1]].astype(np.int64)
        units = owner[entries]
        error = delong_standard_error(ranks[:, units], members)
        n_rarer = min(len(members), len(ranks) - len(members))
        low[entries], high[entries] = auroc_bounds(area[number, units], error, n_rarer)
    return low, high


def _exemplar_z(ranks: DoubleArray, sets: csr_matrix, settings: MatchingSettings) -> DoubleArray:
    n_sentences = len(ranks)
    wanted = max(1, round(settings.exemplar_share * n_sentences))
    exemplars = (ranks > n_sentences - wanted).astype(np.float32)
    hits = np.asarray(indicator(sets).astype(np.float32) @ exemplars, dtype=np.float64)
    counts = exemplars.sum(axis=0, dtype=np.float64)
    return enrichment_z(hits, set_sizes(sets), counts, n_sentences)
