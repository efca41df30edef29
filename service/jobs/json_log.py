"""Logs as JSON, an object a line: of workers on stderr, of jobs in a file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from service.jobs.secrets_hidden import SecretsHidden


def log_json(handler: logging.Handler, level: str, known: Callable[[], Mapping[str, Any]]) -> None:
    """Send everything that this process logs to `handler`, as JSON.

    Args:
        handler: where it goes.
        level: the least that is told.
        known: what every line tells besides its event, such as a job's id.
    """
    hidden = SecretsHidden()

    def add_known(_: Any, __: str, event: EventDict) -> EventDict:
        return {**known(), **event}

    def without_secrets(_: Any, __: str, line: Any) -> str:
        return hidden.within(line)

    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_known,
    ]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(ensure_ascii=False),
                without_secrets,
            ],
        )
    )
    logging.captureWarnings(True)
    logging.basicConfig(handlers=[handler], level=level, force=True)
