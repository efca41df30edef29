"""Errors as pages, for browsers."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse

from service.api.problems import Problem
from service.pages.rendering import page


def error_page(request: Request, problem: Problem) -> HTMLResponse:
    """A problem in the words of its document."""
    return page(request, "error.html", status=problem.status, problem=problem)
