"""What the service counts of itself, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from http import HTTPMethod

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import column, func, select, table
from starlette.types import Scope

from indexer.errors import BackendError
from service.api.state import ServiceState
from service.jobs.job_queue import WORKFLOW
from service.jobs.job_status import statuses_of
from service.jobs.records import JobState

UNMATCHED = "unmatched"
"""The route of requests that no route answers."""

_METHODS = frozenset(HTTPMethod)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The counts of one application.

    Args:
        state: of the application, once it has started.
    """

    def __init__(self, state: Callable[[], ServiceState | None]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "neuroscribe_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._latency = Histogram(
            "neuroscribe_http_request_seconds",
            "Seconds from a request to the end of its answer.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        # Looking the series up takes longer than counting; there are few.
        self._of = cache(self._series)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(_ServiceCollector(state))

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; methods that HTTP does not know count as one."""
        counted, timed = self._of(method if method in _METHODS else "OTHER", route, status)
        counted.inc()
        timed.observe(seconds)

    def _series(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        return (
            self._requests.labels(method, route, str(status)),
            self._latency.labels(method, route),
        )

    def exposition(self) -> bytes:
        """All counts in the text format of Prometheus."""
        return generate_latest(self._registry)


class _ServiceCollector(Collector):
    """Asks the parts of the service when the counts are asked for."""

    def __init__(self, state: Callable[[], ServiceState | None]) -> None:
        self._state = state

    def describe(self) -> Iterator[Metric]:
        """Nothing is asked before the service runs."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The runs held open, the jobs by state, and whether the database answers."""
        state = self._state()
        if state is None:
            return
        runs = GaugeMetricFamily("neuroscribe_runs", "Runs in the folder.")
        runs.add_metric((), len(state.runs.names()))
        yield runs
        jobs = GaugeMetricFamily("neuroscribe_jobs", "Jobs by state.", labels=("state",))
        answers = GaugeMetricFamily("neuroscribe_database_up", "Whether the database answers.")
        try:
            counts = _jobs_by_state(state)
        except BackendError:
            answers.add_metric((), 0)
            yield answers
            return
        answers.add_metric((), 1)
        yield answers
        for each, n in counts.items():
            jobs.add_metric((each.value,), n)
        yield jobs


def _jobs_by_state(state: ServiceState) -> dict[JobState, int]:
    """Counted by the database: the queue would read every job.

    DBOS documents this table. A cancelled job counts as such also while its process ends.
    """
    with state.database.connected() as connection:
        jobs = table(
            "workflow_status",
            column("name"),
            column("status"),
            schema=None if connection.dialect.name == "sqlite" else "dbos",
        )
        counted = select(jobs.c.status, func.count()).where(jobs.c.name == WORKFLOW)
        found = {row[0]: row[1] for row in connection.execute(counted.group_by(jobs.c.status))}
    cancelled = set(statuses_of(JobState.CANCELLED) or ())
    counts = {}
    for each in JobState:
        statuses = set(statuses_of(each) or ())
        own = statuses if each is JobState.CANCELLED else statuses - cancelled
        counts[each] = sum(found.get(status, 0) for status in own)
    return counts


def route_of(scope: Scope) -> str:
    """The template of the route that answered a request."""
    route = scope.get("route")
    template = getattr(route, "path_format", None) or getattr(route, "path", None)
    return template if isinstance(template, str) and template else UNMATCHED
