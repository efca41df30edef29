"""Groups of sentences that seem to share something: clusters that are found again and again.

Sentences are clustered in one or more spaces (by their embeddings; by these and what a model's
neurons do on them), several times and at several granularities around the one that best tells
held-out sentences apart. Groups are the clusters that the other clusterings find as well, so that
neither the luck of a start nor the choice of a space or granularity decides. Finer clusters, which
are parts of these, are added for what the groups are too coarse for; a handicap in matching keeps
them, and groups that are found again less reliably, behind the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from descriptors.granularities import Attempt, Granularity, SpaceClusterings
from descriptors.grouping_settings import GroupingSettings
from descriptors.records import Group
from descriptors.stability import (
    Candidate,
    candidates_of,
    parts_of,
    stability_among,
    stable_choice,
)
from descriptors.views import Space
from indexer.arrays import FloatArray, IntArray
from indexer.errors import InputError
from indexer.records import Record

_COARSE = (1.0, math.sqrt(2.0), 2.0)
_FINE = (2.0, math.sqrt(8.0), 4.0)
"""Granularities as multiples of the best number of clusters: of groups, and of parts of groups."""


class NoClusterError(InputError):
    """No cluster has as many sentences as a group must have."""


class ComparedGrouping(Record):
    """A grouping as it did beside others; `correlation` tells how closely neurons follow it."""

    spaces: tuple[str, ...]
    groups: int
    correlation: float


@dataclass(frozen=True)
class Grouping:
    """The groups, and what was done to find them (for the manifest).

    `chosen` are the granularities whose clusters became groups or voted on them; `ungrouped` of the
    `clustered` sentences are in no group; `compared` are the groupings that it was chosen from.
    """

    groups: tuple[Group, ...]
    tried: tuple[Granularity, ...]
    chosen: tuple[Granularity, ...]
    clustered: int
    ungrouped: int
    compared: tuple[ComparedGrouping, ...] = ()

    @property
    def spaces(self) -> tuple[str, ...]:
        """The spaces that the sentences were clustered in."""
        return tuple(dict.fromkeys(each.space for each in self.chosen))


def subsample(rows: IntArray, limit: int, seed: int) -> IntArray:
    """At most `limit` of the rows, drawn with the seed, in their order."""
    if len(rows) <= limit:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, limit, replace=False))


def form_groups(
    spaces: Sequence[Space],
    discover: IntArray,
    validation: IntArray,
    settings: GroupingSettings,
    seed: int,
) -> Grouping:
    """Cluster the discover sentences and keep what is found again; the most stable groups first.

    Args:
        spaces: what sentences are compared by; the first also says which groups are near.
        discover: rows to cluster.
        validation: rows by which the number of clusters is chosen.
        settings: sizes and limits.
        seed: of k-means and of the subsample of very large corpora.

    Raises:
        InputError: too few sentences for two groups, or no cluster of `minimum_group` sentences.
        ValueError: no spaces or no validation rows.
    """
    clusterings, rows = clusterings_of(spaces, discover, validation, settings, seed)
    return grouping_of(clusterings, rows, settings)


def clusterings_of(
    spaces: Sequence[Space],
    discover: IntArray,
    validation: IntArray,
    settings: GroupingSettings,
    seed: int,
) -> tuple[list[SpaceClusterings], IntArray]:
    """The spaces, yet to be clustered, and the rows that are; see `form_groups`."""
    if not spaces:
        raise ValueError("found no space, expected 1 or more")
    rows = subsample(discover, settings.maximum_sentences, seed)
    held_out = subsample(validation, settings.maximum_sentences, seed)
    if len(rows) < 2 * settings.mean_group:
        raise InputError(
            f"found {len(rows)} sentences in the discover split; two groups of "
            f"{settings.mean_group} need at least {2 * settings.mean_group}. Give more text."
        )
    clusterings = [
        SpaceClusterings(each.name, _vectors(each, rows), _vectors(each, held_out), settings, seed)
        for each in spaces
    ]
    return clusterings, rows


def grouping_of(
    clusterings: Sequence[SpaceClusterings],
    rows: IntArray,
    settings: GroupingSettings,
    best: int | None = None,
) -> Grouping:
    """What is found again in clusterings of `rows`; at `best` instead of each space's own best.

    Raises:
        NoClusterError: no cluster of `minimum_group` sentences.
    """
    coarse = [
        attempt
        for each in clusterings
        for attempt in each.at(*_COARSE, restarts=settings.restarts, best=best)
    ]
    found = _stable_clusters(coarse, len(rows), settings)
    if not found:
        raise NoClusterError(
            f"no cluster of {len(rows)} sentences in the discover split has "
            f"{settings.minimum_group} sentences. A lower minimum_group (mean_group is "
            f"{settings.mean_group}) or more text works."
        )
    voted = list(coarse)
    if settings.maximum_parts or len(found) < settings.minimum_groups:
        restarts = settings.part_restarts
        fine = [
            [
                attempt
                for each in clusterings
                for attempt in each.at(multiple, restarts=restarts, best=best)
            ]
            for multiple in _FINE
        ]
        found += _parts(fine, coarse, found, len(rows), settings)
        voted = list(dict.fromkeys([*coarse, *(attempt for level in fine for attempt in level)]))
    return Grouping(
        groups=_groups(found, clusterings[0].vectors, rows, settings),
        tried=tuple(attempt.granularity for each in clusterings for attempt in each.tried),
        chosen=tuple(attempt.granularity for attempt in voted),
        clustered=len(rows),
        ungrouped=len(rows) - len({member for each in found for member in each.members.tolist()}),
    )


def _vectors(space: Space, rows: IntArray) -> FloatArray:
    return np.asarray(space.view(rows), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Cluster:
    """A cluster that becomes a group; `members` are positions, most central first."""

    attempt: Attempt
    number: int
    members: IntArray
    stability: float
    handicap: float


def _cluster(candidate: Candidate, attempts: Sequence[Attempt], handicap: float) -> _Cluster:
    attempt = attempts[candidate.clustering]
    centrality = attempt.centrality(candidate.members, candidate.cluster)
    central_first = candidate.members[np.argsort(-centrality, kind="stable")]
    return _Cluster(attempt, candidate.cluster, central_first, candidate.stability, handicap)


def _stable_clusters(
    attempts: Sequence[Attempt], n_sentences: int, settings: GroupingSettings
) -> list[_Cluster]:
    assignments = [attempt.clustering.assignment for attempt in attempts]
    chosen = stable_choice(
        candidates_of(assignments, settings.minimum_group),
        n_sentences,
        minimum_stability=settings.minimum_stability,
        coverage=settings.coverage,
        maximum_overlap=settings.maximum_overlap,
        limit=settings.maximum_groups,
    )
    return [_cluster(each, attempts, _handicap(each.stability, settings)) for each in chosen]


def _parts(
    levels: Sequence[Sequence[Attempt]],
    coarse: Sequence[Attempt],
    found: Sequence[_Cluster],
    n_sentences: int,
    settings: GroupingSettings,
) -> list[_Cluster]:
    """Finer clusters to add to what is found, the most stable first.

    Coarser clusterings cannot find a part again, so each granularity votes alone. The first stand
    for groups where there are too few, and have the handicap that a group found so little would
    have; of the others only the stable ones are added.
    """
    missing = max(settings.minimum_groups - len(found), 0)
    attempts = [attempt for level in levels for attempt in level]
    first = np.cumsum([0, *(len(level) for level in levels)]).tolist()
    candidates = [
        replace(each, clustering=start + each.clustering)
        for start, level in zip(first, levels, strict=False)
        for each in candidates_of([a.clustering.assignment for a in level], settings.minimum_group)
    ]
    added = parts_of(
        sorted(candidates, key=lambda each: -each.stability),
        [cluster.members for cluster in found],
        n_sentences,
        maximum_similarity=settings.maximum_overlap,
        limit=missing + settings.maximum_parts,
    )
    assignments = [attempt.clustering.assignment for attempt in coarse]
    instead = [
        _cluster(each, attempts, _handicap(stability_among(each.members, assignments), settings))
        for each in added[:missing]
    ]
    return instead + [
        _cluster(each, attempts, settings.part_handicap)
        for each in added[missing:]
        if each.stability >= settings.minimum_stability
    ]


def _handicap(stability: float, settings: GroupingSettings) -> float:
    return settings.instability_handicap * (1.0 - stability)


def _groups(
    found: Sequence[_Cluster], vectors: FloatArray, rows: IntArray, settings: GroupingSettings
) -> tuple[Group, ...]:
    """Rows of the corpus instead of positions, and contrast from the nearest other clusters."""
    sums = np.stack([vectors[each.members].sum(axis=0) for each in found])
    means = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    nearest = np.argsort(-(means @ means.T), axis=1, kind="stable")
    members = [frozenset(each.members.tolist()) for each in found]
    groups = []
    for place, each in enumerate(found):
        apart = [
            other
            for other in nearest[place].tolist()
            if len(members[place] & members[other])
            < settings.maximum_overlap * min(len(members[place]), len(members[other]))
        ]
        contrast = [
            position
            for other in apart[: settings.contrast_groups]
            for position in found[other].members.tolist()[: settings.contrast_per_group]
            if position not in members[place]
        ]
        attempt = each.attempt
        groups.append(
            Group(
                id=f"{attempt.space}:{attempt.n_clusters}.{attempt.repeat}/{each.number}",
                source=f"{attempt.space}_clusters:{attempt.n_clusters}",
                rows=tuple(rows[each.members].tolist()),
                contrast_rows=tuple(rows[list(dict.fromkeys(contrast))].tolist()),
                stability=each.stability,
                handicap=each.handicap,
            )
        )
    return tuple(groups)
