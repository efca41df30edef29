"""One space clustered at several granularities, around the one that suits other sentences best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

import numpy as np

from descriptors.grouping_settings import GroupingSettings
from indexer.arrays import FloatArray, IntArray
from indexer.clustering import Clustering, held_out_silhouettes, spherical_clusterings
from indexer.records import Record

_APART = 1000
"""Starts from one seed of the grouping to the next: more than the repeats and restarts of one."""


class Granularity(Record):
    """A number of clusters that was tried in a space, and its silhouette on held-out sentences."""

    space: str
    repeat: int
    n_clusters: int
    silhouette: float


def ladder(n_sentences: int, settings: GroupingSettings) -> list[int]:
    """Numbers of clusters from 8 up in steps of the square root of 2; fewer if 8 are too many."""
    largest = min(settings.maximum_groups, n_sentences // settings.mean_group)
    if largest < 2:
        return []
    steps = np.arange(6, max(6.0, 2 * np.log2(largest)) + 1)
    return sorted({min(largest, round(2.0 ** (step / 2.0))) for step in steps})


@dataclass(frozen=True, eq=False)
class Attempt:
    """A clustering of `vectors`; `repeat` counts from 0.

    `silhouette` is the mean over held-out vectors, `standard_error` that of this mean.
    """

    space: str
    repeat: int
    vectors: FloatArray
    clustering: Clustering
    silhouette: float
    standard_error: float

    @property
    def n_clusters(self) -> int:
        """Clusters, empty ones among them."""
        return len(self.clustering.centroids)

    def centrality(self, members: IntArray, cluster: int) -> FloatArray:
        """Cosines of sentences to the centre of a cluster (`n_members`)."""
        similarities: FloatArray = self.vectors[members] @ self.clustering.centroids[cluster]
        return similarities

    @property
    def granularity(self) -> Granularity:
        """Without the clustering."""
        return Granularity(
            space=self.space,
            repeat=self.repeat,
            n_clusters=self.n_clusters,
            silhouette=self.silhouette,
        )


@dataclass(frozen=True, eq=False)
class SpaceClusterings:
    """Clusters the sentences of one space, no clustering twice.

    Attributes:
        space: its name.
        vectors: unit vectors of the sentences to cluster (`n_sentences, n_components`).
        held_out: unit vectors of others, which tell how good a clustering is.
        settings: sizes, repeats and restarts.
        seed: of k-means.
        attempts: what was clustered, by number of clusters and repeat.
    """

    space: str
    vectors: FloatArray
    held_out: FloatArray
    settings: GroupingSettings
    seed: int
    attempts: dict[tuple[int, int], Attempt] = field(default_factory=dict)

    @cached_property
    def tried(self) -> tuple[Attempt, ...]:
        """The ladder of granularities, each clustered once."""
        counts = ladder(len(self.vectors), self.settings)
        return tuple(self._attempts([(count, 0) for count in counts], self.settings.restarts))

    @cached_property
    def best(self) -> int:
        """The fewest clusters that tell held-out sentences apart about as well as any number.

        Where the silhouette is flat, its highest point is a matter of luck; the fewest clusters
        within some standard errors of it are not (as the rule of Breiman et al. 1984 for pruning).
        """
        highest = max(self.tried, key=lambda each: each.silhouette)
        enough = highest.silhouette - self.settings.standard_errors * highest.standard_error
        return next(each.n_clusters for each in self.tried if each.silhouette >= enough)

    def at(self, *multiples: float, restarts: int, best: int | None = None) -> list[Attempt]:
        """Clusterings at multiples of the best number of clusters, all repeats of each.

        `best` may be another number, such as that of another space. Each is the best of some
        restarts; of more where it was asked for with more before.
        """
        most = self.tried[-1].n_clusters
        unit = self.best if best is None else best
        counts = sorted({min(most, round(unit * each)) for each in multiples})
        repeats = range(self.settings.repeats)
        wanted = [(count, repeat) for count in counts for repeat in repeats]
        return self._attempts(wanted, restarts)

    def _attempts(self, wanted: Sequence[tuple[int, int]], restarts: int) -> list[Attempt]:
        missing = [key for key in wanted if key not in self.attempts]
        # Apart for all repeats, however many restarts each has: the same start would vote twice.
        most = max(self.settings.restarts, self.settings.part_restarts)
        first = self.seed + _APART * self.settings.seed
        starts = [
            (n_clusters, first + repeat * most + restart)
            for n_clusters, repeat in missing
            for restart in range(restarts)
        ]
        runs = iter(spherical_clusterings(self.vectors, starts))
        for n_clusters, repeat in missing:
            self.attempts[n_clusters, repeat] = self._best_of(list(islice(runs, restarts)), repeat)
        return [self.attempts[key] for key in wanted]

    def _best_of(self, runs: Sequence[Clustering], repeat: int) -> Attempt:
        silhouettes = [held_out_silhouettes(self.held_out, run.centroids) for run in runs]
        scores = [float(np.mean(each)) for each in silhouettes]
        best = int(np.argmax(scores))
        error = float(np.std(silhouettes[best])) / math.sqrt(len(self.held_out))
        return Attempt(self.space, repeat, self.vectors, runs[best], scores[best], error)
