"""The OpenAPI document, generated from the operations of the views.

pydantic generates the schemas; this package composes the rest.
"""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from flask import Flask
from pydantic import TypeAdapter
from werkzeug.routing import Rule

from api.contract.fields import ModelId
from api.contract.operation import OPERATIONS, Operation, ResponseSpec
from api.middleware import access_control
from api.openapi.problems import ProblemResponses
from api.openapi.schemas import Schemas
from api.problems import PROBLEMS, Problem
from core.version import VERSION

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
TAGS = {  # by name of the blueprint; in this order on the page
    "schedules": "When a model's metrics are calculated.",
    "results": "The calculated metrics.",
    "cron": "Cron expressions, tried before they are used.",
    "health": "Health of the process, the API and the whole system.",
    "docs": "This contract.",
}
HEADER_EXAMPLES = {
    "ETag": '"2f7d1c0b9a8e4d6f3b5a7c91"',
    "If-Match": '"2f7d1c0b9a8e4d6f3b5a7c91"',
    "If-None-Match": '"2f7d1c0b9a8e4d6f3b5a7c91"',
    "Link": '</schedule?limit=100&after=WyJm>; rel="next"',
    "Location": "/schedule/550e8400-e29b-41d4-a716-446655440000",
}
OPTIONAL_HEADERS = {"Link"}  # of responses
DESCRIPTION = """Schedules define when a model's metrics are calculated; results hold the calculated metrics.

Errors are `application/problem+json` (RFC 9457): `detail` states the error, and `errors` its locations. `type` is
stable: rely on it, not on the words. Unknown paths respond with 404, and other methods with 405 and `Allow`.
`type` begins with `urn:cyclic-metrics:problem:`, and ends with one of these:

| type | status | |
|---|---|---|
"""
TOKEN_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "Needed where API_TOKENS is set; a read-only one may only GET.",
}


def document(app: Flask, *, tokens_needed: bool = False) -> dict[str, Any]:
    """Return the OpenAPI document of an application's views that have an operation."""
    endpoints = [
        _Endpoint(rule, method, view, OPERATIONS[view])
        for rule in app.url_map.iter_rules()
        for method in METHODS
        if method in (rule.methods or ()) and (view := app.view_functions[rule.endpoint]) in OPERATIONS
    ]
    schemas, problem_responses = Schemas([endpoint.spec for endpoint in endpoints]), ProblemResponses()
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for endpoint in sorted(endpoints, key=lambda endpoint: (endpoint.rule.rule, METHODS.index(endpoint.method))):
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", endpoint.rule.rule)
        paths[path][endpoint.method.lower()] = _operation(endpoint, schemas, problem_responses)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Cyclic Metrics",
            "version": VERSION,
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": DESCRIPTION + _problem_table(),
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}] if tokens_needed else [{}, {"token": []}],
        "tags": [{"name": name, "description": description} for name, description in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": problem_responses.components,
            "securitySchemes": {"token": TOKEN_SCHEME},
        },
    }


class _Endpoint(NamedTuple):
    """A method of a path."""

    rule: Rule
    method: str
    view: Any
    spec: Operation


def _operation(endpoint: _Endpoint, schemas: Schemas, problem_responses: ProblemResponses) -> dict[str, Any]:
    rule, method, view, spec = endpoint
    summary, _, description = inspect.cleandoc(view.__doc__ or "").partition("\n\n")
    operation: dict[str, Any] = {"operationId": view.__name__, "summary": summary}
    if description:
        operation["description"] = description
    operation["tags"] = [rule.endpoint.partition(".")[0]]
    if rule.rule in access_control.HEALTH_CHECKS:
        operation["security"] = []
    operation["parameters"] = list(_parameters(rule, spec))
    if spec.body:
        operation["requestBody"] = {"required": True, "content": {"application/json": schemas.content(spec.body)}}
    responses = {status: _response(response, schemas) for status, response in spec.responses.items()}
    operation["responses"] = problem_responses.added_to(responses, rule, method, spec)
    return operation


def _parameters(rule: Rule, spec: Operation) -> Iterator[dict[str, Any]]:
    for name in sorted(rule.arguments):
        yield _parameter(name, "path", TypeAdapter(ModelId).json_schema(), required=True)
    if spec.query:
        query = TypeAdapter(spec.query).json_schema()
        for name, schema in query["properties"].items():
            yield _parameter(name, "query", schema, required=name in query.get("required", ()))
    for name, description in spec.headers.items():
        examples = [HEADER_EXAMPLES[name]]
        schema = {"type": "string", "format": "entity-tags", "description": description, "examples": examples}
        yield _parameter(name, "header", schema)


def _parameter(name: str, location: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    """Return a parameter; the description is moved to it from its schema."""
    value_schema = {key: value for key, value in schema.items() if key not in {"title", "description"}}
    parameter = {
        "name": name,
        "in": location,
        "required": required,
        "description": schema["description"],
        "schema": value_schema,
    }
    # Swagger UI also sends an example that it finds: for an optional parameter, a filter or tag that was not asked for.
    if required:
        parameter["example"] = value_schema.pop("examples")[0]
    return parameter


def _response(spec: ResponseSpec, schemas: Schemas) -> dict[str, Any]:
    response: dict[str, Any] = {"description": spec.description}
    if spec.headers:
        response["headers"] = _headers(spec.headers)
    if spec.schema is not None:
        response["content"] = {spec.media_type: schemas.content(spec.schema)}
    return response


def _headers(descriptions: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: {
            "description": description,
            "required": name not in OPTIONAL_HEADERS,
            "schema": {"type": "string"},
            "example": HEADER_EXAMPLES[name],
        }
        for name, description in descriptions.items()
    }


def _problem_table() -> str:
    kinds: list[type[Problem]] = sorted(PROBLEMS, key=lambda kind: kind.status)
    return "\n".join(f"| `{kind.name}` | {kind.status} | {kind.title} |" for kind in kinds)
