"""Logs of the service: a line for each event, as JSON or for people, without secrets."""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from service.service_settings import ServiceSettings

_SECRETS = re.compile(r"(ns_[0-9a-f]{12}_)[0-9a-f]{64}|(://[^:/@\s]*:)[^@/\s]+(?=@)")
# One for all lines: `json.dumps` makes another for each.
_JSON = json.JSONEncoder(ensure_ascii=False, default=str)
_MASK = r"\1\2***"
# Tracebacks without the values of variables, which hold what users sent.
_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
)


def hand_on_events() -> None:
    """Have events reach the logging of the standard library, where someone may listen."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def set_up_logs(settings: ServiceSettings, stream: TextIO | None = None) -> None:
    """Have all that this process logs written in one form.

    Args:
        settings: tell the form and the least level.
        stream: standard error if None.
    """
    out = sys.stderr if stream is None else stream
    rendering: list[Processor] = [_renderer(settings, out), without_secrets]
    level = logging.getLevelNamesMapping()[settings.log_level]
    # Not by way of the standard library, which would take twice the time for each request's line.
    structlog.configure(
        processors=[*_SHARED, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(out),
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *rendering,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # DBOS tells of every connection, and that SQLite is none for production.
    logging.getLogger("dbos").setLevel(logging.WARNING)


def without_secrets(_: WrappedLogger, __: str, line: Any) -> Any:
    """Mask API keys and passwords of URLs in a line, wherever they came from."""
    # Looking for what every secret holds is far cheaper than looking for secrets.
    if isinstance(line, str) and ("ns_" in line or "://" in line):
        return _SECRETS.sub(_MASK, line)
    return line


def _as_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    return _JSON.encode(event)


def _renderer(settings: ServiceSettings, out: TextIO) -> Processor:
    if settings.log_format == "json":
        return _as_json
    return structlog.dev.ConsoleRenderer(
        colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
