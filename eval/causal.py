"""The causal protocol: does changing a described neuron move the model's output as described?

The observational protocols ask when a neuron fires; this one asks what it does (Huang et al. 2023,
arXiv 2309.10312, the intervention mode). The subject model's own output is its sentence embedding.
A neuron is mean-ablated on the test sentences where it fires most, which should move the output
away from the descriptor, and raised on test sentences that the descriptor does not hold for, which
should move it towards the descriptor.

The shift of a neuron is the change of cosine between output and target, averaged over its
sentences, towards the target being positive. Cosines move little, and differently in every layer,
so the shift is divided by the standard deviation of the same shift under random directions:
vectors as long as what the neuron writes, in the same tokens of the same sentences. Any change
pulls an output away from what it was near to, so a shift means nothing beside zero. It is compared
with that of matched neurons, whose vectors are written in its place, and with the neuron's own
shift towards the targets of others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from eval.intervals import bootstrap_interval
from eval.label_recovery import Population
from eval.records import Figure
from indexer.arrays import DoubleArray, IntArray
from indexer.records import Record
from neurons.records import Site

PROTOCOL = "causal"
RANDOM_DIRECTION = "random_direction"
FEWEST_NEURONS = 10
FEWEST_SENTENCES = 20
FEWEST_DESCRIPTORS = 2
FEWEST_IN_PART = 5
"""A layer or a tail with fewer neurons has no figures of its own."""

RealArray = NDArray[np.floating[Any]]


class CausalSettings(Record):
    """How much is changed, on how many neurons and sentences.

    Attributes:
        site: where the neurons sit.
        neurons: described tails that are drawn, as many from each layer as it has.
        sentences: test sentences for each neuron and operation.
        strengths: by how many of its standard deviations over tokens a neuron is raised.
        controls: matched neurons for each neuron. It beats all of them by chance with probability
            1 / (controls + 1).
        directions: random directions for each neuron; their spread over all targets is the unit
            of shifts.
        target_sentences: discover members whose mean output makes a target.
        other_sentences: discover sentences whose mean output it is told from.
        moment_sentences: discover sentences over whose tokens means and deviations are taken.
    """

    site: Site = Site.FFN
    neurons: int = Field(default=60, ge=FEWEST_NEURONS)
    sentences: int = Field(default=20, ge=FEWEST_SENTENCES)
    strengths: tuple[float, ...] = (4.0,)
    controls: int = Field(default=9, ge=1)
    directions: int = Field(default=5, ge=3)
    target_sentences: int = Field(default=50, ge=1)
    other_sentences: int = Field(default=200, ge=1)
    moment_sentences: int = Field(default=300, ge=FEWEST_SENTENCES)

    @field_validator("strengths")
    @classmethod
    def _raise(cls, strengths: tuple[float, ...]) -> tuple[float, ...]:
        if any(not (math.isfinite(each) and each > 0.0) for each in strengths):
            raise ValueError(f"strengths are {strengths}, expected finite numbers above 0")
        return strengths


@dataclass(frozen=True, kw_only=True, eq=False)
class CausalShifts:
    """What one operation does to the output, seen from every target.

    Attributes:
        variant: the operation, `ablate` or `steer strength=4`.
        sign: -1 where the output should move away from the neuron's target, 1 towards it.
        cosines: mean change of cosine over a neuron's sentences (`n_neurons, n_conditions,
            n_targets`). Conditions are the neuron, its matched neurons, its random directions.
        own: the target of each neuron (`n_neurons`); the others are its permuted targets.
        n_controls: how many of the conditions are matched neurons.

    Raises:
        ValueError: shapes do not fit, a number is not finite, there are too few directions or they
            change nothing, or all neurons have one target.
    """

    variant: str
    sign: int
    cosines: DoubleArray
    own: IntArray
    n_controls: int

    def __post_init__(self) -> None:
        if self.cosines.ndim != 3 or self.own.shape != self.cosines.shape[:1]:
            raise ValueError(
                f"cosines have shape {self.cosines.shape} and own {self.own.shape}, expected "
                "(n_neurons, n_conditions, n_targets) and (n_neurons,)"
            )
        if self.sign not in (-1, 1):
            raise ValueError(f"sign is {self.sign}, expected -1 or 1")
        n_directions = self.cosines.shape[1] - 1 - self.n_controls
        if self.n_controls < 1 or n_directions < 2:
            raise ValueError(
                f"there are {self.n_controls} matched neurons and {n_directions} directions, "
                "expected at least 1 and 2"
            )
        if not np.isfinite(self.cosines).all():
            raise ValueError("cosines hold NaN or infinity")
        if ((self.own < 0) | (self.own >= self.cosines.shape[2])).any():
            raise ValueError(f"own targets are not within the {self.cosines.shape[2]} there are")
        if len(np.unique(self.own)) < FEWEST_DESCRIPTORS:
            raise ValueError("all neurons have one target; expected 2 or more, to permute them")
        if (self.spread == 0.0).any():
            raise ValueError("random directions move an output nowhere; leave such neurons out")

    @property
    def spread(self) -> DoubleArray:
        """Standard deviation under random directions, over all targets (`n_neurons`).

        The root of the mean variance: a few directions tell little of one target, much of all.
        """
        variances = self.cosines[:, 1 + self.n_controls :].var(axis=1, ddof=1)
        return np.asarray(np.sqrt(variances.mean(axis=1)), dtype=np.float64)


def cosine_shifts(clean: RealArray, changed: RealArray, targets: RealArray) -> DoubleArray:
    """Mean change of cosine over sentences (`n_conditions, n_targets`); all vectors of length 1.

    Args:
        clean: outputs of the model as it is (`n_sentences, dimension`).
        changed: outputs under each condition (`n_conditions, n_sentences, dimension`).
        targets: what they are compared with (`n_targets, dimension`).
    """
    moved = changed.astype(np.float64) - clean.astype(np.float64)
    return np.asarray(moved.mean(axis=1) @ targets.astype(np.float64).T)


def member_targets(
    outputs: RealArray, members: Sequence[IntArray], others: Sequence[IntArray]
) -> DoubleArray:
    """From where other sentences are to where a descriptor's are (`n_targets, dimension`).

    A target is the mean output of members less the mean output of others, at length 1. It needs
    no text, so it works for any output.

    Args:
        outputs: of some sentences (`n_rows, dimension`).
        members: rows of each target's members.
        others: rows of sentences that are none.

    Raises:
        ValueError: a target has no members or no others, or they have the same mean.
    """
    if any(not len(each) for each in (*members, *others)):
        raise ValueError("a target has no members or no others; leave it out first")
    exact = outputs.astype(np.float64)
    pairs = zip(members, others, strict=True)
    targets = np.stack([exact[own].mean(axis=0) - exact[rest].mean(axis=0) for own, rest in pairs])
    lengths = np.linalg.norm(targets, axis=1, keepdims=True)
    if (lengths == 0.0).any():
        raise ValueError("a target's members have the mean output of the others")
    return np.asarray(targets / lengths)


def causal_figures(
    shifts: CausalShifts, populations: Sequence[Population], *, seed: int
) -> list[Figure]:
    """The figures of one operation and one kind of target.

    Metrics, all means over neurons with bootstrap intervals over them:

    * `cosine`: the shift as a change of cosine.
    * `shift`: the same in standard deviations under random directions.
    * `beats_controls`: whether the output is shifted further in the expected direction than by
      every matched neuron.
    * `excess`: how much further it is shifted in the expected direction than by the matched neurons
      on average, in the same standard deviations. Above 0: the neuron moves the output as described
      more than other neurons would.
    * `specific`: how much further it is shifted so than towards the targets of the other neurons on
      average. Above 0 and above its baseline: it does so for its own descriptor more than for
      others.

    `null` is the same figure with permuted targets, those of the other neurons in the sample, and
    `baseline` that of the matched neurons; for `beats_controls` it is 1 / (n_controls + 1), the
    share of a neuron that is exchangeable with them. The reading `random_direction` is `shift`
    under random directions.

    Args:
        shifts: of all neurons.
        populations: neurons that are judged together; the name is the end of the variant.
        seed: of the bootstrap.
    """
    readings = _readings(shifts)
    figures: list[Figure] = []
    for population in populations:
        variant = f"{shifts.variant} {population.name}".rstrip()
        n_neurons = len(population.neurons)
        if n_neurons < FEWEST_IN_PART:
            reason = (
                f"{n_neurons} described neurons were drawn, expected {FEWEST_IN_PART} or more; "
                "draw more neurons"
            )
            figures.append(Figure.refused(PROTOCOL, reason, variant=variant, n=n_neurons))
            continue
        figures += [_figure(each.take(population.neurons), variant, seed) for each in readings]
    return figures


@dataclass(frozen=True, eq=False)
class _Reading:
    """A metric's value for each neuron, with its null and baseline (`n_neurons` each)."""

    metric: str
    values: DoubleArray
    null: DoubleArray
    baseline: DoubleArray | None
    word: str = ""

    def take(self, neurons: IntArray) -> _Reading:
        baseline = None if self.baseline is None else self.baseline[neurons]
        return replace(
            self, values=self.values[neurons], null=self.null[neurons], baseline=baseline
        )


def _readings(shifts: CausalShifts) -> list[_Reading]:
    spread, last = shifts.spread, 1 + shifts.n_controls
    own, others = partial(_own, targets=shifts.own), partial(_others, targets=shifts.own)
    cosine, standardised = shifts.cosines[:, 0], shifts.cosines / spread[:, None, None]
    neuron, controls = standardised[:, 0], standardised[:, 1:last]
    matched, directions = controls.mean(axis=1), standardised[:, last:].mean(axis=1)
    beats = (shifts.sign * neuron > (shifts.sign * controls).max(axis=1)).astype(np.float64)
    excess = shifts.sign * (neuron - matched)
    chance, zero = np.full(len(neuron), 1.0 / last), np.zeros(len(neuron))

    def specific(values: DoubleArray) -> DoubleArray:
        return np.asarray(shifts.sign * (own(values) - others(values)))

    return [
        _Reading(
            "cosine", own(cosine), others(cosine), own(shifts.cosines[:, 1:last].mean(axis=1))
        ),
        _Reading("shift", own(neuron), others(neuron), own(matched)),
        _Reading("beats_controls", own(beats), others(beats), chance),
        _Reading("excess", own(excess), others(excess), zero),
        _Reading("specific", specific(neuron), zero, specific(matched)),
        _Reading("shift", own(directions), others(directions), None, RANDOM_DIRECTION),
    ]


def _figure(reading: _Reading, variant: str, seed: int) -> Figure:
    interval = bootstrap_interval(reading.values, seed=seed)
    return Figure(
        protocol=PROTOCOL,
        variant=_with_word(variant, reading.word),
        metric=reading.metric,
        split="test",
        value=_mean(reading.values),
        ci_low=None if interval is None else interval.low,
        ci_high=None if interval is None else interval.high,
        null=_mean(reading.null),
        baseline=None if reading.baseline is None else _mean(reading.baseline),
        n=len(reading.values),
    )


def _own(values: DoubleArray, targets: IntArray) -> DoubleArray:
    """The values for each neuron's own target (`n_neurons`)."""
    return values[np.arange(len(values)), targets]


def _others(values: DoubleArray, targets: IntArray) -> DoubleArray:
    """The means over the targets of all other neurons (`n_neurons`).

    Every other neuron counts alike, but for those that have the same target.
    """
    counts = np.bincount(targets, minlength=values.shape[1])
    weights = counts[None, :] * (np.arange(values.shape[1])[None, :] != targets[:, None])
    return np.asarray((values * weights).sum(axis=1) / weights.sum(axis=1))


def _with_word(variant: str, word: str) -> str:
    """The variant with a word after the operation."""
    operation, _, rest = variant.partition(" ")
    return " ".join(part for part in (operation, word, rest) if part)


def _mean(values: DoubleArray) -> float:
    return math.fsum(values) / len(values)
