"""What a worker logs: JSON on stderr, where what is expected takes a line and not a traceback."""

from __future__ import annotations

import logging
import sys

from service.jobs.json_log import log_json
from service.service_settings import ServiceSettings

_EXPECTED_IN_WORDS = ("was cancelled during execution", "Asyncio task cancelled for workflow")


class _ExpectedErrors(logging.Filter):
    """Takes tracebacks and alarm away where a job ended as jobs do end."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and _is_expected(error):
            record.msg, record.args = "%s: %s", (type(error).__name__, str(error))
            record.exc_info = None
            record.levelno, record.levelname = logging.INFO, "INFO"
        elif any(words in record.getMessage() for words in _EXPECTED_IN_WORDS):
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


def log_worker(settings: ServiceSettings, name: str) -> None:
    """Have this process, and DBOS in it, log as workers do; before DBOS is begun."""
    log_json(logging.StreamHandler(sys.stderr), settings.log_level, lambda: {"worker": name})
    dbos = logging.getLogger("dbos")
    # A logger that has a handler is not given one of DBOS's own.
    dbos.addHandler(logging.NullHandler())
    dbos.setLevel(logging.WARNING)
    dbos.addFilter(_ExpectedErrors())


def _is_expected(error: BaseException) -> bool:
    from dbos import error as dbos_error

    from indexer.errors import BusyError
    from service.jobs.job_attempt import ProcessKilledError
    from service.jobs.workflow import JobFailedError

    cancelled = (
        dbos_error.DBOSWorkflowCancelledError,
        dbos_error.DBOSAwaitedWorkflowCancelledError,
    )
    return isinstance(error, (JobFailedError, BusyError, ProcessKilledError, *cancelled))
