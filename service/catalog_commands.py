"""`neuroscribe catalog`: build a catalog of descriptors, look at it and edit it.

Edits are kept in the run's folder, in order, and hold for every catalog that is built there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.command_output import print_json, working
from service.failures import ExitCode
from service.options import OutputOptions, RunOptions, default_out, flattened, settings_from

if TYPE_CHECKING:
    from descriptors.edit_records import Edit
    from descriptors.records import Descriptor
    from service.catalog_editing import EditableCatalog
    from service.edit_outcome import EditOutcome

catalog_app = typer.Typer(
    name="catalog",
    help="Build, look at and edit a catalog of descriptors.\n\n"
    "A DESCRIPTOR is its id or its phrase. Edits survive a rebuild; `rebuild` matches them.",
    invoke_without_command=True,
    rich_markup_mode=None,
)

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder of a run that has a catalog.")
]
Descriptors = Annotated[list[str], typer.Argument(metavar="DESCRIPTOR", help="Ids or phrases.")]
UpdateOption = Annotated[
    bool,
    typer.Option("--update", help="Use a run folder of other settings; redo what changed."),
]


@dataclass(frozen=True, kw_only=True)
class EditOptions(OutputOptions):
    """How an editing command answers, and whether it edits."""

    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; write nothing.")
    ] = False


@catalog_app.callback()
def _common(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), file=sys.stderr)
        raise typer.Exit(ExitCode.BAD_INPUT)


@catalog_app.command()
@flattened
def build(options: RunOptions, output: OutputOptions, update: UpdateOption = False) -> None:
    """Build the descriptor catalog only.

    `neuroscribe run` with the same arguments goes on from it.
    """
    settings, out = settings_from(options), default_out(options)
    from service.engines import opened_engine
    from service.pipeline import run_pipeline

    with working(output), opened_engine(options.engine, options.device) as engine:
        run_pipeline(
            settings,
            out,
            update=update,
            progress=output.progress,
            until="catalog",
            engine=engine,
        )
        from descriptors.catalog import read_descriptors

        descriptors = read_descriptors(out / "descriptors.parquet")
    if output.json:
        print_json([descriptor.model_dump(mode="json") for descriptor in descriptors])
        return
    from service.terminal import show_catalog

    show_catalog(out, descriptors)


@catalog_app.command()
@flattened
def rebuild(run: RunArgument, output: OutputOptions) -> None:
    """Build the catalog again with all edits, and match again.

    Asks no proposer and reads no activations again.
    """
    with working(output):
        from service.catalog_rebuild import rebuild_catalog

        summary = rebuild_catalog(run, progress=output.progress)
    if output.json:
        print_json(summary.model_dump(mode="json"))
        return
    from service.terminal_catalog import show_rebuild

    show_rebuild(summary)


@catalog_app.command()
@flattened
def show(
    run: RunArgument,
    output: OutputOptions,
    everything: Annotated[bool, typer.Option("--all", help="Also those not kept.")] = False,
    rejected: Annotated[bool, typer.Option("--rejected", help="Only those not kept.")] = False,
    search: Annotated[str, typer.Option(help="Only phrases that hold this text.")] = "",
) -> None:
    """Show the descriptors of a run, edits included."""
    with working(output):
        from service.catalog_editing import EditableCatalog

        catalog = EditableCatalog.open(run)
        shown = [
            descriptor
            for descriptor in catalog.descriptors
            if (everything or descriptor.kept != rejected) and _holds(descriptor, search)
        ]
    if output.json:
        content = [descriptor.model_dump(mode="json") for descriptor in shown]
        edits = {"edits": len(catalog.edits), "pending_edits": len(catalog.pending)}
        print_json({"run": str(run), **edits, "descriptors": content})
        return
    from service.terminal_catalog import show_descriptors

    show_descriptors(catalog, shown)


@catalog_app.command()
@flattened
def seed(
    run: RunArgument,
    texts: Annotated[list[str], typer.Argument(metavar="TEXT", help="Phrases to add.")],
    output: EditOptions,
    sentence: Annotated[
        list[str] | None,
        typer.Option(help="Id of a sentence the phrase holds for; repeat. Default: by its words"),
    ] = None,
) -> None:
    """Add phrases to the catalog and keep them there."""
    if sentence and len(texts) > 1:
        raise typer.BadParameter("--sentence goes with one TEXT only")
    _edit(run, output, lambda catalog: [catalog.seed(text, sentence or ()) for text in texts])


@catalog_app.command()
@flattened
def rename(
    run: RunArgument,
    descriptor: Annotated[str, typer.Argument(metavar="DESCRIPTOR", help="Its id or phrase.")],
    text: Annotated[str, typer.Argument(metavar="NEW", help="What it shall be called.")],
    output: EditOptions,
) -> None:
    """Call a descriptor otherwise; its sentences stay."""
    _edit(run, output, lambda catalog: [catalog.rename(descriptor, text)])


@catalog_app.command()
@flattened
def merge(
    run: RunArgument,
    descriptors: Descriptors,
    into: Annotated[str, typer.Option(metavar="NAME", help="What the result is called.")],
    output: EditOptions,
) -> None:
    """Unite several descriptors, with the sentences of all."""
    _edit(run, output, lambda catalog: [catalog.merge(descriptors, into)])


@catalog_app.command()
@flattened
def ban(
    run: RunArgument,
    texts: Annotated[list[str], typer.Argument(metavar="TEXT", help="Phrases or ids.")],
    output: EditOptions,
) -> None:
    """Keep phrases out of the catalog, whoever proposes them.

    `seed` and `lock` lift a ban.
    """
    _edit(run, output, lambda catalog: [catalog.ban(text) for text in texts])


@catalog_app.command()
@flattened
def lock(run: RunArgument, descriptors: Descriptors, output: EditOptions) -> None:
    """Keep descriptors in the catalog, whatever a rebuild proposes.

    Also brings back those that were not kept.
    """
    _edit(run, output, lambda catalog: [catalog.lock(name) for name in descriptors])


@catalog_app.command()
@flattened
def unlock(run: RunArgument, descriptors: Descriptors, output: EditOptions) -> None:
    """Let a rebuild decide on descriptors again."""
    _edit(run, output, lambda catalog: [catalog.unlock(name) for name in descriptors])


@catalog_app.command(name="export")
@flattened
def export_command(
    run: RunArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A name in .jsonl or .csv.")],
    output: OutputOptions,
) -> None:
    """Write descriptors and edits to a file."""
    with working(output):
        from service.catalog_editing import EditableCatalog
        from service.catalog_exchange import export_catalog

        report = export_catalog(EditableCatalog.open(run), file)
    if output.json:
        print_json(report.model_dump(mode="json"))
        return
    from service.terminal_catalog import show_export

    show_export(report)


@catalog_app.command(name="import")
@flattened
def import_command(
    run: RunArgument,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="An exported file, or phrases to seed, one a line."),
    ],
    output: EditOptions,
    as_seeds: Annotated[
        bool, typer.Option("--as-seeds", help="Seed the kept descriptors of an exported file.")
    ] = False,
) -> None:
    """Take over the edits in an exported file.

    From a plain list of phrases, one a line, each is seeded.
    """
    with working(output):
        from service.catalog_exchange import not_yet_there, read_edits_from

        found = read_edits_from(file, as_seeds=as_seeds)
    _edit(run, output, lambda catalog: not_yet_there(catalog, found), len(found))


def _edit(
    run: Path,
    output: EditOptions,
    make: Callable[[EditableCatalog], Sequence[Edit]],
    n_found: int | None = None,
) -> None:
    with working(output):
        from service.edit_outcome import edit_catalog

        outcome = edit_catalog(run, make, dry_run=output.dry_run)
    if n_found is not None:
        already_there = n_found - len(outcome.edits)
        outcome = outcome.model_copy(update={"already_there": already_there})
    _show(outcome, output)


def _show(outcome: EditOutcome, output: EditOptions) -> None:
    if output.json:
        print_json(outcome.model_dump(mode="json"))
        return
    from service.terminal_catalog import show_outcome

    show_outcome(outcome)


def _holds(descriptor: Descriptor, search: str) -> bool:
    return search.casefold() in descriptor.text.casefold()
