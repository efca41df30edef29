"""The command that judges a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.command_output import print_json, working
from service.options import OutputOptions, flattened

EVERY = "all"
_PROTOCOLS = (
    "label_recovery, controls, observational, stability, polysemanticity, planted, planted_model, "
    "detection, fuzzing, simulation, cosy, causal"
)


@flattened
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    output: OutputOptions,
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            help=f"What to judge it by: {_PROTOCOLS}; or {EVERY}. Repeatable. Default: those the "
            "run was told",
        ),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="LM",
            help="A generative LM that judges besides the judges without one: openai:MODEL, "
            "vllm:ID or transformers:ID.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Compute anew what was computed before.")
    ] = False,
    human: Annotated[
        bool,
        typer.Option(
            "--human",
            help="Write blinded questions for people, as a page and a table, and do nothing else.",
        ),
    ] = False,
    items: Annotated[
        int, typer.Option(min=1, help="Questions of each of the two kinds, with --human.")
    ] = 20,
    answers: Annotated[
        list[Path] | None,
        typer.Option(help="Take in what people answered, a file each; repeatable."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Another run on the same model: by other proposers, with another seed, or on "
            "another corpus. Tells how far the two agree.",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show every figure; --json always holds them all.")
    ] = False,
) -> None:
    """Judge a finished run: every figure with its interval, null and baseline.

    Protocols that were computed before for the same explanations keep their figures. A command that
    was interrupted goes on where it stopped.
    """
    if human:
        _ask_people(run, items, output)
        return
    from service.evaluation import evaluate_run

    with working(output):
        figures = evaluate_run(
            run,
            protocols=protocol,
            judge=judge,
            again=again,
            answers=answers or (),
            against=against,
            progress=output.progress,
        )
    if output.json:
        print_json([figure.model_dump(mode="json") for figure in figures])
        return
    from service.terminal import show_figures

    show_figures(figures, everything=everything)


def _ask_people(run: Path, items: int, output: OutputOptions) -> None:
    from eval.human_sheet import HumanSettings
    from service.finished_run import FinishedRun
    from service.human_check import write_human_check

    with working(output):
        opened = FinishedRun(run, progress=output.progress)
        files = write_human_check(opened, HumanSettings(items=items), opened.settings.seed)
    if output.json:
        print_json(files.model_dump(mode="json"))
        return
    from service.terminal import show_questions

    show_questions(run, files)
