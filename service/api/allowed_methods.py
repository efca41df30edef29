"""Which methods a path takes: what a refused request is told, and who asks by OPTIONS."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Request, Response
from starlette.routing import Match

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def allowed_methods(request: Request) -> tuple[str, ...]:
    """The methods of all routes at the path of a request."""
    asked = {"type": "http", "path": request.scope["path"], "root_path": "", "headers": []}
    routes = request.app.router.routes
    found = [
        method
        for method in _METHODS
        if any(route.matches({**asked, "method": method})[0] is Match.FULL for route in routes)
    ]
    # HEAD is answered wherever GET is.
    return (*found[:1], "HEAD", *found[1:], "OPTIONS") if "GET" in found else (*found, "OPTIONS")


def options_answer(request: Request) -> Response:
    """The answer to OPTIONS; no other origin is let in, so it says nothing of origins."""
    allow = ", ".join(allowed_methods(request))
    return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Allow": allow})
