"""Does what a run found clear its controls? Said of every figure, and protocol by protocol.

`eval.verdicts` judges the headline of label recovery; here are all other protocols. Figures that
describe a control rather than the run, points of curves and low tails are not judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from eval.controls import PROTOCOL as CONTROLS
from eval.controls import goal
from eval.facets import MINIMUM_NEURONS
from eval.label_recovery import PROTOCOL as LABEL_RECOVERY
from eval.plot_words import percent
from eval.records import Figure
from eval.report_tables import place_words
from eval.variant_words import VariantWords, without_curves
from eval.variants import Reading
from eval.verdicts import Standing, judge, judge_facets


class Outcome(StrEnum):
    """What is said of a figure or of a protocol."""

    FAILS = "does not clear its controls"
    CLEARS = "clears its controls"
    TOO_FEW = "too few to judge"
    REFUSED = "not evaluated"


@dataclass(frozen=True, slots=True)
class FigureVerdict:
    """A figure, what is said of it, and why."""

    figure: Figure
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some figures have an outcome; `place` says which one it is, where that helps."""

    text: str
    place: str
    n_figures: int


@dataclass(frozen=True, slots=True)
class ProtocolVerdict:
    """All verdicts on the figures of one protocol.

    One figure that fails makes the protocol fail. A protocol that was refused in part only goes by
    the other part; `refused` tells what was left out.
    """

    protocol: str
    verdicts: tuple[FigureVerdict, ...]

    def of(self, outcome: Outcome) -> tuple[FigureVerdict, ...]:
        """The verdicts of one kind, in order."""
        return tuple(each for each in self.verdicts if each.outcome is outcome)

    @property
    def outcome(self) -> Outcome | None:
        """The verdict that counts, None where nothing could be judged and nothing was refused."""
        found = {each.outcome for each in self.verdicts}
        return next((outcome for outcome in Outcome if outcome in found), None)

    def reasons(self, outcome: Outcome) -> tuple[Reason, ...]:
        """Each reason for an outcome once, in order."""
        found: dict[str, list[Figure]] = {}
        for each in self.of(outcome):
            found.setdefault(each.reason, []).append(each.figure)
        return tuple(
            # The reason of a null names it.
            Reason(
                text,
                place_words(figures[0]) if len(figures) == 1 and goal(figures[0]) is None else "",
                len(figures),
            )
            for text, figures in found.items()
        )


_MEASURES = {
    "observational": frozenset({"precision", "recall", "judged"}),
    "polysemanticity": frozenset(
        {"exemplar_groups", "covered", "descriptor_cosine", "several_descriptors"}
    ),
    "causal": frozenset({"cosine", "shift"}),
    "planted": frozenset({"described", "gold_concepts"}),
    "planted_model": frozenset({"described"}),
    "stability": frozenset({"described", "stable"}),
    "detection": frozenset({"judge_sensitive"}),
    "fuzzing": frozenset({"judge_sensitive"}),
}
"""Metrics that describe and make no claim, or for which more is not better."""


def judge_figure(figure: Figure) -> FigureVerdict | None:
    """The verdict on a figure, None where it is not one to judge.

    Of label recovery, only the concept side is judged here: its headline takes several figures. A
    figure clears its controls if its interval lies above its null and its baseline, as in
    `eval.verdicts.judge`. A null clears if no more is found in it than its goal allows.
    """
    if figure.reason:
        return FigureVerdict(figure, Outcome.REFUSED, figure.reason)
    if figure.value is None or not _says_something_of_the_run(figure):
        return None
    bound = goal(figure)
    if bound is None and not _can_be_judged(figure):
        return None
    if figure.n < MINIMUM_NEURONS:
        reason = f"n is {figure.n}, fewer than {MINIMUM_NEURONS}."
        return FigureVerdict(figure, Outcome.TOO_FEW, reason)
    if bound is not None:
        return _judged_null(figure, figure.value, bound)
    headline = judge(figure)
    outcome = Outcome.CLEARS if headline.standing is Standing.CLEARS else Outcome.FAILS
    return FigureVerdict(figure, outcome, headline.reason)


def judge_protocols(figures: Iterable[Figure]) -> tuple[ProtocolVerdict, ...]:
    """Every protocol with its verdict, those that fail first, else in order of appearance."""
    kept = tuple(figures)
    found: dict[str, list[FigureVerdict]] = {figure.protocol: [] for figure in kept}
    for figure in kept:
        verdict = judge_figure(figure)
        if verdict is not None:
            found[figure.protocol].append(verdict)
    if LABEL_RECOVERY in found:
        found[LABEL_RECOVERY][:0] = _label_recovery(without_curves(kept))
    protocols = [ProtocolVerdict(name, tuple(own)) for name, own in found.items()]
    return tuple(sorted(protocols, key=lambda each: each.outcome is not Outcome.FAILS))


def _label_recovery(figures: Iterable[Figure]) -> list[FigureVerdict]:
    outcomes = {
        Standing.CLEARS: Outcome.CLEARS,
        Standing.FAILS: Outcome.FAILS,
        Standing.TOO_FEW: Outcome.TOO_FEW,
    }
    return [
        FigureVerdict(headline.figure, outcomes[headline.standing], headline.reason)
        for facet in judge_facets(figures)
        for headline in (facet.precision, facet.recall)
        if headline.standing in outcomes
    ]


def _says_something_of_the_run(figure: Figure) -> bool:
    words = VariantWords.parse(figure.variant)
    if words.is_point_of_a_curve or words.is_negative_tail:
        return False
    if figure.protocol == LABEL_RECOVERY:
        return " ".join(words.plain) == Reading.CONCEPT
    return figure.metric not in _MEASURES.get(figure.protocol, ())


def _can_be_judged(figure: Figure) -> bool:
    if figure.protocol == CONTROLS and figure.metric != "learned":
        # Values of random weights or random directions, with those of the run as baseline.
        return False
    has_controls = figure.null is not None or figure.baseline is not None
    return figure.ci_low is not None and has_controls


def _judged_null(figure: Figure, value: float, bound: float) -> FigureVerdict:
    words = VariantWords.parse(figure.variant)
    level, site = words.settings.get("q", ""), words.settings.get("site", "")
    control = words.plain[0].replace("_", " ") + (f" ({site})" if site else "")
    what = "neurons are described" if figure.metric == "described" else f"pairs have q ≤ {level}"
    found = f"{100 * value:.2f} % of {what} under {control}"
    if value > bound:
        reason = f"{found}, where at most {percent(bound)} may be."
        return FigureVerdict(figure, Outcome.FAILS, reason)
    return FigureVerdict(figure, Outcome.CLEARS, f"{found}; at most {percent(bound)} may be.")
