"""The command that compares methods over data sets."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.command_output import print_json, working
from service.failures import ExitCode
from service.options import OutputOptions, flattened

if TYPE_CHECKING:
    from service.benchmark_settings import BenchmarkSuite

_MATCHERS = (
    "ours, exemplar_counts, frequency, softwpmi, rank_reorder, probeless, signed_probeless, "
    "average_precision, true_labels"
)
_FIELDS = {
    "model": "models",
    "proposer": "proposers",
    "matcher": "matchers",
    "protocol": "protocols",
    "site": "sites",
}
"""Fields of a suite by the option that replaces them."""


@flattened
def benchmark(
    output: OutputOptions,
    corpus: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]SOURCE",
            help="A data set: a file, hf:NAME or 'sample'; repeatable. With --suite: the name of "
            "one of its data sets, to run only that.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="A subject model, as for `run`; repeatable. Default: bundled"),
    ] = None,
    proposer: Annotated[
        list[str] | None,
        typer.Option(
            help="What proposes descriptors, as for `run`, several united with +; each repeat is "
            "compared. Default: embedded+keyphrase",
        ),
    ] = None,
    matcher: Annotated[
        list[str] | None,
        typer.Option(help=f"What ties neurons to descriptors: {_MATCHERS}. Default: all"),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            help="What else than label recovery runs are judged by, as for `evaluate`; repeatable. "
            "Default: controls, stability and planted",
        ),
    ] = None,
    site: Annotated[
        list[str] | None,
        typer.Option(help="Where neurons sit, ffn or hidden; repeatable. Default: ffn"),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Read at most this many texts of each data set.")
    ] = None,
    suite: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="A description of all this; paths in it are relative to it. Other options replace "
            "what it says.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the benchmark.")] = Path("benchmark"),
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the activations of all runs; they take room.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Do runs again that an earlier benchmark has done.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda. Default: auto")] = None,
) -> None:
    """Compare matchers, models and proposers over data sets in one table.

    Writes table.parquet, figures.parquet, RESULTS.md and index.html. What is done is kept: the same
    command goes on where it was interrupted.
    """
    replaced = {
        "model": model,
        "proposer": proposer,
        "matcher": matcher,
        "protocol": protocol,
        "site": site,
    }
    told = _suite(suite, corpus or [], replaced, limit, device)
    typed = {"suite": suite, "corpus": corpus, **replaced, "limit": limit, "device": device}
    from service.benchmark import run_benchmark

    with working(output):
        summary = run_benchmark(
            told,
            out,
            command=_command(typed),
            keep=keep,
            again=again,
            progress=output.progress,
        )
    if output.json:
        print_json(summary.model_dump(mode="json"))
    else:
        from service.terminal_benchmark import show_benchmark

        show_benchmark(summary)
    if summary.failed:
        raise typer.Exit(ExitCode.STAGE_FAILED)


def _suite(
    path: Path | None,
    corpora: list[str],
    replaced: dict[str, list[str] | None],
    limit: int | None,
    device: str | None,
) -> BenchmarkSuite:
    """The suite that a file and options describe.

    Raises:
        InputError: it is not possible, or has no data set.
    """
    from indexer.errors import InputError
    from service.benchmark_settings import BenchmarkCorpus, checked_suite, chosen, read_suite

    if path is None and not corpora:
        raise InputError("give data sets with --corpus, or a --suite that describes them")
    asked: dict[str, Any] = {}
    if path is None:
        sets = [BenchmarkCorpus.parse(text) for text in corpora]
    else:
        read = read_suite(path)
        asked = read.model_dump()
        sets = chosen(read.corpora, corpora) if corpora else list(read.corpora)
    if limit is not None:
        sets = [each.model_copy(update={"limit": min(limit, each.limit or limit)}) for each in sets]
    asked["corpora"] = [each.model_dump() for each in sets]
    asked |= {_FIELDS[name]: values for name, values in replaced.items() if values}
    asked |= {"device": device} if device else {}
    return checked_suite(asked, "benchmark")


def _command(typed: dict[str, Any]) -> str:
    """A command line that asks for the same."""
    words = ["neuroscribe", "benchmark"]
    for name, value in typed.items():
        for each in value if isinstance(value, list) else [value]:
            words += [] if each is None else [f"--{name}", str(each)]
    return shlex.join(words)
