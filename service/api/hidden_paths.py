"""Answers name runs, models and uploads by their names, never by where they lie on the server."""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from pathlib import Path

from service.jobs.records import Job
from service.public_names import public_spec
from service.service_settings import ServiceSettings


def without_paths(text: str, settings: ServiceSettings) -> str:
    """A text in which paths below the folders of the service begin at those folders."""
    for pattern in _patterns(settings.runs, settings.models_folder):
        text = pattern.sub("", text)
    return text


def told_job(job: Job, settings: ServiceSettings) -> Job:
    """A job as clients are told of it."""
    result = _walked(job.result, settings)
    problem = job.problem
    if problem is not None:
        message = without_paths(problem.message, settings)
        problem = problem.model_copy(update={"message": message})
    told = {"spec": public_spec(job.spec), "result": result, "problem": problem}
    return job.model_copy(update=told)


def _walked(content: object, settings: ServiceSettings) -> object:
    if isinstance(content, str):
        return without_paths(content, settings)
    if isinstance(content, list):
        return [_walked(each, settings) for each in content]
    if isinstance(content, dict):
        return {name: _walked(each, settings) for name, each in content.items()}
    return content


@lru_cache(maxsize=8)
def _patterns(runs: Path, models: Path | None) -> tuple[re.Pattern[str], ...]:
    folders = {
        str(place)
        # Libraries tell in a job's log where they found a model that came with them.
        for folder in (runs, models, Path(sys.prefix))
        if folder is not None
        for place in (folder.absolute(), folder.resolve())
    }
    # The longest first: one folder may lie in another.
    longest_first = sorted(folders, key=len, reverse=True)
    return tuple(re.compile(rf"{re.escape(each)}(/|(?![\w.-]))") for each in longest_first)
