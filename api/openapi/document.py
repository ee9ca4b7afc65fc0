"""The contract as an OpenAPI document, from what api.contract.operation knows of the views.

pydantic writes the schemas; what surrounds them is put together here and in the modules api.openapi_*.
"""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from flask import Flask
from pydantic import TypeAdapter
from werkzeug.routing import Rule

from api.contract.fields import ModelId
from api.contract.operation import OPERATIONS, Operation, ResponseSpec
from api.middleware import access_control
from api.openapi.problems import Responses
from api.openapi.schemas import Schemas
from api.problems import PROBLEMS, Problem

VERSION = "0.1.0"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
TAGS = {  # the blueprints of their views; in this order on the page
    "schedules": "When a model's quality is calculated.",
    "results": "What the quality was.",
    "cron": "Cron expressions, tried before they are used.",
    "health": "Is it well?",
    "docs": "This contract.",
}
TAG_OF = {"collection": "schedules", "prometheus": "health"}  # blueprints that share a tag
HEADERS = {  # examples, by name
    "ETag": '"2f7d1c0b9a8e4d6f3b5a7c91"',
    "If-Match": '"2f7d1c0b9a8e4d6f3b5a7c91"',
    "If-None-Match": '"2f7d1c0b9a8e4d6f3b5a7c91"',
    "Link": '</schedule?limit=100&after=WyJm>; rel="next"',
    "Location": "/schedule/550e8400-e29b-41d4-a716-446655440000",
}
SOMETIMES = {"Link"}  # headers that not every answer of their status has
DESCRIPTION = """Schedules say when a model's quality is calculated; results say what it was.

Errors are `application/problem+json` (RFC 9457): `detail` says what is wrong, and `errors` where. `type` is stable:
rely on it, not on the words. Any address answers 404 where there is nothing, and 405 with `Allow` to other methods.
`type` begins with `urn:cyclic-metrics:problem:`, and ends with one of these:

| type | status | |
|---|---|---|
"""
TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "Needed where API_TOKENS is set; a read-only one may only GET.",
}


def document(app: Flask, *, tokens_needed: bool = False) -> dict[str, Any]:
    """Return the OpenAPI document of an application's views that have an operation."""
    calls = [
        _Call(rule, method, view, OPERATIONS[view])
        for rule in app.url_map.iter_rules()
        for method in METHODS
        if method in (rule.methods or ()) and (view := app.view_functions[rule.endpoint]) in OPERATIONS
    ]
    schemas, responses = Schemas([call.described for call in calls]), Responses()
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for call in sorted(calls, key=lambda call: (call.rule.rule, METHODS.index(call.method))):
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", call.rule.rule)
        paths[path][call.method.lower()] = _operation(call, schemas, responses)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Cyclic Metrics", "version": VERSION, "description": DESCRIPTION + _table()},
        "needs_backends": [{"url": "/"}],
        "security": [{"token": []}] if tokens_needed else [{}, {"token": []}],
        "tags": [{"name": name, "description": what} for name, what in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": responses.components,
            "securitySchemes": {"token": TOKEN},
        },
    }


class _Call(NamedTuple):
    """A method of an address."""

    rule: Rule
    method: str
    view: Any
    described: Operation


def _operation(call: _Call, schemas: Schemas, responses: Responses) -> dict[str, Any]:
    rule, method, view, described = call
    summary, _, more = inspect.cleandoc(view.__doc__ or "").partition("\n\n")
    blueprint = rule.endpoint.partition(".")[0]
    shown: dict[str, Any] = {"operationId": view.__name__, "summary": summary}
    if more:
        shown["description"] = more
    shown["tags"] = [TAG_OF.get(blueprint, blueprint)]
    if rule.rule in access_control.HEALTH_CHECKS:
        shown["security"] = []
    shown["parameters"] = list(_parameters(rule, described))
    if described.body:
        shown["requestBody"] = {"required": True, "content": {"application/json": schemas.content(described.body)}}
    answers = {status: _answer(answer, schemas) for status, answer in described.responses.items()}
    shown["responses"] = responses.of(rule, method, described, answers)
    return shown


def _parameters(rule: Rule, described: Operation) -> Iterator[dict[str, Any]]:
    for name in sorted(rule.arguments):
        yield _parameter(name, "path", TypeAdapter(ModelId).json_schema(), required=True)
    if described.query:
        query = TypeAdapter(described.query).json_schema()
        for name, schema in query["properties"].items():
            yield _parameter(name, "query", schema, required=name in query.get("required", ()))
    for name, what in described.headers.items():
        schema = {"type": "string", "format": "entity-tags", "description": what, "examples": [HEADERS[name]]}
        yield _parameter(name, "header", schema)


def _parameter(name: str, place: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    """Return a parameter, which says itself what its schema would say of it."""
    kept = {key: value for key, value in schema.items() if key not in {"title", "description"}}
    shown = {"name": name, "in": place, "required": required, "description": schema["description"], "schema": kept}
    # Where Swagger UI finds an example it sends it, too: in optional ones, a filter or a tag that nobody asked for.
    if required:
        shown["example"] = kept.pop("examples")[0]
    return shown


def _answer(answer: ResponseSpec, schemas: Schemas) -> dict[str, Any]:
    shown: dict[str, Any] = {"description": answer.description}
    if answer.headers:
        shown["headers"] = {
            name: {
                "description": what,
                "required": name not in SOMETIMES,
                "schema": {"type": "string"},
                "example": HEADERS[name],
            }
            for name, what in answer.headers.items()
        }
    if answer.schema is not None:
        shown["content"] = {answer.media_type: schemas.content(answer.schema)}
    return shown


def _table() -> str:
    kinds: list[type[Problem]] = sorted(PROBLEMS, key=lambda kind: kind.status)
    return "\n".join(f"| `{kind.name}` | {kind.status} | {kind.title} |" for kind in kinds)
