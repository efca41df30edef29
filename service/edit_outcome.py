"""Edits of a catalog are kept in the run, and what they will change is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from descriptors.edit_file import append_edits
from descriptors.edit_records import Edit
from descriptors.edit_report import UnresolvedEdit
from descriptors.records import Descriptor
from indexer.records import Record
from service.catalog_editing import EditableCatalog, check_is_run
from service.run_directory import RunDirectory


class EditOutcome(Record):
    """What edits do to a catalog once it is rebuilt.

    `changed` holds descriptors as they will be; `pending` counts the edits since the last build.
    """

    run: str
    dry_run: bool
    edits: tuple[Edit, ...]
    already_there: int = 0
    changed: tuple[Descriptor, ...]
    unresolved: tuple[UnresolvedEdit, ...]
    missing_sentences: int
    pending: int


def edit_catalog(
    run: Path,
    make: Callable[[EditableCatalog], Sequence[Edit]],
    *,
    dry_run: bool = False,
) -> EditOutcome:
    """Keep the edits that `make` gives for the catalog of a run, all of them or none.

    Raises:
        InputError: there is no run with a catalog at `run`, or `make` refuses.
        RunError: another process is writing the run, or a file of it is damaged.
    """
    check_is_run(run)
    with nullcontext() if dry_run else _only_writer(run):
        catalog = EditableCatalog.open(run)
        edits = tuple(make(catalog))
        outcome = _outcome(catalog, edits, dry_run=dry_run)
        if edits and not dry_run:
            append_edits(run, edits)
    return outcome


def _outcome(catalog: EditableCatalog, edits: Sequence[Edit], *, dry_run: bool) -> EditOutcome:
    after = catalog.edited(catalog.descriptors, edits)
    before = set(catalog.descriptors)
    return EditOutcome(
        run=str(catalog.run),
        dry_run=dry_run,
        edits=tuple(edits),
        changed=tuple(each for each in after.descriptors if each not in before),
        unresolved=after.report.unresolved,
        missing_sentences=after.report.missing_sentences,
        pending=len(catalog.pending) + (0 if dry_run else len(edits)),
    )


@contextmanager
def _only_writer(run: Path) -> Iterator[None]:
    directory = RunDirectory.create(run)
    try:
        yield
    finally:
        directory.close()
