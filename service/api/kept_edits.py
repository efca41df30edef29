"""An edit of a catalog that is kept only if it was made for the catalog as it is."""

from __future__ import annotations

from collections.abc import Sequence

from descriptors.edit_records import Edit
from indexer.errors import StaleError
from service.api.edit_requests import EditRequest
from service.api.etags import is_named
from service.catalog_editing import EditableCatalog
from service.catalog_etag import catalog_etag
from service.edit_outcome import EditOutcome, edit_catalog
from service.run_library import RunLibrary


def keep_edit(
    runs: RunLibrary, run: str, wish: EditRequest, seen: str, *, dry_run: bool = False
) -> EditOutcome:
    """Keep an edit that was made for the catalog whose ETag is `seen`, or in that If-Match header.

    Raises:
        NotFoundError: there is no such run.
        StaleError: the catalog has changed since.
        InputError: the edit cannot be made.
        RunError: another process is writing the run, or it is damaged.
    """
    path = runs.path(run)

    def edits(catalog: EditableCatalog) -> Sequence[Edit]:
        # The run is locked here, so that nobody can write between this look and the edit.
        current = catalog_etag(path)
        if seen != current and not is_named(seen, current):
            raise StaleError(
                f"the catalog of {run} has changed: its ETag is {current}, the edit was made for "
                f"{seen}. Read it again and decide anew"
            )
        return (wish.edit(catalog),)

    return edit_catalog(path, edits, dry_run=dry_run).model_copy(update={"run": run})
