"""What a judge's answers come to: figures over neurons, and what is missing from them.

Every neuron is judged by its own description, by those of other neurons (the null) and by one made
of random descriptors (the baseline), on the same texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from eval.intervals import bootstrap_interval
from eval.judged_tails import FEWEST_NEURONS, Descriptions
from eval.judges import Judge, Unanswered, judge_word
from eval.records import Figure
from indexer.arrays import DoubleArray
from indexer.errors import BackendError

_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer")
_Tail = TypeVar("_Tail")


@dataclass(frozen=True)
class Population:
    """The tails of one site that are judged together, and why some that were drawn are not.

    `drawn` of the `described` tails were drawn by seed; `unfit` counts those that could not be
    judged, by reason. `where` and `level` are words of the variant: the tail and site, and what is
    judged where a protocol judges several things.
    """

    protocol: str
    where: str
    described: int
    drawn: int
    unfit: Mapping[str, int]
    level: str = ""

    @property
    def fit(self) -> int:
        """How many can be judged."""
        return self.drawn - sum(self.unfit.values())

    @property
    def enough(self) -> bool:
        """Whether figures may be told at all: 10 tails, and half of those drawn, can be judged."""
        return self.fit >= FEWEST_NEURONS and 2 * self.fit >= self.drawn

    def variant(self, *words: str) -> str:
        """A variant of these words that ends with the level, the tail and the site."""
        return " ".join(word for word in (*words, self.level, self.where) if word)

    def shortage(self) -> list[Figure]:
        """A figure that says why nobody judges these tails, or that some are left out."""
        if not self.enough:
            reason = (
                f"{self.described} tails are described, {self.drawn} were drawn and {self.fit} of "
                f"them can be judged{_listed(self.unfit)}; expected {FEWEST_NEURONS} or more, and "
                "half of those drawn. A larger corpus, more texts a neuron or a larger share of "
                "texts that count as active give each tail more to be judged on"
            )
            return [Figure.refused(self.protocol, reason, variant=self.variant(), n=self.fit)]
        if self.unfit:
            n_unfit = self.drawn - self.fit
            reason = f"{n_unfit} of {self.drawn} drawn tails are not judged{_listed(self.unfit)}"
            return [
                Figure.refused(
                    self.protocol, reason, metric="unfit", variant=self.variant(), n=n_unfit
                )
            ]
        return []


@dataclass(frozen=True, eq=False)
class JudgedScores:
    """What one judge's answers come to for every tail of a population.

    Attributes:
        judge: its name.
        metrics: for each metric a row for each tail that was answered for, a column for each
            description: its own, the swapped ones, the random one (`n_answered, n_descriptions`).
        answered: positions of these tails among those asked about.
        unanswered: why others are missing, counted.
    """

    judge: str
    metrics: Mapping[str, DoubleArray]
    answered: tuple[int, ...]
    unanswered: Mapping[str, int]

    @property
    def n_asked(self) -> int:
        """How many tails the judge was asked about."""
        return len(self.answered) + sum(self.unanswered.values())


@dataclass(frozen=True)
class JudgeFailed:
    """A judge that could not be used, or was cut short."""

    judge: str
    reason: str


def arms(descriptions: Descriptions, judge: Judge) -> tuple[str, ...]:
    """The descriptions that a judge is asked about: its own, those swapped, the random one."""
    swapped = descriptions.swapped[:1] if judge.is_paid_for else descriptions.swapped
    return (descriptions.own, *swapped, descriptions.random)


def ask_each(
    judge: Judge,
    ask: Callable[[list[_Question]], list[_Answer | Unanswered]],
    questions: Sequence[Sequence[_Question]],
) -> list[list[_Answer] | Unanswered] | JudgeFailed:
    """The answers to all questions about each tail, asked at once so that a judge can batch them.

    A tail is unanswered as soon as one of its questions is.

    Args:
        judge: who is asked.
        ask: its method that answers.
        questions: those about each tail.
    """
    try:
        answers = iter(ask([question for own in questions for question in own]))
    except BackendError as error:
        return JudgeFailed(judge.name, str(error))
    found: list[list[_Answer] | Unanswered] = []
    for own in questions:
        parts = [next(answers) for _ in own]
        missing = [part for part in parts if isinstance(part, Unanswered)]
        found.append(missing[0] if missing else [p for p in parts if not isinstance(p, Unanswered)])
    return found


def scores_of(
    judge: Judge,
    ask: Callable[[list[_Question]], list[_Answer | Unanswered]],
    tails: Sequence[_Tail],
    about: Callable[[_Tail], Sequence[_Question]],
    scored: Callable[[_Tail, list[_Answer]], Mapping[str, DoubleArray]],
) -> JudgedScores | JudgeFailed:
    """Ask a judge about every tail, and score its answers.

    Args:
        judge: who is asked.
        ask: its method that answers.
        tails: what it is asked about.
        about: the questions about a tail.
        scored: the metrics of a tail from the answers to them.
    """
    answers = ask_each(judge, ask, [about(tail) for tail in tails])
    if isinstance(answers, JudgeFailed):
        return answers
    return collect(
        judge,
        [
            own if isinstance(own, Unanswered) else scored(tail, own)
            for tail, own in zip(tails, answers, strict=True)
        ],
    )


def collect(
    judge: Judge, per_tail: Sequence[Mapping[str, DoubleArray] | Unanswered]
) -> JudgedScores:
    """The metrics of every tail that was answered for (`n_descriptions` each) as one table each."""
    scored = [each for each in per_tail if not isinstance(each, Unanswered)]
    missing = Counter(each.reason for each in per_tail if isinstance(each, Unanswered))
    names = list(scored[0]) if scored else []
    return JudgedScores(
        judge=judge.name,
        metrics={name: np.stack([each[name] for each in scored]) for name in names},
        answered=tuple(
            place for place, each in enumerate(per_tail) if not isinstance(each, Unanswered)
        ),
        unanswered=dict(sorted(missing.items())),
    )


def columns(rows: Sequence[Mapping[str, float | None]]) -> dict[str, DoubleArray]:
    """The metrics of a tail for each description (`n_descriptions`).

    Raises:
        ValueError: one is undefined.
    """
    undefined = sorted({name for row in rows for name, value in row.items() if value is None})
    if undefined:
        raise ValueError(f"{', '.join(undefined)} undefined; leave such tails out first")
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}


@dataclass(frozen=True)
class Told:
    """Under which metric and with which words of the variant a table of scores is told."""

    metric: str
    words: tuple[str, ...] = ()


def score_figures(
    population: Population,
    result: JudgedScores | JudgeFailed,
    told: Mapping[str, Told],
    maximum_missing: float,
    seed: int,
) -> list[Figure]:
    """Means over neurons with bootstrap intervals; what is missing is told beside them.

    Nothing is told but the reason where the judge failed, left more than `maximum_missing` of the
    neurons unanswered or answered for fewer than 10.

    Args:
        population: which tails were judged.
        result: what the judge's answers come to.
        told: which of its metrics become figures, and how they are named.
        maximum_missing: the largest share of unanswered neurons.
        seed: of the bootstrap.
    """
    named = judge_word([result.judge])
    variant = population.variant(named)
    if isinstance(result, JudgeFailed):
        reason = f"the judge {result.judge} failed: {result.reason}"
        return [Figure.refused(population.protocol, reason, variant=variant)]
    n_answered, n_missing = len(result.answered), sum(result.unanswered.values())
    answered = (
        f"the judge {result.judge} answered for {n_answered} of {result.n_asked} neurons"
        f"{_listed(result.unanswered)}"
    )
    if n_answered < FEWEST_NEURONS or n_missing > maximum_missing * result.n_asked:
        least = max(FEWEST_NEURONS, (1.0 - maximum_missing) * result.n_asked)
        reason = f"{answered}; expected {least:g} or more. Run again to ask for the rest"
        return [Figure.refused(population.protocol, reason, variant=variant, n=n_answered)]
    figures = [
        _figure(population, each, (named, *each.words), result.metrics[name], seed)
        for name, each in told.items()
        if name in result.metrics
    ]
    if n_missing:
        figures.append(
            Figure.refused(
                population.protocol,
                f"{answered}; its figures leave the others out. Run again to ask for the rest",
                metric="missing",
                variant=variant,
                n=n_missing,
            )
        )
    return figures


def _figure(
    population: Population, told: Told, words: tuple[str, ...], table: DoubleArray, seed: int
) -> Figure:
    own = table[:, 0]
    interval = bootstrap_interval(own, seed=seed)
    return Figure(
        protocol=population.protocol,
        variant=population.variant(*words),
        metric=told.metric,
        split="test",
        value=float(own.mean()),
        ci_low=None if interval is None else interval.low,
        ci_high=None if interval is None else interval.high,
        null=float(table[:, 1:-1].mean()),
        baseline=float(table[:, -1].mean()),
        n=len(own),
    )


def _listed(reasons: Mapping[str, int]) -> str:
    """` (server_failed 5, truncated 2)`, or nothing where there is no reason."""
    if not reasons:
        return ""
    return f" ({', '.join(f'{reason} {count}' for reason, count in reasons.items())})"
