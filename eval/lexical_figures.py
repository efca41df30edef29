"""Figures of the lexical baseline: how much of what is described goes beyond random weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.controls import PROTOCOL, ControlSettings
from eval.intervals import Interval, bootstrap_interval, ratio_interval
from eval.lexical import LexicalBaseline, LexicalControl, LexicalRecord, LexicalSample
from eval.lexical_held_out import HeldOut, held_out
from eval.records import Figure
from indexer.arrays import BoolArray, DoubleArray, IntArray
from neurons.matching import TAILS
from neurons.records import NeuronId, Site

STRONG = 0.9


@dataclass(frozen=True)
class TrainedUnits:
    """The run's neurons as they are compared with random ones.

    Attributes:
        neurons: their addresses (`n_neurons`).
        varying: which are not constant (`n_neurons`).
        best: AUROC on test of the first candidate of each tail (`n_neurons, 2`).
        described: which tails are described (`n_neurons, 2`).
        first_match: AUROC on test of the first match of each tail that is (`n_neurons, 2`).
    """

    neurons: Sequence[NeuronId]
    varying: BoolArray
    best: DoubleArray
    described: BoolArray
    first_match: DoubleArray


def lexical_figures(
    record: LexicalRecord, trained: TrainedUnits, settings: ControlSettings, seed: int
) -> list[Figure]:
    """Shares of described tails that are `learned`, and what the random units reach.

    Variants name the control, then layer, tail and site; without them it is all neurons together.
    `learned`: its `null` is the same share of all random units judged by others of their kind, and
    its `baseline` the share that as many random units would make it: those among them that the
    run's thresholds describe and that come out learned, for each described tail of the run. Both
    are left out where random units are too few. `best_AUROC` (the median), `best_AUROC_share`
    (`tau=0.9`) and `described` are values of the random units, with those of the run's neurons as
    `baseline`.

    Args:
        record: what was found in random models.
        trained: the run's neurons.
        settings: fewer units than its `minimum_neurons` make no figure.
        seed: of the intervals, which are bootstrapped over neurons.
    """
    controls = sorted({sample.control for sample in record.samples})
    if not controls:
        reason = record.reason or "no unit of the random-weight model was matched; run again"
        return [Figure.refused(PROTOCOL, reason, variant=LexicalControl.RANDOM_WEIGHTS)]
    figures = []
    for control in controls:
        baseline = LexicalBaseline(record, control)
        learned = _Learned.of(baseline, trained)
        for group in _groups(control, record.samples, trained):
            figures.append(_learned_figure(group, learned, settings, seed))
            figures += _random_figures(group, trained, settings, seed)
    return figures


@dataclass(frozen=True)
class _Group:
    """Units that a figure speaks of: random ones by their samples, the run's by their places."""

    variant: str
    samples: tuple[LexicalSample, ...]
    neurons: IntArray
    tails: IntArray


def _groups(
    control: LexicalControl, samples: Sequence[LexicalSample], trained: TrainedUnits
) -> Iterator[_Group]:
    layers = np.array([neuron.layer for neuron in trained.neurons])
    sites = np.array([neuron.site.value for neuron in trained.neurons])
    own = [sample for sample in samples if sample.control is control]
    every = np.arange(len(TAILS))
    yield _Group(str(control), tuple(own), np.arange(len(trained.neurons)), every)
    for site in sorted({sample.site for sample in own}):
        here = [sample for sample in own if sample.site is site]
        for number, tail in enumerate(TAILS):
            of_tail = tuple(sample for sample in here if sample.tail is tail)
            inside = sites == site.value
            where = f"tail={tail} site={site}"
            yield _Group(f"{control} {where}", of_tail, np.flatnonzero(inside), every[[number]])
            for layer in sorted({sample.layer for sample in of_tail}):
                yield _Group(
                    f"{control} layer={layer} {where}",
                    tuple(sample for sample in of_tail if sample.layer == layer),
                    np.flatnonzero(inside & (layers == layer)),
                    every[[number]],
                )


@dataclass(frozen=True)
class _Learned:
    """Which tails of the run can be judged, and are learned (`n_neurons, 2` each)."""

    judged: BoolArray
    learned: BoolArray

    @classmethod
    def of(cls, baseline: LexicalBaseline, trained: TrainedUnits) -> _Learned:
        judged = np.zeros(trained.described.shape, dtype=np.bool_)
        learned = judged.copy()
        neurons, tails = np.nonzero(trained.described)
        found = baseline.standings(
            [trained.neurons[neuron] for neuron in neurons.tolist()],
            [TAILS[tail] for tail in tails.tolist()],
            trained.first_match[neurons, tails],
        )
        judged[neurons, tails] = found.judged
        learned[neurons, tails] = found.learned
        return cls(judged, learned)


def _learned_figure(
    group: _Group, learned: _Learned, settings: ControlSettings, seed: int
) -> Figure:
    place = np.ix_(group.neurons, group.tails)
    wholes = learned.judged[place].sum(axis=1, dtype=np.int64)
    parts = learned.learned[place].sum(axis=1, dtype=np.int64)
    n_tails = int(wholes.sum())
    if n_tails < settings.minimum_neurons:
        reason = (
            f"{n_tails} tails are described and can be judged, expected "
            f"{settings.minimum_neurons} or more; match with more sentences or descriptors"
        )
        return Figure.refused(PROTOCOL, reason, metric="learned", variant=group.variant, n=n_tails)
    described = wholes > 0
    control = held_out(group.samples, seed)
    return _figure(
        group.variant,
        "learned",
        "test",
        int(parts.sum()) / n_tails,
        ratio_interval(parts[described], wholes[described], seed=seed),
        n_tails,
        null=_share(control.units, settings.minimum_neurons),
        baseline=_imitated(control, n_tails / learned.judged[place].size, settings),
    )


def _imitated(control: HeldOut, described: float, settings: ControlSettings) -> float | None:
    """Described and learned tails of random units, for each described tail of as many others.

    A share among described random tails alone would say nothing where few of them are described:
    the fewer, the stronger they are.
    """
    if control.units.size < settings.minimum_neurons:
        return None
    return min(1.0, int(control.matches.sum()) / control.units.size / described)


def _random_figures(
    group: _Group, trained: TrainedUnits, settings: ControlSettings, seed: int
) -> list[Figure]:
    """What the random units of a group reach, beside the run's."""
    varying = group.neurons[trained.varying[group.neurons]]
    own = trained.best[np.ix_(varying, group.tails)].ravel()
    random = np.concatenate([np.empty(0), *(sample.judged for sample in group.samples)])
    described = _described(group.samples)
    observed = trained.described[np.ix_(group.neurons, group.tails)].any(axis=1)
    told: list[tuple[str, str, str, DoubleArray, DoubleArray, Any]] = [
        (group.variant, "best_AUROC", "test", random, own, np.median),
        (
            _at_least(group.variant),
            "best_AUROC_share",
            "test",
            np.asarray(random >= STRONG, dtype=np.float64),
            np.asarray(own >= STRONG, dtype=np.float64),
            np.mean,
        ),
        (
            group.variant,
            "described",
            "validation",
            np.asarray(described, dtype=np.float64),
            np.asarray(observed, dtype=np.float64),
            np.mean,
        ),
    ]
    figures = []
    for variant, metric, split, values, baseline, statistic in told:
        if values.size < settings.minimum_neurons:
            reason = (
                f"{values.size} random units vary, expected {settings.minimum_neurons} or more; "
                "read more sites or raise the number of seeds"
            )
            figures.append(
                Figure.refused(
                    PROTOCOL, reason, metric=metric, variant=variant, split=split, n=values.size
                )
            )
            continue
        figures.append(
            _figure(
                variant,
                metric,
                split,
                _summary(values, statistic),
                bootstrap_interval(values, statistic, seed=seed),
                values.size,
                baseline=_summary(baseline, statistic) if baseline.size else None,
            )
        )
    return figures


def _described(samples: Sequence[LexicalSample]) -> BoolArray:
    """Which random units are described by any of the tails that are there (`n_units`)."""
    units: dict[tuple[int, int, Site], BoolArray] = {}
    for sample in samples:
        key = (sample.seed, sample.layer, sample.site)
        own = np.array([value is not None for value in sample.first_match], dtype=np.bool_)
        units[key] = units[key] | own if key in units else own
    return np.concatenate([np.zeros(0, dtype=np.bool_), *units.values()])


def _at_least(variant: str) -> str:
    control, *where = variant.split()
    return " ".join([control, f"tau={STRONG:g}", *where])


def _summary(values: DoubleArray, statistic: Any) -> float:
    """The statistic, the same for any order of the values."""
    return math.fsum(values) / values.size if statistic is np.mean else float(statistic(values))


def _share(chosen: BoolArray, minimum: int) -> float | None:
    """The share that is chosen, None of fewer than the minimum."""
    return int(chosen.sum()) / chosen.size if chosen.size >= minimum else None


def _figure(
    variant: str,
    metric: str,
    split: str,
    value: float,
    interval: Interval | None,
    n: int,
    *,
    null: float | None = None,
    baseline: float | None = None,
) -> Figure:
    return Figure(
        protocol=PROTOCOL,
        variant=variant,
        metric=metric,
        split=split,
        value=value,
        ci_low=None if interval is None else interval.low,
        ci_high=None if interval is None else interval.high,
        null=null,
        baseline=baseline,
        n=n,
    )
