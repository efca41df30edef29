"""The OpenAPI document as a page without scripts and without anything from elsewhere."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response

router = APIRouter(include_in_schema=False)

_REFERENCE = "#/components/schemas/"
_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter of an operation or a property of a schema."""

    name: str
    type: str
    required: bool
    place: str
    description: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers with one status."""

    status: str
    meaning: str
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """What one method at one path does."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[Field, ...]
    bodies: tuple[str, ...]
    examples: tuple[str, ...]
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The operations of one tag."""

    name: str
    description: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Schema:
    """A kind of object in requests or answers."""

    name: str
    description: str
    type: str
    properties: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """All that the document says, in the order in which people read it."""

    title: str
    version: str
    description: str
    groups: tuple[Group, ...]
    schemas: tuple[Schema, ...]


@router.get("/docs")
def show_reference(request: Request) -> Response:
    """The reference of the API."""
    from service.pages.rendering import page

    return page(request, "reference.html", reference=_reference_of(request.app))


@lru_cache(maxsize=1)
def _reference_of(app: FastAPI) -> Reference:
    return reference_of(app.openapi())


def reference_of(document: dict[str, Any]) -> Reference:
    """An OpenAPI document as what a page shows."""
    described = {tag["name"]: tag.get("description", "") for tag in document.get("tags", ())}
    grouped: dict[str, list[Operation]] = {name: [] for name in described}
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                (tag, *_) = methods[method].get("tags", ["other"])
                grouped.setdefault(tag, []).append(_operation(method, path, methods[method]))
    return Reference(
        title=document["info"]["title"],
        version=document["info"]["version"],
        description=document["info"].get("description", ""),
        groups=tuple(
            Group(name, described.get(name, ""), tuple(found))
            for name, found in grouped.items()
            if found
        ),
        schemas=tuple(
            _schema(name, schema)
            for name, schema in sorted(document.get("components", {}).get("schemas", {}).items())
        ),
    )


def type_of(schema: dict[str, Any]) -> str:
    """What values a schema allows, in words."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_REFERENCE)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(map(type_of, schema[several])))
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False)
    if "enum" in schema:
        return ", ".join(json.dumps(each, ensure_ascii=False) for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object of {type_of(schema['additionalProperties'])}"
    return str(schema.get("format", schema.get("type", "anything")))


def _operation(method: str, path: str, told: dict[str, Any]) -> Operation:
    content: dict[str, Any] = told.get("requestBody", {}).get("content", {})
    examples = [
        example["value"]
        for each in content.values()
        for example in each.get("examples", {}).values()
    ]
    return Operation(
        id=told.get("operationId", f"{method}-{path}"),
        method=method.upper(),
        path=path,
        summary=told.get("summary", ""),
        description=told.get("description", ""),
        parameters=tuple(
            Field(
                name=each["name"],
                type=type_of(each.get("schema", {})),
                required=each.get("required", False),
                place=each["in"],
                description=each.get("description", ""),
            )
            for each in told.get("parameters", ())
        ),
        bodies=tuple(
            f"{type_of(each.get('schema', {}))} as {media}" for media, each in content.items()
        ),
        examples=tuple(map(_shown, examples)),
        answers=tuple(
            _answer(status, each) for status, each in sorted(told.get("responses", {}).items())
        ),
    )


def _answer(status: str, told: dict[str, Any]) -> Answer:
    content: dict[str, Any] = told.get("content", {})
    schemas = (type_of(each.get("schema", {})) for each in content.values())
    kinds = " or ".join(dict.fromkeys(each for each in schemas if each != "anything"))
    description = str(told.get("description", ""))
    return Answer(
        status=status,
        meaning=f"{description} ({kinds})" if kinds else description,
        examples=tuple(_shown(each["example"]) for each in content.values() if "example" in each),
    )


def _shown(example: Any) -> str:
    """An example as people read it."""
    is_text = isinstance(example, str)
    return example if is_text else json.dumps(example, indent=2, ensure_ascii=False)


def _schema(name: str, schema: dict[str, Any]) -> Schema:
    required = set(schema.get("required", ()))
    properties: dict[str, Any] = schema.get("properties", {})
    return Schema(
        name=name,
        description=schema.get("description", ""),
        type="" if properties else type_of(schema),
        properties=tuple(
            Field(
                name=each,
                type=type_of(told),
                required=each in required,
                place="",
                description=told.get("description", ""),
            )
            for each, told in properties.items()
        ),
    )
