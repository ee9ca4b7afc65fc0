"""The contract as an OpenAPI document, from what api.contract knows of the views.

pydantic writes the schemas; what surrounds them is put together here.
"""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from flask import Flask
from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode
from werkzeug.routing import Rule

from api import problems
from api.answers import ShownProblem
from api.contract import OPERATIONS, Answer, Operation
from api.fields import ModelId
from api.problems import Problem

REF = "#/components/schemas/{model}"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SAFE = ("GET",)
DESCRIPTION = """Schedules say when a model's quality is calculated; results say what it was.

Errors are `application/problem+json` (RFC 9457). `type` is stable: rely on it, not on the words."""


def document(app: Flask) -> dict[str, Any]:
    """Return the OpenAPI document of an application's views that have an operation."""
    found = [
        (rule, method, OPERATIONS[view])
        for rule in app.url_map.iter_rules()
        for method in METHODS
        if method in (rule.methods or ()) and (view := app.view_functions[rule.endpoint]) in OPERATIONS
    ]
    schemas = _Schemas([described for *_, described in found])
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for rule, method, described in sorted(found, key=lambda each: (each[0].rule, METHODS.index(each[1]))):
        view = inspect.unwrap(app.view_functions[rule.endpoint])
        paths[_path(rule)][method.lower()] = _operation(view, rule, method, described, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Cyclic Metrics", "version": _version(), "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Needed where API_TOKENS is set; a read-only one may only GET.",
                }
            },
        },
    }


class _Schemas:
    """The schemas of everything that the operations name, and the components that they refer to."""

    def __init__(self, operations: list[Operation]) -> None:
        models = {id(ModelId): ModelId, id(ShownProblem): ShownProblem}
        for described in operations:
            for model in (described.query, described.body, *(answer.model for answer in described.answers.values())):
                if model is not None:
                    models[id(model)] = model
        wanted: list[tuple[int, JsonSchemaMode, TypeAdapter[Any]]]
        wanted = [(key, "validation", TypeAdapter(model)) for key, model in models.items()]
        found, shared = TypeAdapter.json_schemas(wanted, ref_template=REF)
        self._schemas: dict[Any, dict[str, Any]] = {key: schema for (key, _), schema in found.items()}
        self.definitions: dict[str, Any] = shared["$defs"]

    def __call__(self, model: Any) -> dict[str, Any]:
        return self._schemas[id(model)]

    def resolved(self, model: Any) -> dict[str, Any]:
        """Return a schema itself, where __call__ may return a reference to it."""
        schema = self(model)
        name = schema.get("$ref", "").rpartition("/")[2]
        return self.definitions[name] if name else schema


def _operation(view: Any, rule: Rule, method: str, described: Operation, schemas: _Schemas) -> dict[str, Any]:
    summary, _, more = inspect.cleandoc(view.__doc__ or "").partition("\n\n")
    shown: dict[str, Any] = {
        "operationId": view.__name__,
        "summary": summary,
        "tags": [rule.endpoint.partition(".")[0]],
        "parameters": list(_parameters(rule, described, schemas)),
        "responses": _responses(rule, method, described, schemas),
    }
    if more:
        shown["description"] = more
    if described.body:
        shown["requestBody"] = {"required": True, "content": {"application/json": {"schema": schemas(described.body)}}}
    return shown


def _parameters(rule: Rule, described: Operation, schemas: _Schemas) -> Iterator[dict[str, Any]]:
    for name in sorted(rule.arguments):
        yield {"name": name, "in": "path", "required": True, "schema": schemas(ModelId)}
    if described.query:
        query = schemas.resolved(described.query)
        for name, schema in query["properties"].items():
            yield {"name": name, "in": "query", "required": name in query.get("required", ()), "schema": schema}
    for name, what in described.headers.items():
        yield {"name": name, "in": "header", "required": False, "description": what, "schema": {"type": "string"}}


def _responses(rule: Rule, method: str, described: Operation, schemas: _Schemas) -> dict[str, Any]:
    shown = {str(status): _answer(answer, schemas) for status, answer in described.answers.items()}
    by_status: dict[int, list[type[Problem]]] = defaultdict(list)
    for kind in _problems(rule, method, described):
        by_status[kind.status].append(kind)
    for status, kinds in by_status.items():
        content = {
            "schema": schemas(ShownProblem),
            "examples": {kind.name: {"value": kind(kind.example).as_dict()} for kind in kinds},
        }
        if str(status) in shown:  # such as a 503 that is also an answer of its own
            shown[str(status)]["content"][problems.CONTENT_TYPE] = content
        else:
            described_as = " Or: ".join(f"{kind.title}." for kind in kinds)
            shown[str(status)] = {"description": described_as, "content": {problems.CONTENT_TYPE: content}}
    return dict(sorted(shown.items()))


def _answer(answer: Answer, schemas: _Schemas) -> dict[str, Any]:
    shown: dict[str, Any] = {"description": answer.description}
    if answer.headers:
        shown["headers"] = {
            name: {"description": what, "schema": {"type": "string"}} for name, what in answer.headers.items()
        }
    if answer.model is not None:
        shown["content"] = {answer.media_type: {"schema": schemas(answer.model)}}
    return shown


def _problems(rule: Rule, method: str, described: Operation) -> list[type[Problem]]:
    """Return what may go wrong, the special ones first."""
    kinds = [*described.problems]
    if described.query or described.body or rule.arguments:
        kinds.append(problems.Invalid)
    if described.body:
        kinds += [problems.NotJson, problems.TooLarge]
    if method not in SAFE:
        kinds += [problems.ReadOnly, problems.ForeignOrigin]
    kinds += [problems.Malformed, problems.Unauthorized, problems.UnknownHost, problems.HeaderTooLarge]
    if described.servers:
        kinds.append(problems.Unavailable)
    return list(dict.fromkeys([*kinds, problems.Busy]))


def _path(rule: Rule) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def _version() -> str:
    try:
        return version("cyclic-metrics")
    except PackageNotFoundError:
        return "unreleased"
