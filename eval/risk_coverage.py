"""Of the neurons that are described, how many are described right, the surest first?

A description is right if the first descriptor means a label that is gold for the neuron. Neurons
are ordered by what the run knew of its matches without labels; at a coverage of a tenth only the
surest tenth of the described neurons is judged (El-Yaniv & Wiener 2010; Geifman & El-Yaniv 2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from eval.intervals import Interval
from eval.mean_figures import mean, mean_figure
from eval.metrics import Ranking, ranked_hits
from eval.rankings import commonest_descriptors
from eval.records import Figure
from eval.recovery_inputs import RecoveryInputs
from eval.variants import Reading, Variant
from indexer.arrays import BoolArray, DoubleArray, IntArray
from neurons.matching import TAILS
from neurons.records import Explanation

PROTOCOL = "label_recovery"
FEWEST_NEURONS = 20
"""A precision over fewer neurons is not told."""

AREA = "AURC"
PERFECT_AREA = "AURC_perfect"
_RESAMPLES = 200


def match_confidences(explanations: Sequence[Explanation]) -> tuple[IntArray, IntArray]:
    """How sure each neuron's first match is, for each of `TAILS` (`n_neurons`).

    Places among all different pieces of evidence, which discover alone tells, the surest highest;
    0 where a neuron abstains. Neurons come in the order of their explanations.
    """
    described = {each.matches[0].evidence for each in explanations if each.matches}
    place = {evidence: 1 + n for n, evidence in enumerate(sorted(described, reverse=True))}
    confidences = [
        np.array(
            [
                place[each.matches[0].evidence] if each.matches else 0
                for each in explanations
                if each.tail is tail
            ],
            dtype=np.int64,
        )
        for tail in TAILS
    ]
    return (confidences[0], confidences[1])


def risk_coverage(
    inputs: RecoveryInputs,
    confidence: IntArray,
    *,
    taus: Sequence[float],
    coverages: Sequence[float],
    seed: int,
) -> list[Figure]:
    """Precision at rank 1 at each coverage, and the area under the risk-coverage curve.

    Variants at each tau: `tau=T risk_coverage`, of the described neurons that carry a gold label,
    and `tau=T risk_coverage every_neuron`, of all that are described, where one without a gold
    label is described wrong. With them `coverage=C`: P at k = 1 of that share; `null` is the
    precision in random order, `baseline` that of the commonest descriptor for the same neurons.
    AURC is the mean share of wrong descriptions over all coverages, lower being better; its null is
    random order, and AURC_perfect has every right description before every wrong one. Neurons of
    one confidence share the mean of what they get.

    A coverage of fewer than 20 neurons is left out. Where fewer than 20 described neurons carry a
    gold label, there is only an AURC without a value, which says so.

    Args:
        inputs: the facet's gold labels and what was said of the neurons.
        confidence: higher is surer; only order counts (`n_neurons`).
        taus: the AUROC from which on a label is gold.
        coverages: shares of the described neurons, above 0 and at most 1.
        seed: of the bootstrap.

    Raises:
        ValueError: one confidence a neuron is missing, or a coverage is out of range.
    """
    if confidence.shape != (inputs.ranking.n_neurons,):
        raise ValueError(
            f"confidences have shape {confidence.shape}, expected ({inputs.ranking.n_neurons},)"
        )
    if any(not 0.0 < coverage <= 1.0 for coverage in coverages):
        raise ValueError(f"coverages are {list(coverages)}, expected above 0 and at most 1")
    described = inputs.ranking.described
    figures = []
    for tau in taus:
        gold = inputs.gold(tau)
        carriers = described & gold.any(axis=1)
        if carriers.sum() < FEWEST_NEURONS:
            figures.append(_too_few(inputs, tau, int(carriers.sum())))
            continue
        for reading, chosen in (
            (Reading.RISK_COVERAGE, carriers),
            (Reading.RISK_COVERAGE_EVERY_NEURON, described),
        ):
            neurons = np.flatnonzero(chosen)
            curve = _Curve(inputs, gold[neurons], neurons, confidence[neurons])
            variant = Variant(reading, tau)
            points = [curve.at(variant, coverage, seed) for coverage in coverages]
            figures += [*(each for each in points if each is not None), *curve.areas(variant, seed)]
    return figures


def _too_few(inputs: RecoveryInputs, tau: float, n_found: int) -> Figure:
    """None at all needs no words: it is what figures without neurons say elsewhere."""
    reason = (
        f"found {n_found} described neurons with a label of AUROC {tau:g} or more, expected at "
        f"least {FEWEST_NEURONS}; a lower tau would find more"
    )
    return Figure(
        protocol=PROTOCOL,
        variant=str(Variant(Reading.RISK_COVERAGE, tau)),
        metric=AREA,
        split=inputs.split,
        facet=inputs.facet,
        value=None,
        n=n_found,
        reason=reason if n_found else "",
    )


class _Curve:
    """Described neurons, the surest first, and which are described right."""

    def __init__(
        self, inputs: RecoveryInputs, gold: BoolArray, neurons: IntArray, confidence: IntArray
    ) -> None:
        self._inputs = inputs
        order = np.argsort(-confidence, kind="stable")
        ties = confidence[order]
        always = commonest_descriptors(inputs.descriptor_sizes, 1, neurons.size)
        self._right = self._first_hits(gold, inputs.ranking.take(neurons))
        self._expected = _shared_among_ties(self._right[order], ties)
        self._commonest = _shared_among_ties(self._first_hits(gold, always)[order], ties)

    def _first_hits(self, gold: BoolArray, ranking: Ranking) -> DoubleArray:
        hits = ranked_hits(gold, self._inputs.meanings, ranking, 1)
        return np.asarray(hits.any(axis=1), dtype=np.float64)

    def at(self, variant: Variant, coverage: float, seed: int) -> Figure | None:
        """Precision of the surest neurons, None where they are too few."""
        n_covered = math.ceil(round(coverage * self._expected.size, 9))
        if n_covered < FEWEST_NEURONS:
            return None
        figure = mean_figure(
            self._expected[:n_covered],
            protocol=PROTOCOL,
            variant=str(replace(variant, coverage=coverage)),
            metric="P",
            k=1,
            split=self._inputs.split,
            facet=self._inputs.facet,
            baseline=self._commonest[:n_covered],
            seed=seed,
        )
        return figure.model_copy(update={"null": mean(self._right)})

    def areas(self, variant: Variant, seed: int) -> list[Figure]:
        """The area under the curve, and what it would be in perfect order."""
        interval = _area_interval(self._expected, seed)
        area = Figure(
            protocol=PROTOCOL,
            variant=str(variant),
            metric=AREA,
            split=self._inputs.split,
            facet=self._inputs.facet,
            value=risk_area(self._expected),
            ci_low=interval.low,
            ci_high=interval.high,
            null=1.0 - math.fsum(self._right) / self._right.size,
            n=self._right.size,
        )
        perfect: dict[str, float | str | None] = {
            "metric": PERFECT_AREA,
            "value": risk_area(np.sort(self._right)[::-1]),
        }
        return [
            area,
            area.model_copy(update=perfect | dict.fromkeys(("ci_low", "ci_high", "null"))),
        ]


def risk_area(right: DoubleArray) -> float:
    """Mean over all coverages of the share of wrong descriptions, the surest neuron first.

    Args:
        right: 1 where a description is right, 0 where it is wrong, or its expectation (`n_neurons`,
            at least one).
    """
    risks = 1.0 - np.cumsum(right) / np.arange(1, right.size + 1)
    return math.fsum(risks) / right.size


def _shared_among_ties(values: DoubleArray, ties: IntArray) -> DoubleArray:
    """Each value replaced by the mean over its run of equal ties (`n_neurons`)."""
    if not values.size:
        return values
    starts = np.flatnonzero(np.r_[True, ties[1:] != ties[:-1]])
    lengths = np.diff(np.r_[starts, ties.size])
    return np.asarray(np.repeat(np.add.reduceat(values, starts) / lengths, lengths))


def _area_interval(right: DoubleArray, seed: int) -> Interval:
    """95% percentile bootstrap of `risk_area` over neurons, which keep their order."""
    generator = np.random.default_rng(seed)
    places = np.arange(1, right.size + 1)
    areas = np.empty(_RESAMPLES)
    for resample in range(_RESAMPLES):
        drawn = np.sort(generator.integers(right.size, size=right.size))
        areas[resample] = np.mean(1.0 - np.cumsum(right[drawn]) / places)
    low, high = np.quantile(areas, [0.025, 0.975])
    return Interval(float(low), float(high))
