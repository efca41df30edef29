"""Do two judges agree on which neurons are described well?

A judge alone may reward its own habits. Beside the figures of each judge stand the rank correlation
of their scores over neurons, and the share of judge-sensitive neurons: those whose description one
judge finds better than chance and another does not.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.intervals import bootstrap_interval
from eval.judge_scores import JudgedScores, Population
from eval.judged_tails import FEWEST_NEURONS
from eval.judges import judge_word
from eval.records import Figure
from indexer.arrays import BoolArray, DoubleArray, IntArray

SIGNIFICANCE = 0.05


def agreement_figures(
    population: Population,
    results: Sequence[JudgedScores],
    metric: str,
    seed: int,
) -> list[Figure]:
    """Spearman's rank correlation over neurons of each pair of judges' scores.

    Only neurons that both have answered for count. `null` is 0, which independent judges reach in
    expectation; `baseline` is the correlation of their scores for random descriptors, which tells
    how much they agree on the texts alone. Scores that are all the same agree with nothing: 0.

    Args:
        population: which tails were judged.
        results: what each judge's answers come to.
        metric: which of their metrics is compared.
        seed: of the bootstrap.
    """
    figures = []
    for first, second in itertools.combinations(results, 2):
        variant = population.variant(judge_word([first.judge, second.judge]), f"score={metric}")
        both = _shared([first, second])
        if len(both.tails) < FEWEST_NEURONS:
            figures.append(_too_few(population, variant, len(both.tails), "Spearman"))
            continue
        one, other = both.table(first, metric), both.table(second, metric)
        figures.append(
            _figure(
                population,
                variant,
                "Spearman",
                _Paired(one[:, 0], other[:, 0]),
                null=0.0,
                baseline=_rank_correlation(one[:, -1], other[:, -1]),
                seed=seed,
            )
        )
    return figures


def sensitivity_figures(
    population: Population,
    results: Sequence[JudgedScores],
    metric: str,
    n_items: IntArray,
    seed: int,
) -> list[Figure]:
    """The share of neurons on which the verdicts of the judges differ.

    A judge's verdict is whether it scores the active texts above the others, by a one-sided
    Mann-Whitney test at 0.05 of its AUROC. `null` is the share for swapped descriptions, `baseline`
    for random descriptors.

    Args:
        population: which tails were judged.
        results: what each judge's answers come to.
        metric: the AUROC that verdicts are made from.
        n_items: active texts, and others, of each tail (`n_tails, 2`).
        seed: of the bootstrap.
    """
    if len(results) < 2:
        return []
    variant = population.variant(judge_word([each.judge for each in results]))
    both = _shared(results)
    if len(both.tails) < FEWEST_NEURONS:
        return [_too_few(population, variant, len(both.tails), "judge_sensitive")]
    counts = n_items[list(both.tails)]
    verdicts = [beats_chance(both.table(each, metric), counts) for each in results]
    # A judge that is paid for has answered about the first of the swapped descriptions only.
    n_swapped = min(each.shape[1] for each in verdicts) - 2
    kept = [np.column_stack([each[:, : 1 + n_swapped], each[:, -1]]) for each in verdicts]
    stacked = np.stack(kept)
    differ: DoubleArray = np.asarray(stacked.any(axis=0) != stacked.all(axis=0), dtype=np.float64)
    interval = bootstrap_interval(differ[:, 0], seed=seed)
    return [
        Figure(
            protocol=population.protocol,
            variant=variant,
            metric="judge_sensitive",
            split="test",
            value=float(differ[:, 0].mean()),
            ci_low=None if interval is None else interval.low,
            ci_high=None if interval is None else interval.high,
            null=float(differ[:, 1:-1].mean()),
            baseline=float(differ[:, -1].mean()),
            n=len(differ),
        )
    ]


def beats_chance(areas: DoubleArray, n_items: IntArray) -> BoolArray:
    """Which areas lie above one half by a one-sided Mann-Whitney test at 0.05, without ties.

    Args:
        areas: AUROC of each description of each tail (`n_tails, n_descriptions`).
        n_items: active texts, and others, of each tail (`n_tails, 2`).
    """
    from scipy.special import ndtri

    active, others = n_items[:, 0].astype(np.float64), n_items[:, 1].astype(np.float64)
    spread = np.sqrt((active + others + 1.0) / (12.0 * active * others))
    return np.asarray(areas > 0.5 + float(ndtri(1.0 - SIGNIFICANCE)) * spread[:, None])


@dataclass(frozen=True)
class _Shared:
    """Tails that all judges have answered for."""

    tails: tuple[int, ...]

    def table(self, result: JudgedScores, metric: str) -> DoubleArray:
        """A judge's scores of these tails (`n_shared, n_descriptions`)."""
        places = {tail: row for row, tail in enumerate(result.answered)}
        table: DoubleArray = result.metrics[metric][[places[tail] for tail in self.tails]]
        return table


def _shared(results: Sequence[JudgedScores]) -> _Shared:
    return _Shared(tuple(sorted(set.intersection(*(set(each.answered) for each in results)))))


@dataclass(frozen=True, eq=False)
class _Paired:
    """Two judges' scores of the same neurons (`n_neurons` each)."""

    one: DoubleArray
    other: DoubleArray


def _figure(
    population: Population,
    variant: str,
    metric: str,
    pairs: _Paired,
    *,
    null: float,
    baseline: float,
    seed: int,
) -> Figure:
    def resampled(neurons: DoubleArray, axis: int) -> DoubleArray:
        drawn = neurons.astype(np.int64)
        return _row_correlations(pairs.one[drawn], pairs.other[drawn], axis)

    interval = bootstrap_interval(np.arange(len(pairs.one), dtype=np.float64), resampled, seed=seed)
    return Figure(
        protocol=population.protocol,
        variant=variant,
        metric=metric,
        split="test",
        value=_rank_correlation(pairs.one, pairs.other),
        ci_low=None if interval is None else interval.low,
        ci_high=None if interval is None else interval.high,
        null=null,
        baseline=baseline,
        n=len(pairs.one),
    )


def _too_few(population: Population, variant: str, n_found: int, metric: str) -> Figure:
    reason = (
        f"all of these judges answered for {n_found} neurons, expected {FEWEST_NEURONS} or more; "
        "run again to ask for the rest"
    )
    return Figure.refused(population.protocol, reason, metric=metric, variant=variant, n=n_found)


def _rank_correlation(one: DoubleArray, other: DoubleArray) -> float:
    return float(_row_correlations(one[None], other[None], 1)[0])


def _row_correlations(one: DoubleArray, other: DoubleArray, axis: int) -> DoubleArray:
    """Spearman's correlation along an axis; 0 where all scores are the same."""
    from scipy.stats import rankdata

    parts: list[Any] = []
    for scores in (one, other):
        ranks = rankdata(scores, axis=axis)
        parts.append(ranks - ranks.mean(axis=axis, keepdims=True))
    lengths = np.sqrt((parts[0] ** 2).sum(axis=axis) * (parts[1] ** 2).sum(axis=axis))
    products = (parts[0] * parts[1]).sum(axis=axis)
    out: DoubleArray = np.zeros_like(products)
    np.divide(products, lengths, out=out, where=lengths > 0.0)
    return out
