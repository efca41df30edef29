"""A process that does jobs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from service.jobs.job_queue import APPLICATION, QUEUE

if TYPE_CHECKING:
    from service.service_settings import ServiceSettings

JOB_FORMAT = "1"
"""Jobs of another format are left alone; raised when their workflow changes meaning."""


def work(settings: ServiceSettings, name: str, stop: threading.Event) -> None:
    """Do jobs until `stop` is set.

    Args:
        settings: of the service.
        name: of the worker; the jobs that the last one of this name left are done first.
        stop: ends the work; jobs under way are left to the next worker of this name.
    """
    from dbos import DBOS, DBOSPortableJSONSerializer

    from service.jobs.workflow import register

    settings.workspace.mkdir(parents=True, exist_ok=True)
    DBOS(
        config={
            "name": APPLICATION,
            "system_database_url": settings.database,
            "application_version": JOB_FORMAT,
            "executor_id": name,
            "serializer": DBOSPortableJSONSerializer(),
            "use_listen_notify": False,
            "log_level": "WARNING",
        }
    )
    register(settings.workspace, settings.runs)
    DBOS.launch()
    try:
        DBOS.register_queue(
            QUEUE,
            worker_concurrency=settings.jobs_at_once,
            partition_concurrency=1,
            polling_interval_sec=0.5,
            on_conflict="always_update",
        )
        stop.wait()
    finally:
        DBOS.destroy(workflow_completion_timeout_sec=0)
