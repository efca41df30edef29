"""What every request shares: built when the service starts, kept on `app.state`."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from fastapi import Request

from service.api.kept_answers import KeptAnswers
from service.api.key_tables import KeyDatabase
from service.api.keys import KeyStore
from service.api.sessions import SessionStore
from service.jobs.job_queue import JobQueue
from service.run_library import RunLibrary
from service.service_settings import ServiceSettings
from service.uploads import Uploads
from service.views.run_view import RunView


@dataclass(frozen=True)
class ServiceState:
    """The parts of a running service.

    `models` is the thread in which models are loaded and texts answered. OpenMP keeps a team of
    threads for each thread that computes, and teams of more threads than cores wait for each other.
    `stopping` is set when the service is told to end, for answers that have no end of their own.
    """

    settings: ServiceSettings
    runs: RunLibrary
    jobs: JobQueue
    uploads: Uploads
    database: KeyDatabase
    keys: KeyStore
    sessions: SessionStore
    models: ThreadPoolExecutor
    answers: KeptAnswers = field(default_factory=KeptAnswers)
    stopping: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def of(cls, settings: ServiceSettings) -> ServiceState:
        """The parts that settings ask for.

        Raises:
            InputError: the database URL cannot be used.
        """
        database = KeyDatabase(settings.database)
        keys = KeyStore(database)
        models = ThreadPoolExecutor(1, thread_name_prefix="models")
        return cls(
            settings=settings,
            runs=RunLibrary(settings.runs, settings.opened_runs, partial(_prepare, models)),
            models=models,
            jobs=JobQueue(settings.database, settings.workspace),
            uploads=Uploads(settings),
            database=database,
            keys=keys,
            sessions=SessionStore(database, keys),
        )

    def close(self) -> None:
        """Let go of the database, once no model is being loaded."""
        self.models.shutdown(cancel_futures=True)
        self.jobs.close()
        self.database.close()


def _prepare(models: ThreadPoolExecutor, view: RunView) -> None:
    """Have a run prepared while its first page is read, which needs no model.

    Each step is a task of its own, so that texts wait for no more than one.
    """
    steps = view.prepare()

    def step() -> None:
        for _ in steps:
            # The service may be closing.
            with suppress(RuntimeError):
                models.submit(step)
            return

    models.submit(step)


def state_of(request: Request) -> ServiceState:
    """The parts of the service that a request came to; a dependency of routes."""
    state: ServiceState = request.app.state.service
    return state
