"""Names the state of a run's catalog, so that nobody edits what another has just changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from descriptors.catalog import DESCRIPTORS_FILE
from descriptors.edit_file import EDITS_FILE
from indexer.errors import BusyError, RunError
from indexer.storage import fingerprint
from service.stages import StageRecord

_STAGE_RECORD = "stages/catalog.json"


def catalog_etag(run: Path) -> str:
    """Changes whenever the catalog in the folder `run` or its edits change.

    It is that of `service.views.run_view.RunView`, but also for a run that is not finished.

    Raises:
        BusyError: there is no catalog, or it is being built.
        RunError: what is known of it is damaged.
    """
    record = run / _STAGE_RECORD
    if not (record.is_file() and (run / DESCRIPTORS_FILE).is_file()):
        raise BusyError(
            f"{run.name} has no catalog now; ask again when the job is done that builds it, "
            "GET /v1/jobs lists it. If there is none, a `rebuild` or `run` job builds it"
        )
    return etag_of_built(StageRecord.read(record).outputs, run)


def etag_of_built(outputs: Mapping[str, str], run: Path) -> str:
    """The same for a catalog whose stage has written `outputs`, and the edits as they are now.

    Raises:
        RunError: the edits cannot be read.
    """
    try:
        edits = hashlib.sha256((run / EDITS_FILE).read_bytes()).hexdigest()
    except FileNotFoundError:
        edits = ""
    except OSError as error:
        raise RunError(f"cannot read the edits of {run.name}: {error.strerror}") from error
    return fingerprint({"catalog": dict(outputs), "edits": edits})
