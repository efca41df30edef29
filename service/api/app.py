"""The application that `neuroscribe serve` serves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import structlog
from fastapi import APIRouter, FastAPI

from service.api.access import Doorkeeper
from service.api.logs import hand_on_events
from service.api.metrics import Metrics
from service.api.middleware import ServiceMiddleware
from service.api.openapi_document import complete_document
from service.api.problems import add_problem_handlers
from service.api.state import ServiceState
from service.jobs.job_queue import prepare_database
from service.service_settings import ServiceSettings


def create_app(settings: ServiceSettings) -> FastAPI:
    """The API and the pages over the runs of a folder; nothing is opened before it starts."""
    from service.pages import routes as page_routes

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        settings.workspace.mkdir(parents=True, exist_ok=True)
        prepare_database(settings.database)
        state = ServiceState.of(settings)
        state.database.prepare()
        app.state.service = state
        app.state.doorkeeper = Doorkeeper(settings, state.keys, state.sessions)
        try:
            yield
        finally:
            state.close()

    app = FastAPI(
        title="neuroscribe",
        version=version("neuroscribe"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    if not structlog.is_configured():
        hand_on_events()
    app.state.metrics = Metrics(lambda: getattr(app.state, "service", None))
    app.add_middleware(ServiceMiddleware, settings=settings, metrics=app.state.metrics)
    add_problem_handlers(app)
    for router in _routers():
        # One flat list: `include_router` would have every request look for its route three times.
        app.router.routes.extend(router.routes)
    app.include_router(page_routes.router)
    complete_document(app)
    return app


def _routers() -> Iterator[APIRouter]:
    from service.api import (
        catalog_routes,
        evaluation_routes,
        explain_routes,
        export_routes,
        health,
        job_routes,
        login,
        neuron_routes,
        reference,
        run_routes,
        upload_routes,
    )

    yield from (
        each.router
        for each in (
            neuron_routes,
            run_routes,
            catalog_routes,
            explain_routes,
            evaluation_routes,
            export_routes,
            job_routes,
            upload_routes,
            health,
            login,
            reference,
        )
    )
