"""Judging a finished run again, or by more protocols."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eval.evaluation_settings import ProtocolName
from eval.records import Figure
from indexer.errors import InputError
from service.evaluation_stage import stage_name
from service.finished_run import FinishedRun
from service.pipeline import finished_stages

EVERY = "all"


def evaluate_run(
    out: Path,
    *,
    protocols: Sequence[str] | None = None,
    judge: str | None = None,
    again: bool = False,
    answers: Sequence[Path] = (),
    against: Path | None = None,
    progress: bool = False,
) -> list[Figure]:
    """Judge a finished run and rebuild its report; returns all its figures.

    Args:
        out: the run's folder.
        protocols: names of protocols, or `all`; those the run was told if None.
        judge: a generative LM that judges as well.
        again: whether to compute anew what was computed before.
        answers: what people answered to the run's questions, one file a rater.
        against: another finished run on the same neurons, to tell how far the two agree.
        progress: whether to show progress bars on stderr.

    Raises:
        InputError: there is no run at `out`, a protocol is unknown, or answers or another run do
            not fit.
        RunError: the run is not complete or damaged.
    """
    from eval.evaluation_file import read_evaluation

    other = None if against is None else FinishedRun(against)
    names = None if protocols is None else _named(protocols)
    with finished_stages(out, progress=progress) as stages:
        told = stages.settings.evaluation
        told = told if judge is None else told.judged_by(judge)
        if again:
            parts = (stage_name(name) for name in names or told.protocols)
            stages.run.forget(*parts, "evaluate", "report")
        if answers:
            stages.take_answers(answers)
        if other is not None:
            stages.compare(other)
        stages.evaluate(names, told)
        stages.report()
    return read_evaluation(out)


def _named(written: Sequence[str]) -> tuple[ProtocolName, ...]:
    if EVERY in written:
        return tuple(ProtocolName)
    known = {name.value for name in ProtocolName}
    if unknown := sorted(set(written) - known):
        raise InputError(
            f"--protocol {', '.join(unknown)}: expected {EVERY} or one or more of "
            f"{', '.join(ProtocolName)}"
        )
    return tuple(ProtocolName(name) for name in written)
