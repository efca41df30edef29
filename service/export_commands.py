"""`neuroscribe export`: a finished run as files for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.command_output import print_json, working
from service.options import OutputOptions, flattened

if TYPE_CHECKING:
    from service.export import NeuroxExport, TableExport

_NEUROX = {"neurox-hdf5": ".hdf5", "neurox-json": ".json"}


@flattened
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    written_as: Annotated[
        Literal["neurox-hdf5", "neurox-json", "csv", "jsonl", "parquet"],
        typer.Option(
            "--format", help="Activations of words for NeuroX, or a table; see --what for tables."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The file; .hdf5 and .json are NeuroX's names.")],
    output: OutputOptions,
    what: Annotated[
        Literal["explanations", "descriptors", "evaluation", "neurons"] | None,
        typer.Option(help="Which table. Default: explanations"),
    ] = None,
    layer: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="Only this layer; repeatable. Default: all"),
    ] = None,
    site: Annotated[
        Literal["ffn", "hidden"] | None,
        typer.Option(help="Only this site. Default: hidden for NeuroX, all for tables"),
    ] = None,
    words: Annotated[
        Literal["last", "average"] | None,
        typer.Option(help="NeuroX: a word is its last sub-word (default) or the average of all."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    device: Annotated[str, typer.Option(help="NeuroX: auto, cpu or cuda.")] = "auto",
) -> None:
    """Write results or activations to a file.

    Tables hold what the run found. NeuroX files hold an activation for every word, which the
    model computes again, and come with a second file of their sentences.
    """
    is_neurox = written_as in _NEUROX
    if is_neurox and what is not None:
        raise typer.BadParameter(f"--what is for tables; {written_as} holds activations")
    if not is_neurox and words is not None:
        raise typer.BadParameter(f"--words is for NeuroX; {written_as} holds a table")
    if is_neurox and out.suffix != _NEUROX[written_as]:
        raise typer.BadParameter(
            f"--out {out}: NeuroX wants {written_as} to end in {_NEUROX[written_as]}"
        )
    from neurons.neurox_words import Aggregation
    from service.export import Selection, Table, export_neurox, export_table
    from service.finished_run import FinishedRun
    from service.table_files import TableFormat

    done: TableExport | NeuroxExport
    with working(output):
        opened = FinishedRun(run, device, progress=output.progress)
        selection = Selection.model_validate({"site": site, "layers": layer or ()})
        if is_neurox:
            done = export_neurox(
                opened,
                out,
                selection,
                Aggregation(words or Aggregation.LAST),
                force=force,
                progress=output.progress,
            )
        else:
            done = export_table(
                opened,
                out,
                Table(what or Table.EXPLANATIONS),
                TableFormat(written_as),
                selection,
                force=force,
                progress=output.progress,
            )
    if output.json:
        print_json(done.model_dump(mode="json"))
        return
    from service.terminal_export import show_exported

    show_exported(done)
