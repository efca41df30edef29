"""Style sheets and scripts, from this package, the report's and plotly's; nothing from elsewhere.

Each is addressed with a hash of its content, so that a browser may keep it for ever.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from functools import cache
from importlib import resources

from fastapi import APIRouter, Request, Response

from eval.web_page import page_part
from indexer.errors import NotFoundError

router = APIRouter(include_in_schema=False)

_FOREVER = "public, max-age=31536000, immutable"
_WORTH_COMPRESSING = 1024


def _style() -> bytes:
    report = page_part("templates", "report.css") + page_part("templates", "charts.css")
    return (report + _own("explorer.css") + _own("forms.css")).encode()


def _own(name: str) -> str:
    return resources.files("service").joinpath("pages", "static", name).read_text("utf-8")


def _plotly() -> bytes:
    return resources.files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()


def _script(name: str) -> Callable[[], bytes]:
    return lambda: _own(name).encode()


_FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "explorer.css": ("text/css; charset=utf-8", _style),
    "explorer.js": ("text/javascript; charset=utf-8", _script("explorer.js")),
    "upload.js": ("text/javascript; charset=utf-8", _script("upload.js")),
    "charts.js": ("text/javascript; charset=utf-8", _script("charts.js")),
    "plotly.js": ("text/javascript; charset=utf-8", _plotly),
    "icon.svg": ("image/svg+xml", _script("icon.svg")),
}


def static_path(name: str) -> str:
    """The address of a file, with the hash of its content."""
    return f"/static/{name}?v={_fingerprint(name)}"


@router.get("/static/{name}")
def static_file(request: Request, name: str) -> Response:
    """A file by its name.

    Raises:
        NotFoundError: there is none of this name.
    """
    if name not in _FILES:
        raise NotFoundError(f"there is no file {name!r}; pages name those there are")
    headers = {"Cache-Control": _FOREVER, "ETag": f'"{_fingerprint(name)}"'}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    headers["Vary"] = "Accept-Encoding"
    content = _content(name)
    if "gzip" in request.headers.get("Accept-Encoding", "") and len(content) > _WORTH_COMPRESSING:
        headers["Content-Encoding"] = "gzip"
        content = _compressed(name)
    return Response(content, media_type=_FILES[name][0], headers=headers)


@cache
def _content(name: str) -> bytes:
    return _FILES[name][1]()


@cache
def _compressed(name: str) -> bytes:
    return gzip.compress(_content(name), 6, mtime=0)


@cache
def _fingerprint(name: str) -> str:
    return hashlib.sha256(_content(name)).hexdigest()[:16]
