"""What every request shares: built when the service starts, kept on `app.state`."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from service.jobs.job_queue import JobQueue
from service.run_library import RunLibrary
from service.service_settings import ServiceSettings


@dataclass(frozen=True)
class ServiceState:
    """The parts of a running service."""

    settings: ServiceSettings
    runs: RunLibrary
    jobs: JobQueue


def state_of(request: Request) -> ServiceState:
    """The parts of the service that a request came to; a dependency of routes."""
    state: ServiceState = request.app.state.service
    return state
