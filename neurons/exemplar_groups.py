"""Which distinct things the exemplars of a tail are about: a neuron may carry several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from indexer.arrays import IntArray
from indexer.records import Record
from neurons.auroc import indicator, members_of, set_sizes
from neurons.null import permuted_rows
from neurons.row_checks import check_rows, check_sentences

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_STREAM = 3


class ExemplarGroupSettings(Record):
    """How exemplars are grouped; see `distinct_groups`."""

    maximum_groups: int = Field(default=10, ge=1)
    maximum_overlap: float = Field(default=0.5, gt=0.0, le=1.0)
    family_wise_error: float = Field(default=0.05, gt=0.0, lt=1.0)
    shuffles: int = Field(default=20, ge=0)


@dataclass(frozen=True)
class ExemplarGroups:
    """Distinct descriptors among the exemplars of a tail, in the order they were taken.

    Attributes:
        descriptors: membership rows (`n_groups`).
        exemplars: the rows that each covers and none before it does.
        covered: share of the exemplars in a group.
        null: the same share for sentences of random documents (`n_shuffles`).
    """

    descriptors: tuple[int, ...]
    exemplars: tuple[tuple[int, ...], ...]
    covered: float
    null: tuple[float, ...]


def distinct_groups(
    exemplar_rows: IntArray,
    membership: csr_matrix,
    rows: IntArray,
    documents: IntArray,
    settings: ExemplarGroupSettings,
    seed: int,
) -> ExemplarGroups:
    """Cover the exemplars of a tail with descriptors that hardly overlap; greedy set cover.

    A descriptor is taken if it holds for more of the exemplars not yet covered than chance allows
    (hypergeometric test, Bonferroni over descriptors) and overlaps none taken before by
    `maximum_overlap` or more of the smaller one. The one that covers most beyond its base rate goes
    first, so that common descriptors have no advantage.

    Args:
        exemplar_rows: the sentences on which the tail is most active (`n_exemplars`).
        membership: every stored entry is a member (`n_descriptors, n_sentences`).
        rows: the sentences that the exemplars were taken from (`n_rows`).
        documents: document of every sentence (`n_sentences`).
        settings: when a descriptor is taken.
        seed: of the shuffles.

    Raises:
        ValueError: rows are empty, repeat or do not exist, exemplars are not among `rows`, or
            documents and membership cover different sentences.
    """
    check_sentences(membership, documents=len(documents))
    check_rows("rows", rows, len(documents))
    check_rows("exemplar_rows", exemplar_rows, len(documents))
    foreign = np.setdiff1d(exemplar_rows, rows)
    if len(foreign):
        raise ValueError(f"exemplar_rows has {foreign[0]}, expected some of the {len(rows)} rows")
    sets = indicator(membership[:, rows])
    places = np.flatnonzero(np.isin(rows, exemplar_rows))
    groups = _cover(sets, places, settings)
    generator = np.random.default_rng([seed, _STREAM])
    orders = [permuted_rows(documents[rows], generator) for _ in range(settings.shuffles)]
    return ExemplarGroups(
        descriptors=tuple(groups),
        exemplars=tuple(tuple(rows[own].tolist()) for own in groups.values()),
        covered=_share(groups, places),
        null=tuple(_share(_cover(sets, order[places], settings), places) for order in orders),
    )


def _cover(
    sets: csr_matrix, places: IntArray, settings: ExemplarGroupSettings
) -> dict[int, IntArray]:
    """The sets taken and the places that each adds to what is covered."""
    from scipy.stats import hypergeom

    sizes = set_sizes(sets)
    left, n_others, sizes_left = places, sets.shape[1], sizes
    free = np.ones(len(sizes), dtype=bool)
    groups: dict[int, IntArray] = {}
    while free.any() and len(left) and len(groups) < settings.maximum_groups:
        hits = set_sizes(sets[:, left])
        chance = hypergeom.sf(hits - 1, n_others, sizes_left, len(left)) * len(sizes)
        allowed = free & (chance <= settings.family_wise_error)
        if not allowed.any():
            break
        beyond = np.where(allowed, hits - len(left) * sizes_left / n_others, -np.inf)
        best = int(np.argmax(beyond))
        members = members_of(sets, best)
        inside = np.isin(left, members)
        groups[best] = left[inside]
        sizes_left = sizes_left - set_sizes(sets[:, left[inside]])
        left, n_others = left[~inside], n_others - int(inside.sum())
        smaller = np.maximum(np.minimum(sizes, len(members)), 1)
        free &= set_sizes(sets[:, members]) / smaller < settings.maximum_overlap
    return groups


def _share(groups: dict[int, IntArray], places: IntArray) -> float:
    return sum(len(own) for own in groups.values()) / len(places)
