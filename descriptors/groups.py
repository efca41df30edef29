"""Groups of sentences that seem to share something: clusters of the vectors that views give them.

A view gives sentences unit vectors: of their embeddings, of what a model's neurons do on them, of a
focus the user names. Several views are joined into one space, in which sentences are near that are
near in all of them. How many clusters a corpus holds is not asked of the user: every count on a
ladder is tried and the one whose clusters best tell held-out sentences apart is kept, with finer
ones beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from descriptors.records import Group
from indexer.arrays import FloatArray, IntArray
from indexer.clustering import Clustering, held_out_silhouette, spherical_kmeans
from indexer.errors import InputError
from indexer.records import Record


class GroupingSettings(Record):
    """How groups are formed; sizes are in sentences.

    `neurons_weight` and `focus_weight` are the lengths of these views beside the embedding's 1.
    """

    n_components: int = Field(default=128, ge=2)
    whitening_power: float = Field(default=0.5, ge=0.0, le=1.0)
    minimum_group: int = Field(default=8, ge=2)
    mean_group: int = Field(default=12, ge=2)
    minimum_groups: int = Field(default=48, ge=2)
    maximum_groups: int = Field(default=512, ge=2)
    restarts: int = Field(default=3, ge=1)
    maximum_sentences: int = Field(default=20_000, ge=100)
    contrast_groups: int = Field(default=4, ge=1)
    contrast_per_group: int = Field(default=5, ge=1)
    neurons_weight: float = Field(default=0.75, gt=0.0)
    focus_weight: float = Field(default=1.5, gt=0.0)


class Granularity(Record):
    """A number of clusters that was tried and its silhouette on held-out sentences."""

    n_clusters: int
    silhouette: float


SentenceView = Callable[[IntArray], FloatArray]
"""From rows of the corpus to unit vectors (`n_rows, n_components`)."""


@dataclass(frozen=True)
class WeightedView:
    """A view, its name for provenance, and the length its vectors get in the joint space."""

    name: str
    view: SentenceView
    weight: float = 1.0


def joined(views: Sequence[WeightedView]) -> SentenceView:
    """One view of all: vectors side by side, each at its weight, scaled to length 1.

    The cosine of two joined vectors is the mean of the views' cosines, weighted by squared weights.
    """
    if len(views) == 1:
        return views[0].view
    length = math.sqrt(sum(each.weight**2 for each in views))

    def view(rows: IntArray) -> FloatArray:
        parts = [np.asarray(each.view(rows), dtype=np.float32) for each in views]
        scaled = [part * (each.weight / length) for part, each in zip(parts, views, strict=True)]
        return np.concatenate(scaled, axis=1)

    return view


@dataclass(frozen=True)
class Grouping:
    """The groups, and the granularities that were tried to find them (for the manifest)."""

    groups: tuple[Group, ...]
    tried: tuple[Granularity, ...]
    chosen: tuple[int, ...]
    too_small: int


def subsample(rows: IntArray, limit: int, seed: int) -> IntArray:
    """At most `limit` of the rows, drawn with the seed, in their order."""
    if len(rows) <= limit:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, limit, replace=False))


def _ladder(n_sentences: int, settings: GroupingSettings) -> list[int]:
    """Numbers of clusters from 8 up in steps of the square root of 2; fewer if 8 are too many."""
    largest = min(settings.maximum_groups, n_sentences // settings.mean_group)
    if largest < 2:
        return []
    steps = np.arange(6, max(6.0, 2 * np.log2(largest)) + 1)
    return sorted({min(largest, round(2.0 ** (step / 2.0))) for step in steps})


def _best_of(
    vectors: FloatArray, held_out: FloatArray, n_clusters: int, restarts: int, seed: int
) -> tuple[Clustering, float]:
    runs = [spherical_kmeans(vectors, n_clusters, seed + restart) for restart in range(restarts)]
    scores = [held_out_silhouette(held_out, run.centroids) for run in runs]
    best = int(np.argmax(scores))
    return runs[best], scores[best]


def _to_groups(
    clustering: Clustering,
    vectors: FloatArray,
    rows: IntArray,
    settings: GroupingSettings,
    source: str,
) -> tuple[list[Group], int]:
    """Groups of one granularity, most central sentences first, with contrast sentences."""
    n_clusters = len(clustering.centroids)
    members = [np.flatnonzero(clustering.assignment == cluster) for cluster in range(n_clusters)]
    ordered = [
        rows[own[np.argsort(-(vectors[own] @ clustering.centroids[cluster]), kind="stable")]]
        for cluster, own in enumerate(members)
    ]
    large = [c for c in range(n_clusters) if len(members[c]) >= settings.minimum_group]
    apart = 1.0 - clustering.centroids @ clustering.centroids.T
    groups = []
    for cluster in large:
        nearest = sorted((c for c in large if c != cluster), key=apart[cluster].__getitem__)
        contrast = [
            int(row)
            for c in nearest[: settings.contrast_groups]
            for row in ordered[c][: settings.contrast_per_group]
        ]
        groups.append(
            Group(
                id=f"clusters:{n_clusters}/{cluster}",
                source=f"{source}_clusters:{n_clusters}",
                rows=tuple(ordered[cluster].tolist()),
                contrast_rows=tuple(contrast),
            )
        )
    return groups, n_clusters - len(large)


def _finer(best: int, largest: int, settings: GroupingSettings) -> list[int]:
    """A step finer than the best count, and doublings of that while there are too few groups.

    A cluster that holds two things misleads more than two clusters that hold one.
    """
    chosen = [min(largest, round(best * math.sqrt(2.0)))]
    while 2 * chosen[-1] <= largest and sum(chosen) < settings.minimum_groups:
        chosen.append(2 * chosen[-1])
    return chosen


def form_groups(
    views: Sequence[WeightedView],
    discover: IntArray,
    validation: IntArray,
    settings: GroupingSettings,
    seed: int,
) -> Grouping:
    """Cluster the discover sentences at the granularities that suit the corpus.

    Args:
        views: what sentences are compared by.
        discover: rows to cluster.
        validation: rows by which the number of clusters is chosen.
        settings: sizes and limits.
        seed: of k-means and of the subsample of very large corpora.

    Raises:
        InputError: too few sentences for two groups, or no cluster of `minimum_group` sentences.
        ValueError: no validation rows.
    """
    view = joined(views)
    source = "_and_".join(each.name for each in views)
    rows = subsample(discover, settings.maximum_sentences, seed)
    ladder = _ladder(len(rows), settings)
    if not ladder:
        raise InputError(
            f"found {len(rows)} sentences in the discover split; two groups of "
            f"{settings.mean_group} need at least {2 * settings.mean_group}. Give more text."
        )
    own = np.asarray(view(rows), dtype=np.float32)
    held_out_rows = subsample(validation, settings.maximum_sentences, seed)
    held_out = np.asarray(view(held_out_rows), dtype=np.float32)
    runs = {n: _best_of(own, held_out, n, settings.restarts, seed) for n in ladder}
    best = max(ladder, key=lambda n: runs[n][1])
    groups: list[Group] = []
    too_small = 0
    chosen = _finer(best, ladder[-1], settings)
    for n_clusters in chosen:
        run = runs.get(n_clusters) or _best_of(own, held_out, n_clusters, settings.restarts, seed)
        found, dropped = _to_groups(run[0], own, rows, settings, source)
        groups += found
        too_small += dropped
    if not groups:
        raise InputError(
            f"none of {too_small} clusters of {len(rows)} sentences in the discover split has "
            f"{settings.minimum_group} sentences. A lower minimum_group (mean_group is "
            f"{settings.mean_group}) or more text works."
        )
    tried = tuple(Granularity(n_clusters=n, silhouette=runs[n][1]) for n in ladder)
    return Grouping(tuple(groups), tried, tuple(chosen), too_small)
