"""Ties the tails of neurons to descriptors: fitted on discover, chosen on validation, told on test.

The statistic is the lower confidence bound of the AUROC of the activation for the descriptor's
sentences: a bare AUROC would favour the smallest descriptors, whose AUROC varies most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from indexer.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from neurons.auroc import auroc_from_ranks, average_ranks, set_sizes
from neurons.null import NullThresholds, null_thresholds
from neurons.records import Tail
from neurons.selection import best_first, first_distinct, overlap
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

    from neurons.store import ActivationStore

TAILS = (Tail.POSITIVE, Tail.NEGATIVE)
_BLOCK_BYTES = 1 << 26


class MatchingSettings(BaseModel):
    """How matches are chosen; AUROC values, shares, and counts per tail of a neuron."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
class SplitRows:
    """Rows of each split, and the document of every sentence as a number (`n_sentences`)."""

    discover: IntArray
    validation: IntArray
    test: IntArray
    documents: IntArray


@dataclass(frozen=True)
class Activations:
    """How to read the neurons of a run block by block, any number of times.

    Attributes:
        n_neurons: columns over all blocks.
        n_sentences: rows of each block.
        blocks: yields float16 arrays (`n_sentences, n_units`) that make up all neurons in order.
    """

    n_neurons: int
    n_sentences: int
    blocks: Callable[[int], Iterator[NDArray[np.floating[Any]]]]

    @classmethod
    def of_store(cls, store: ActivationStore) -> Activations:
        """Read from an activation store; at most the asked number of units are in memory."""

        def blocks(n_units: int) -> Iterator[NDArray[np.floating[Any]]]:
            for layer_site in store.layer_sites:
                array = store.array(layer_site)
                for first in range(0, array.shape[1], n_units):
                    yield np.asarray(array[:, first : first + n_units])

        return cls(store.n_neurons, store.n_sentences, blocks)


@dataclass(frozen=True)
class Matches:
    """The matches of every tail, one entry each, sorted by neuron, tail and rank (`n_matches`).

    `neuron` counts over all blocks, `tail` is a position in `TAILS`, `descriptor` a membership row.
    `best_discover`, `best_held` and `constant` say for each tail (`n_neurons, 2`) what its
    strongest candidate reached, so that an abstention can be given its reason.
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


@dataclass(frozen=True)
class _Reference:
    """What stays the same for all blocks: usable sets per split and their overlaps."""

    rows: IntArray
    discover: csr_matrix
    validation: csr_matrix
    test: csr_matrix
    overlaps: FloatArray
    null: NullThresholds


def block_units(n_sentences: int) -> int:
    """How many units fit into a block of bounded memory."""
    return int(max(8, min(512, _BLOCK_BYTES // (8 * max(n_sentences, 1)))))


def match(
    activations: Activations,
    membership: csr_matrix,
    rows: SplitRows,
    settings: MatchingSettings,
    seed: int,
    watch: Callable[[Iterable[Any], int], Iterable[Any]] = lambda blocks, _total: blocks,
) -> Matches:
    """Match every tail of every neuron against every descriptor.

    Descriptors with fewer members than `minimum_discover` or `minimum_held_out` in a split cannot
    be judged and take no part; `usable_descriptors` says how many do. `watch` wraps the blocks, for
    a progress bar.

    Raises:
        ValueError: membership and activations cover different numbers of sentences.
    """
    if membership.shape[1] != activations.n_sentences:
        raise ValueError(
            f"membership covers {membership.shape[1]} sentences, "
            f"activations cover {activations.n_sentences}"
        )
    reference = _reference(activations, membership, rows, settings, seed)
    units = block_units(activations.n_sentences)
    histogram = ZHistogram()
    parts: list[_BlockMatches] = []
    first = 0
    for block in watch(activations.blocks(units), -(-activations.n_neurons // units)):
        parts.append(_match_block(block, first, rows, reference, settings, histogram))
        first += block.shape[1]
    return _gather(parts, histogram, reference, settings)


def _reference(
    activations: Activations,
    membership: csr_matrix,
    rows: SplitRows,
    settings: MatchingSettings,
    seed: int,
) -> _Reference:
    splits = [membership[:, own] for own in (rows.discover, rows.validation, rows.test)]
    least = (settings.minimum_discover, settings.minimum_held_out, settings.minimum_held_out)
    enough = np.ones(membership.shape[0], dtype=bool)
    for split, minimum in zip(splits, least, strict=True):
        sizes = set_sizes(split)
        enough &= (sizes >= minimum) & (split.shape[1] - sizes >= minimum)
    usable = np.flatnonzero(enough)
    discover, validation, test = (split[usable] for split in splits)
    null = null_thresholds(
        _sample_units(activations, settings.null_neurons, seed),
        (discover, validation),
        (rows.discover, rows.validation),
        rows.documents,
        lambda area, sizes: _lower(area, sizes, settings),
        settings.null_repeats,
        settings.null_quantile,
        seed,
    )
    return _Reference(usable, discover, validation, test, overlap(discover), null)


def _sample_units(activations: Activations, n_wanted: int, seed: int) -> NDArray[np.floating[Any]]:
    """Columns of some neurons drawn evenly from all blocks (`n_sentences, n_sampled`)."""
    chosen = np.random.default_rng(seed).permutation(activations.n_neurons)[:n_wanted]
    units = block_units(activations.n_sentences)
    taken: list[NDArray[np.floating[Any]]] = []
    first = 0
    for block in activations.blocks(units):
        inside = np.sort(chosen[(chosen >= first) & (chosen < first + block.shape[1])]) - first
        taken.append(block[:, inside])
        first += block.shape[1]
    return np.concatenate(taken, axis=1)


def _lower(area: DoubleArray, sizes: IntArray, settings: MatchingSettings) -> DoubleArray:
    return area - settings.standard_errors * conservative_standard_error(area, sizes)


@dataclass(frozen=True)
class _BlockMatches:
    neuron: IntArray
    tail: IntArray
    place: IntArray
    descriptor: IntArray
    auroc: DoubleArray
    ci_low: DoubleArray
    ci_high: DoubleArray
    z: DoubleArray
    exemplar_z: DoubleArray
    beats_null: BoolArray
    strong_enough: BoolArray
    constant: BoolArray


def _match_block(
    block: NDArray[np.floating[Any]],
    first_neuron: int,
    rows: SplitRows,
    reference: _Reference,
    settings: MatchingSettings,
    histogram: ZHistogram,
) -> _BlockMatches:
    ranks = [average_ranks(block[own]) for own in (rows.discover, rows.validation, rows.test)]
    sets = (reference.discover, reference.validation, reference.test)
    areas = [auroc_from_ranks(r, s) for r, s in zip(ranks, sets, strict=True)]
    z = mann_whitney_z(areas[0], set_sizes(reference.discover), ranks[0])
    parts = []
    for tail_number in range(len(TAILS)):
        sign = 1.0 if tail_number == 0 else -1.0
        tail_ranks = [r if sign > 0 else len(r) + 1.0 - r for r in ranks]
        tail_areas = [a if sign > 0 else 1.0 - a for a in areas]
        histogram.add(sign * z)
        parts.append(
            _match_tail(tail_ranks, tail_areas, sign * z, reference, settings, tail_number)
        )
    return _shifted(parts, first_neuron, np.ptp(ranks[0], axis=0) == 0.0)


def _match_tail(
    ranks: list[DoubleArray],
    areas: list[DoubleArray],
    z: DoubleArray,
    reference: _Reference,
    settings: MatchingSettings,
    tail: int,
) -> _BlockMatches:
    sizes = [set_sizes(s) for s in (reference.discover, reference.validation, reference.test)]
    lower = _lower(areas[0], sizes[0], settings)
    pooled = _pooled_lower(areas, sizes, ranks, settings)
    ordered = best_first(pooled, settings.candidates)
    n_units = len(ordered)
    unit = np.arange(n_units)[:, np.newaxis]
    null = reference.null
    held = _lower(areas[1], sizes[1], settings)
    beats = lower[ordered, unit] > null.discover
    strong = beats & (areas[0][ordered, unit] >= settings.minimum_auroc)
    replicated = (areas[1][ordered, unit] >= settings.minimum_auroc) & (
        held[ordered, unit] > null.validation
    )
    places, lengths = first_distinct(
        ordered,
        strong & replicated,
        reference.overlaps,
        settings.maximum_overlap,
        settings.matches,
    )
    owner = np.repeat(np.arange(n_units), lengths)
    place = np.concatenate([np.arange(length) for length in lengths] or [np.empty(0, np.int64)])
    place = place.astype(np.int64)
    chosen = ordered[owner, places[owner, place]]
    low, high = _intervals(ranks[2], areas[2], reference.test, owner, chosen)
    return _BlockMatches(
        neuron=owner,
        tail=np.full(len(owner), tail, dtype=np.int64),
        place=place,
        descriptor=reference.rows[chosen],
        auroc=areas[2][chosen, owner],
        ci_low=low,
        ci_high=high,
        z=z[chosen, owner],
        exemplar_z=_exemplar_z(ranks[0], reference.discover, settings)[chosen, owner],
        beats_null=beats.any(axis=1),
        strong_enough=strong.any(axis=1),
        constant=np.zeros(n_units, dtype=bool),
    )


def _pooled_lower(
    areas: list[DoubleArray],
    sizes: list[IntArray],
    ranks: list[DoubleArray],
    settings: MatchingSettings,
) -> DoubleArray:
    """Lower bound of the AUROC over discover and validation together, weighted by members."""
    members = (sizes[0] + sizes[1]).reshape(-1, 1)
    area = (areas[0] * sizes[0].reshape(-1, 1) + areas[1] * sizes[1].reshape(-1, 1)) / members
    return _lower(area, members.ravel(), settings)


def _intervals(
    ranks: DoubleArray, areas: DoubleArray, sets: csr_matrix, owner: IntArray, chosen: IntArray
) -> tuple[DoubleArray, DoubleArray]:
    low, high = np.empty(len(chosen)), np.empty(len(chosen))
    order = np.argsort(chosen, kind="stable")
    limits = np.flatnonzero(np.diff(chosen[order])) + 1
    for entries in np.split(order, limits):
        if not len(entries):
            continue
        descriptor = int(chosen[entries[0]])
        members = sets.indices[sets.indptr[descriptor] : sets.indptr[descriptor + 1]]
        units = owner[entries]
        error = delong_standard_error(ranks[:, units], members.astype(np.int64))
        low[entries], high[entries] = auroc_bounds(areas[descriptor, units], error, len(members))
    return low, high


def _exemplar_z(ranks: DoubleArray, sets: csr_matrix, settings: MatchingSettings) -> DoubleArray:
    n_sentences = len(ranks)
    wanted = max(1, round(settings.exemplar_share * n_sentences))
    exemplars = (ranks > n_sentences - wanted).astype(np.float32)
    indicator = sets.astype(np.bool_).astype(np.float32)
    hits = np.asarray(indicator @ exemplars, dtype=np.float64)
    counts = exemplars.sum(axis=0, dtype=np.float64)
    return enrichment_z(hits, set_sizes(sets), counts, n_sentences)


def _shifted(parts: list[_BlockMatches], first_neuron: int, constant: BoolArray) -> _BlockMatches:
    def joined(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    def side_by_side(name: str) -> Any:
        return np.stack([getattr(part, name) for part in parts], axis=1)

    return _BlockMatches(
        neuron=joined("neuron") + first_neuron,
        tail=joined("tail"),
        place=joined("place"),
        descriptor=joined("descriptor"),
        auroc=joined("auroc"),
        ci_low=joined("ci_low"),
        ci_high=joined("ci_high"),
        z=joined("z"),
        exemplar_z=joined("exemplar_z"),
        beats_null=side_by_side("beats_null"),
        strong_enough=side_by_side("strong_enough"),
        constant=np.stack([constant, constant], axis=1),
    )


def _gather(
    parts: list[_BlockMatches],
    histogram: ZHistogram,
    reference: _Reference,
    settings: MatchingSettings,
) -> Matches:
    def joined(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    z = joined("z")
    q = histogram.q_values(z) if len(z) else z
    passing = np.flatnonzero(q <= settings.false_discovery_rate)
    neuron, tail, place = (joined(name)[passing] for name in ("neuron", "tail", "place"))
    order = np.lexsort((place, tail, neuron))
    kept = passing[order]
    owner = neuron[order] * len(TAILS) + tail[order]
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]]) if len(owner) else owner
    lengths = np.diff(np.r_[starts, len(owner)])
    rank = np.arange(len(owner)) - np.repeat(starts, lengths) + 1
    return Matches(
        neuron=neuron[order],
        tail=tail[order],
        rank=rank,
        descriptor=joined("descriptor")[kept],
        auroc=joined("auroc")[kept],
        ci_low=joined("ci_low")[kept],
        ci_high=joined("ci_high")[kept],
        q=q[kept],
        exemplar_z=joined("exemplar_z")[kept],
        beats_null=joined("beats_null"),
        strong_enough=joined("strong_enough"),
        constant=joined("constant"),
        usable_descriptors=len(reference.rows),
        null=reference.null,
    )
