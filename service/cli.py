"""The command line: parse, call the library, show; nothing else."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.api.key_commands import keys_app
from service.benchmark_commands import benchmark
from service.catalog_commands import UpdateOption, catalog_app
from service.command_output import print_json, working
from service.evaluate_commands import evaluate
from service.export_commands import export
from service.failures import ExitCode, failure_of, wants_traceback
from service.jobs.commands import worker
from service.options import (
    OutputOptions,
    PlanOptions,
    RunOptions,
    default_out,
    flattened,
    settings_from,
)
from service.serve_commands import serve

if TYPE_CHECKING:
    from service.explain import Question
    from service.finished_run import FinishedRun

app = typer.Typer(
    name="neuroscribe",
    help="Says in words what the neurons of BERT-type encoders respond to in your text.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]
RunOption = Annotated[Path, typer.Option("--run", metavar="RUN", help="Folder of a finished run.")]


@app.callback()
def _common(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        print(f"neuroscribe {version_of('neuroscribe')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(ExitCode.BAD_INPUT)


@app.command()
@flattened
def run(options: RunOptions, output: OutputOptions, update: UpdateOption = False) -> None:
    """Corpus in; neuron explanations, evaluation and report out."""
    settings, out = settings_from(options), default_out(options)
    from service.engines import opened_engine
    from service.pipeline import run_pipeline

    with working(output), opened_engine(options.engine, options.device) as engine:
        summary = run_pipeline(
            settings, out, update=update, progress=output.progress, engine=engine
        )
    if output.json:
        print_json(summary.model_dump(mode="json"))
        return
    from service.terminal import show_run

    show_run(summary)


@app.command()
@flattened
def plan(
    options: RunOptions,
    exactness: PlanOptions,
    output: OutputOptions,
    update: UpdateOption = False,
) -> None:
    """Size, time and LM cost of a run; does nothing unless told to.

    Takes the arguments of `run`, and writes where the run would go only with --prepare or --pilot.
    """
    settings = settings_from(options)
    from service.plan import plan_run
    from service.plan_generation import Prices

    with working(output):
        planned = plan_run(
            settings,
            default_out(options),
            prepare=exactness.prepare,
            pilot=exactness.pilot,
            update=update,
            prices=Prices(prompt=exactness.price_prompt, completion=exactness.price_completion),
            progress=output.progress,
        )
    if output.json:
        print_json(planned.model_dump(mode="json"))
        return
    from service.terminal import show_plan

    show_plan(planned)


app.add_typer(catalog_app)
app.add_typer(keys_app)


@app.command()
@flattened
def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="A neuron (L4.ffn.744), a concept in up to six words, or a longer text.",
        ),
    ],
    run: RunOption,
    output: OutputOptions,
    neuron: Annotated[bool, typer.Option("--neuron", help="WHAT is a neuron.")] = False,
    concept: Annotated[bool, typer.Option("--concept", help="WHAT is a concept.")] = False,
    text: Annotated[bool, typer.Option("--text", help="WHAT is a text.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Ask a run about a neuron, a concept or a text.

    Says what a neuron responds to, which neurons carry a concept, or what fires on a text.
    """
    from service.explain import Question, kind_of

    flags = {Question.NEURON: neuron, Question.CONCEPT: concept, Question.TEXT: text}
    asked = [question for question, given in flags.items() if given]
    if len(asked) > 1:
        raise typer.BadParameter("give only one of --neuron, --concept and --text")
    with working(output):
        answer = _answer(asked[0] if asked else kind_of(what), _opened(run, device, output), what)
    if output.json:
        print_json(answer.model_dump(mode="json"))
        return
    from service.terminal_explain import show_explained

    show_explained(answer)


app.command()(evaluate)
app.command()(benchmark)


@app.command()
@flattened
def report(run: RunArgument, output: OutputOptions) -> None:
    """Rebuild the HTML report of a finished run."""
    from service.pipeline import report_run

    with working(output):
        path = report_run(run)
    if output.json:
        print_json({"report": str(path)})
    else:
        print(path)


app.command()(export)
app.command()(serve)
app.command()(worker)


@app.command()
@flattened
def doctor(
    output: OutputOptions,
    model: Annotated[str, typer.Option(help="Subject model to check.")] = "bundled",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    unsafe_weights: Annotated[
        bool,
        typer.Option("--unsafe-weights", help="Also read pickled weights, which can run code."),
    ] = False,
) -> None:
    """Check what is installed and what works.

    Also whether activations are read as the model computes them.
    """
    from service.doctor import examine

    with working(output):
        diagnosis = examine(model, device=device, unsafe_weights=unsafe_weights)
    if output.json:
        print_json(diagnosis.model_dump(mode="json"))
    else:
        from service.terminal import show_diagnosis

        show_diagnosis(diagnosis)
    if not diagnosis.ok:
        raise typer.Exit(ExitCode.STAGE_FAILED)


def _opened(run: Path, device: str, output: OutputOptions) -> FinishedRun:
    from service.finished_run import FinishedRun

    return FinishedRun(run, device, progress=output.progress)


def _answer(question: Question, run: FinishedRun, what: str) -> Any:
    from service.explain import Question, explain_concept, explain_neuron, explain_text

    if question is Question.NEURON:
        return explain_neuron(run, what)
    if question is Question.CONCEPT:
        return explain_concept(run, what)
    return explain_text(run, what)


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Do what `arguments` say (default: those of the process) and return the exit code."""
    try:
        code = app(args=arguments, prog_name="neuroscribe", standalone_mode=False)
        sys.stdout.flush()
    except SystemExit:
        # Only raised by typer where the reader of stdout has gone, as in `neuroscribe … | head`.
        return ExitCode.DONE
    except BaseException as error:
        if wants_traceback():
            raise
        failure = failure_of(error)
        print(f"neuroscribe: error: {failure.message}", file=sys.stderr)
        return failure.code
    if code == ExitCode.INTERRUPTED:
        print(f"neuroscribe: error: {failure_of(KeyboardInterrupt()).message}", file=sys.stderr)
    return code if isinstance(code, int) else ExitCode.DONE


def main() -> None:
    """The console script."""
    sys.exit(run_command())


if __name__ == "__main__":
    main()
