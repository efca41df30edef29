"""The pages of jobs, and the buttons that start and stop them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError
from starlette.status import HTTP_303_SEE_OTHER

from eval.evaluation_settings import ProtocolName
from indexer.errors import InputError, RunError
from service.admission import admit
from service.api.hidden_paths import told_job, without_paths
from service.api.schemas import JobPath, RunPath
from service.api.state import ServiceState, state_of
from service.jobs.job_files import JobFiles
from service.jobs.job_log import read_log
from service.jobs.job_stages import stages_of_job
from service.jobs.records import EvaluateJob, ExplainJob, Job, JobSpec, RebuildJob
from service.pages.forms import Form
from service.pages.rendering import page
from service.pages.words import StageLine, stage_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

router = APIRouter(include_in_schema=False)

_LIMIT = 50
_LINES = 40
_TAIL_BYTES = 64 * 1024


@router.get("/jobs")
def jobs(request: Request, offset: Annotated[int, Query(ge=0, le=10**9)] = 0) -> Response:
    """All jobs, the newest first."""
    state = state_of(request)
    found = state.jobs.list(limit=_LIMIT + 1, offset=offset)
    shown = [told_job(each, state.settings) for each in found[:_LIMIT]]
    more = len(found) > _LIMIT
    return page(request, "jobs.html", jobs=shown, offset=offset, limit=_LIMIT, more=more)


@router.get("/jobs/{job}")
def show_job(request: Request, job: JobPath) -> Response:
    """A job, how far it is, and what came of it."""
    return _shown(request, job, "job.html")


@router.get("/jobs/{job}/panel")
def show_progress(request: Request, job: JobPath) -> Response:
    """The part of a job's page that changes."""
    return _shown(request, job, "job_panel.html")


@router.post("/jobs/{job}/cancel")
def cancel_job(request: Request, job: JobPath) -> Response:
    """Stop a job."""
    state_of(request).jobs.cancel(job)
    return RedirectResponse(f"/jobs/{job}", status_code=HTTP_303_SEE_OTHER)


@router.post("/runs/{run}/rebuild")
def match_again(request: Request, run: RunPath, form: Form) -> Response:
    """Build the catalog with the edits, and match again."""
    return started(request, RebuildJob(run=run), form.key)


@router.post("/runs/{run}/explain")
def go_on(request: Request, run: RunPath, form: Form) -> Response:
    """Finish a run that was begun."""
    return started(request, ExplainJob(run=run), form.key)


@router.post("/runs/{run}/evaluate")
def evaluate(request: Request, run: RunPath, form: Form) -> Response:
    """Judge a run by the protocols that are chosen.

    Raises:
        InputError: one is no protocol.
    """
    chosen = form.all("protocols")
    unknown = set(chosen) - set(ProtocolName)
    if unknown:
        raise InputError(
            f"found the protocol {min(unknown)[:40]!r}; expected some of {', '.join(ProtocolName)}"
        )
    spec = EvaluateJob(run=run, protocols=tuple(map(ProtocolName, dict.fromkeys(chosen))))
    return started(request, spec, form.key)


def started(request: Request, spec: JobSpec, key: str | None) -> Response:
    """Start a job and go to its page; a form that is sent twice starts one.

    Raises:
        NotFoundError: there is no such run.
        InputError: the service does not allow it.
    """
    state = state_of(request)
    if isinstance(spec, RebuildJob | ExplainJob | EvaluateJob):
        state.runs.path(spec.run)
    job = state.jobs.submit(admit(spec, state.settings, state.uploads), key=key)
    return RedirectResponse(f"/jobs/{job.id}", status_code=HTTP_303_SEE_OTHER)


def _shown(request: Request, job_id: str, template: str) -> Response:
    state = state_of(request)
    job = state.jobs.get(job_id)
    lines = _last_lines(JobFiles.of(state.settings.workspace, job.id).log)
    return page(
        request,
        template,
        job=told_job(job, state.settings),
        stages=_stages(state, job),
        lines=[without_paths(line, state.settings) for line in lines],
    )


def _stages(state: ServiceState, job: Job) -> tuple[StageLine, ...]:
    """The stages of a job; none where its run is gone or of another version."""
    try:
        names: Iterable[str] = stages_of_job(job.spec, state.settings.runs / job.run)
    except (RunError, ValidationError):
        return ()
    return stage_lines(job, tuple(names))


def _last_lines(log: Path) -> tuple[str, ...]:
    """The end of a log; of a line that begins before it nothing is shown."""
    size = log.stat().st_size if log.is_file() else 0
    start = max(0, size - _TAIL_BYTES)
    lines = read_log(log, start, _TAIL_BYTES).lines
    return (lines[1:] if start else lines)[-_LINES:]
