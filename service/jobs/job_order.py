"""Jobs in one order that never changes: the newest first.

SQLite tells when a row was written to the second only. Within a second jobs go by their ids, which
begin with the time; so does DBOS when it chooses which job of a run comes first.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from indexer.errors import BackendError

if TYPE_CHECKING:
    from dbos import WorkflowStatus

_AT_ONCE = 100
_Query = Callable[..., Sequence["WorkflowStatus"]]


def newest_first(
    query: _Query, *, after: WorkflowStatus | None = None, at_once: int = _AT_ONCE
) -> Iterator[WorkflowStatus]:
    """Go through jobs as far as the caller does.

    Args:
        query: answers jobs, the newest first, for `start_time`, `end_time` and `limit`; it does
            not say in which order those of one millisecond come.
        after: begin with the one behind this.
        at_once: how many are asked for.
    """
    limit = None if after is None else created(after)
    while True:
        rows = list(query(limit=at_once, end_time=_written(limit, later=1)))
        is_last = len(rows) < at_once
        if not is_last:
            # Of the last millisecond some may be missing: it is asked for by itself.
            moment = created(rows[-1])
            bounds = {"start_time": _written(moment, later=-1), "end_time": _written(moment, 1)}
            rows = [row for row in rows if created(row) > moment]
            rows += [row for row in query(**bounds) if created(row) == moment]
        for row in sorted(rows, key=_place, reverse=True):
            is_beyond = limit is not None and created(row) > limit
            if not is_beyond and (after is None or _place(row) < _place(after)):
                yield row
        if is_last:
            return
        limit = moment - 1


def created(status: WorkflowStatus) -> int:
    """When a job was accepted, in milliseconds since 1970.

    Raises:
        BackendError: the database does not say.
    """
    if status.created_at is None:
        raise BackendError(
            f"the database does not say when job {status.workflow_id} was accepted; it was not "
            "written by this service"
        )
    return status.created_at


def new_job_id() -> str:
    """An id whose text sorts by the time it was made: a UUID of version 7 (RFC 9562)."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    milliseconds, rest = divmod(nanoseconds, 10**6)
    moment = (seconds * 1000 + milliseconds) << 80 | (rest * 4096 // 10**6) << 64
    return str(uuid.UUID(int=moment | 7 << 76 | 2 << 62 | secrets.randbits(62)))


def _place(status: WorkflowStatus) -> tuple[int, str]:
    return created(status), status.workflow_id


def _written(milliseconds: int | None, later: int) -> str | None:
    # A millisecond more on either side: DBOS rounds what it reads.
    if milliseconds is None:
        return None
    return datetime.fromtimestamp((milliseconds + later) / 1000, UTC).isoformat()
