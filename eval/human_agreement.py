"""What people's answers say of explanations: how often they are right, and how far they agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.human_sheet import HumanKey, HumanTask
from eval.intervals import bootstrap_interval
from eval.records import Figure
from indexer.arrays import DoubleArray
from indexer.records import Record

PROTOCOL = "human"
FEWEST_ITEMS = 5
_RESAMPLES = 1000


class RaterAnswers(Record):
    """One rater's options by question, counted from 0; a question without an answer is left out.

    -1 stands for "none of them".
    """

    rater: str
    sheet: str
    answers: dict[str, int]


NONE_OF_THEM = -1


def human_figures(key: HumanKey, raters: Sequence[RaterAnswers], seed: int) -> list[Figure]:
    """Accuracy, share answered, and Krippendorff's alpha (nominal) of each task.

    Accuracy averages over questions, of each the share of its raters that are right; "none of them"
    is wrong. Its null is guessing among the options. Alpha (Krippendorff 2011) is 0 where raters
    agree as often as chance would let them. Intervals draw whole questions.

    Raises:
        ValueError: two raters have one name, or one answers another sheet or names an option or a
            question that is not there.
    """
    _check(key, raters)
    figures = []
    for task in HumanTask:
        places = [place for place, entry in enumerate(key.entries) if entry.task is task]
        if places:
            figures += _task_figures(task, key, places, raters, seed)
    return figures


def _check(key: HumanKey, raters: Sequence[RaterAnswers]) -> None:
    names = [rater.rater for rater in raters]
    if len(set(names)) != len(names):
        raise ValueError(f"raters are {', '.join(names)}; expected each name once")
    options = {entry.id: entry.n_options for entry in key.entries}
    for rater in raters:
        if rater.sheet != key.sheet:
            raise ValueError(
                f"{rater.rater} answers sheet {rater.sheet}, the key is of sheet {key.sheet}"
            )
        for item, option in rater.answers.items():
            if item not in options:
                raise ValueError(f"{rater.rater} answers {item}, which the sheet does not have")
            if not NONE_OF_THEM <= option < options[item]:
                raise ValueError(
                    f"{rater.rater} answers {item} with option {option + 1} of {options[item]}"
                )


def _task_figures(
    task: HumanTask,
    key: HumanKey,
    places: Sequence[int],
    raters: Sequence[RaterAnswers],
    seed: int,
) -> list[Figure]:
    entries = [key.entries[place] for place in places]
    chosen = np.array(
        [[rater.answers.get(entry.id, np.nan) for entry in entries] for rater in raters],
        dtype=np.float64,
    ).reshape(len(raters), len(entries))
    answered = np.isfinite(chosen)
    right = chosen == np.array([entry.right for entry in entries])
    asked = np.flatnonzero(answered.any(axis=0))
    if asked.size < FEWEST_ITEMS:
        reason = (
            f"{asked.size} of {len(entries)} questions are answered, at least {FEWEST_ITEMS} are "
            "needed; collect more answers"
        )
        return [Figure.refused(PROTOCOL, reason, metric="accuracy", variant=task, n=asked.size)]
    shares = right[:, asked].sum(axis=0) / answered[:, asked].sum(axis=0)
    guessing = float(np.mean([1.0 / entries[place].n_options for place in asked]))
    interval = bootstrap_interval(shares, seed=seed)
    accuracy = Figure(
        protocol=PROTOCOL,
        variant=task,
        metric="accuracy",
        split="test",
        value=float(shares.mean()),
        ci_low=None if interval is None else interval.low,
        ci_high=None if interval is None else interval.high,
        null=guessing,
        n=int(asked.size),
    )
    share = Figure(
        protocol=PROTOCOL,
        variant=task,
        metric="answered",
        split="test",
        value=float(answered.mean()),
        n=int(answered.size),
    )
    return [accuracy, share, _agreement(task, chosen, seed)]


def _agreement(task: HumanTask, chosen: DoubleArray, seed: int) -> Figure:
    """Krippendorff's alpha over the questions that two raters or more have answered."""
    shared = chosen[:, np.isfinite(chosen).sum(axis=0) >= 2]
    n_shared = shared.shape[1]
    if n_shared < FEWEST_ITEMS:
        reason = (
            f"{n_shared} questions are answered by two raters or more, at least {FEWEST_ITEMS} are "
            "needed to tell how far raters agree"
        )
        return Figure.refused(PROTOCOL, reason, metric="alpha", variant=task, n=n_shared)
    value = _alpha(shared)
    if value is None:
        reason = "all raters chose the same option everywhere, which leaves agreement undefined"
        return Figure.refused(PROTOCOL, reason, metric="alpha", variant=task, n=n_shared)
    generator = np.random.default_rng(seed)
    drawn = [
        alpha
        for places in generator.integers(n_shared, size=(_RESAMPLES, n_shared))
        if (alpha := _alpha(shared[:, places])) is not None
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Figure(
        protocol=PROTOCOL,
        variant=task,
        metric="alpha",
        split="test",
        value=value,
        ci_low=float(low),
        ci_high=float(high),
        null=0.0,
        n=n_shared,
    )


def _alpha(chosen: DoubleArray) -> float | None:
    """Alpha of raters by questions (`n_raters, n_questions`, NaN unanswered); None if undefined."""
    import krippendorff

    if np.unique(chosen[np.isfinite(chosen)]).size < 2:
        return None
    return float(krippendorff.alpha(reliability_data=chosen, level_of_measurement="nominal"))
