"""What several readings of a neuron's descriptors score, and the figures that tell it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eval.defined_means import defined_mean
from eval.described_tails import DescribedTails, too_few
from eval.records import Figure
from indexer.arrays import BoolArray, DoubleArray

FIRST, MEAN, UNION, BEST = "", "mean", "union", "best"
SEVERAL = "several"


@dataclass(frozen=True, eq=False)
class ReadingScores:
    """Each metric of each reading for each tail (`n_tails, n_readings, n_metrics`).

    Attributes:
        readings: words of the variant; empty for the first descriptor alone.
        metrics: names of the metrics.
        own: scores of the tails' own descriptors; NaN where undefined.
        null: the same where nothing is to be found.
        baseline: the same for random descriptors.
    """

    readings: tuple[str, ...]
    metrics: tuple[str, ...]
    own: DoubleArray
    null: DoubleArray
    baseline: DoubleArray

    @classmethod
    def undefined(
        cls, n_tails: int, readings: tuple[str, ...], metrics: tuple[str, ...]
    ) -> ReadingScores:
        """Nothing but NaN, to be filled tail by tail."""
        own, null, baseline = np.full((3, n_tails, len(readings), len(metrics)), np.nan)
        return cls(readings, metrics, own, null, baseline)

    def figures(
        self,
        protocol: str,
        sample: DescribedTails,
        *,
        k: int,
        minimum_neurons: int,
        several_metrics: tuple[str, ...],
        seed: int,
        texts: str = "",
    ) -> list[Figure]:
        """Means over all tails, and over those with several descriptors.

        Args:
            protocol: of the figures.
            sample: the tails.
            k: how many descriptors the readings beyond the first take in.
            minimum_neurons: how many tails with several descriptors it takes to tell of them.
            several_metrics: what is told of those.
            seed: of the bootstrap.
            texts: a first word of every variant.
        """

        def figure(reading: str, word: str, metric: str, among: BoolArray) -> Figure:
            cell = (among, self.readings.index(reading), self.metrics.index(metric))
            return defined_mean(
                protocol,
                " ".join(part for part in (texts, reading, word, sample.name) if part),
                metric,
                self.own[cell],
                null=self.null[cell],
                baseline=self.baseline[cell],
                k=1 if reading == FIRST else k,
                seed=seed,
            )

        every = np.ones(len(sample), dtype=np.bool_)
        figures = [
            figure(each, "", metric, every) for each in self.readings for metric in self.metrics
        ]
        n_several = int(sample.several.sum())
        if n_several < minimum_neurons:
            name = " ".join(part for part in (texts, SEVERAL, sample.name) if part)
            what = "neurons with two descriptors or more"
            return [*figures, too_few(protocol, name, n_several, minimum_neurons, what)]
        return figures + [
            figure(each, SEVERAL, metric, sample.several)
            for each in self.readings
            for metric in several_metrics
        ]
