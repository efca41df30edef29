"""The application that `neuroscribe serve` serves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from service.api.problems import add_problem_handlers
from service.api.state import ServiceState
from service.jobs.job_queue import JobQueue, prepare_database
from service.run_library import RunLibrary
from service.service_settings import ServiceSettings


def create_app(settings: ServiceSettings) -> FastAPI:
    """The API and the pages over the runs of a folder; nothing is opened before it starts."""
    from service.api import job_routes, run_routes

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        settings.workspace.mkdir(parents=True, exist_ok=True)
        prepare_database(settings.database)
        app.state.service = ServiceState(
            settings=settings,
            runs=RunLibrary(settings.runs, settings.opened_runs),
            jobs=JobQueue(settings.database, settings.workspace),
        )
        try:
            yield
        finally:
            app.state.service.jobs.close()

    app = FastAPI(title="neuroscribe", lifespan=lifespan, docs_url=None, redoc_url=None)
    add_problem_handlers(app)
    app.include_router(run_routes.router)
    app.include_router(job_routes.router)
    return app
