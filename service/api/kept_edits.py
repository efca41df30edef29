"""An edit of a catalog that is kept only if it was made for the catalog as it is."""

from __future__ import annotations

import time
from collections.abc import Sequence

from descriptors.edit_records import Edit
from indexer.errors import BusyError, StaleError
from service.api.edit_requests import EditRequest
from service.api.etags import is_named
from service.catalog_editing import EditableCatalog
from service.catalog_etag import catalog_etag
from service.edit_outcome import EditOutcome, edit_catalog
from service.run_library import RunLibrary

_SECONDS_FOR_ANOTHER_EDIT, _SECONDS_BETWEEN_TRIES = 1.0, 0.02


def keep_edit(
    runs: RunLibrary, run: str, wish: EditRequest, seen: str, *, dry_run: bool = False
) -> EditOutcome:
    """Keep an edit that was made for the catalog whose ETag is `seen`, or in that If-Match header.

    Raises:
        NotFoundError: there is no such run.
        StaleError: the catalog has changed since.
        InputError: the edit cannot be made.
        BusyError: a job is writing the run, or it has no catalog.
        RunError: it is damaged.
    """
    path = runs.path(run)
    # Tells of a catalog that is missing in words for those who ask over the network.
    catalog_etag(path)

    def edits(catalog: EditableCatalog) -> Sequence[Edit]:
        # The run is locked here, so that nobody can write between this look and the edit.
        current = catalog_etag(path)
        if seen != current and not is_named(seen, current):
            raise StaleError(
                f"the catalog of {run} has changed: its ETag is {current}, the edit was made for "
                f"{seen}. Read it again and decide anew"
            )
        return (wish.edit(catalog),)

    given_up = time.monotonic() + _SECONDS_FOR_ANOTHER_EDIT
    while True:
        try:
            outcome = edit_catalog(path, edits, dry_run=dry_run)
        except BusyError as error:
            # Mostly another edit, which takes but a moment; then this one can be told the new ETag.
            if time.monotonic() > given_up:
                raise BusyError(
                    f"{run} is being written by a job, so the edit was not kept; make it again "
                    f"when the job is done, GET /v1/jobs?run={run} lists it"
                ) from error
            time.sleep(_SECONDS_BETWEEN_TRIES)
        else:
            return outcome.model_copy(update={"run": run})
