"""What the OpenAPI document says beyond the routes: problems, keys, and what each tag is about."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.api.answer_examples import add_examples
from service.api.problems import Problem

DESCRIPTION = """\
What the neurons of BERT-type encoders respond to in your text, in words.

A *run* is a folder with everything that one execution found; *jobs* make runs and change them. A
*neuron* is `L<layer>.<site>.<unit>`, such as `L4.ffn.744`, and has a `+` and a `-` *tail*.

Lists come in pages: ask again with `cursor` set to `next_cursor` until that is null. Answers about
a run have an `ETag`; a request with `If-None-Match` is answered 304 while nothing has changed.
Errors are problem documents (RFC 9457) whose `type` ends in the name of the error.
"""
TAGS = {
    "runs": "Runs, finished or not.",
    "neurons": "What neurons respond to, and which of them know a concept or fire on a text.",
    "catalogs": "The descriptors of a run, and edits of them.",
    "evaluations": "How good the explanations are.",
    "exports": "Tables and the report as files.",
    "jobs": "Long work: accepted at once, done by workers, kept over restarts.",
    "uploads": "Corpora for jobs.",
}
_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "`Authorization: Bearer KEY`, a key made by `neuroscribe keys create`.",
    },
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "The same key in a header of its own.",
    },
}


def complete_document(app: FastAPI) -> None:
    """Have `app` describe itself as a whole: `GET /openapi.json` and `app.openapi()`."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    # FastAPI documents this assignment as the way to extend its document.
    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=app.openapi_version,
        description=DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in TAGS.items()],
    )
    add_examples(document)
    components = document.setdefault("components", {})
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    components.setdefault("schemas", {})["Problem"] = schema
    components.setdefault("securitySchemes", {}).update(_SCHEMES)
    # An empty entry: a service of this machine only may ask for no key.
    document["security"] = [{name: []} for name in _SCHEMES] + [{}]
    return document
