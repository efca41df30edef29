"""Catalogs and their edits as a person reads them in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from descriptors.records import Descriptor
from service.terminal import new_console, table_of

if TYPE_CHECKING:
    from service.catalog_editing import EditableCatalog
    from service.catalog_exchange import ExportReport
    from service.catalog_rebuild import RebuildSummary
    from service.edit_outcome import EditOutcome


def show_descriptors(catalog: EditableCatalog, descriptors: Sequence[Descriptor]) -> None:
    """Show these descriptors of a catalog, and how many edits wait for a rebuild."""
    console = new_console()
    rows = [
        (
            descriptor.id,
            printable(descriptor.text),
            descriptor.proposer,
            f"{len(descriptor.support):,}" if descriptor.kept else "",
            _state(descriptor),
        )
        for descriptor in descriptors
    ]
    if rows:
        header = ("id", "descriptor", "proposer", "sentences", "")
        console.print(table_of("descriptors", header, rows, right=(3,)))
        console.print()
    kept = sum(descriptor.kept for descriptor in catalog.descriptors)
    console.print(
        f"{len(rows):,} shown; {kept:,} of {len(catalog.descriptors):,} are in the catalog"
    )
    if catalog.pending:
        console.print(_to_rebuild(len(catalog.pending), str(catalog.run)), soft_wrap=True)


def show_outcome(outcome: EditOutcome) -> None:
    """Show what edits change, what they do not, and how to go on."""
    console = new_console()
    rows = [
        (descriptor.id, printable(descriptor.text), _state(descriptor) or "kept")
        for descriptor in outcome.changed
    ]
    if rows:
        console.print(table_of("after a rebuild", ("id", "descriptor", ""), rows))
        console.print()
    for edit in outcome.unresolved:
        problem = edit.problem.replace("_", " ")
        console.print(f"without effect: {edit.kind} '{printable(edit.text)}' ({problem})")
    if outcome.missing_sentences:
        console.print(f"{outcome.missing_sentences:,} sentences of locks or seeds are not there")
    if outcome.already_there:
        console.print(f"{outcome.already_there:,} were there already")
    done = "would be kept (--dry-run: nothing was written)" if outcome.dry_run else "kept"
    edits = "edit" if len(outcome.edits) == 1 else "edits"
    console.print(f"{len(outcome.edits):,} {edits} {done}")
    if outcome.pending:
        console.print(_to_rebuild(outcome.pending, outcome.run), soft_wrap=True)


def show_export(report: ExportReport) -> None:
    """Show what was exported, and where to."""
    console = new_console()
    console.print(f"{report.descriptors:,} descriptors and {report.edits:,} edits")
    console.print(f"file: {report.file}", soft_wrap=True)


def show_rebuild(summary: RebuildSummary) -> None:
    """Show what a rebuild did."""
    console = new_console()
    if "catalog" in summary.reused:
        console.print("the catalog holds all edits already")
    console.print(f"{summary.catalog['kept']:,} descriptors in the catalog")
    console.print(f"redone: {', '.join(summary.recomputed) or 'nothing'}")
    if not summary.matched:
        console.print("no neurons were read yet: `neuroscribe run` with its arguments goes on")


def printable(text: str) -> str:
    """`text` without the control characters that a corpus may hold."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _state(descriptor: Descriptor) -> str:
    states = [descriptor.reason.replace("_", " "), "locked" if descriptor.locked else ""]
    if descriptor.renamed_from:
        states.append(f"was '{printable(descriptor.renamed_from)}'")
    return ", ".join(state for state in states if state)


def _to_rebuild(pending: int, run: str) -> str:
    wait = "edit waits" if pending == 1 else "edits wait"
    return f"{pending:,} {wait} for: neuroscribe catalog rebuild {run}"
