"""A process that does jobs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from service.jobs.job_database import database_errors, prepare_database
from service.jobs.job_queue import APPLICATION, QUEUE, WORKFLOW
from service.jobs.worker_slots import WorkerSlots

if TYPE_CHECKING:
    from service.service_settings import ServiceSettings

logger = logging.getLogger(__name__)

JOB_FORMAT = "1"
"""Jobs of another format are left alone; raised when their workflow changes meaning."""

_POLL_SECONDS = 0.5
_TAKE_OVER_SECONDS = 2.0


def work(settings: ServiceSettings, name: str | None, until: Callable[[], object]) -> None:
    """Do jobs until `until` returns; those under way then are stopped, and left to the next worker.

    Args:
        settings: of the service.
        name: of the worker; the first free one if None.
        until: returns when the worker shall end.

    Raises:
        BackendError: the database does not answer.
        BusyError: another worker has this name.
    """
    from service.jobs.worker_log import log_worker

    settings.workspace.mkdir(parents=True, exist_ok=True)
    slots = WorkerSlots(settings.workspace / "workers")
    with slots.taken(name) as own:
        log_worker(settings, own)
        prepare_database(settings.database)
        with _launched(settings, own), _taking_over(slots, own):
            logger.info("does jobs, %d at once", settings.jobs_at_once)
            until()
            logger.info("stops; jobs under way are left to the next worker")


@contextmanager
def _launched(settings: ServiceSettings, name: str) -> Iterator[None]:
    from dbos import DBOS, DBOSPortableJSONSerializer

    from service.jobs.workflow import register

    DBOS(
        config={
            "name": APPLICATION,
            "system_database_url": settings.database,
            "application_version": JOB_FORMAT,
            # The jobs that the last worker of this name left are done first.
            "executor_id": name,
            "serializer": DBOSPortableJSONSerializer(),
            "use_listen_notify": False,
            "log_level": "WARNING",
        }
    )
    register(settings)
    with database_errors():
        DBOS.launch()
    try:
        with database_errors():
            DBOS.register_queue(
                QUEUE,
                worker_concurrency=settings.jobs_at_once,
                partition_concurrency=1,
                polling_interval_sec=_POLL_SECONDS,
                on_conflict="always_update",
            )
        yield
    finally:
        DBOS.destroy(workflow_completion_timeout_sec=0)


@contextmanager
def _taking_over(slots: WorkerSlots, own: str) -> Iterator[None]:
    """Meanwhile, put the jobs of workers that are gone back into the queue."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(_TAKE_OVER_SECONDS):
            _take_over(slots, own)

    watcher = threading.Thread(target=watch, name="take-over", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


def _take_over(slots: WorkerSlots, own: str) -> None:
    from dbos import DBOS
    from sqlalchemy.exc import SQLAlchemyError

    try:
        under_way = DBOS.list_workflows(
            status="PENDING", name=WORKFLOW, load_input=False, load_output=False
        )
        names = {each.executor_id for each in under_way if each.executor_id} - {own}
        for name in sorted(names):
            with slots.of_the_gone(name) as gone:
                if gone:
                    taken = DBOS._recover_pending_workflows([name])
                    logger.warning("%s is gone; %d jobs of it go on", name, len(taken))
    except SQLAlchemyError as error:
        logger.warning("cannot look for jobs of workers that are gone: %s", error)
