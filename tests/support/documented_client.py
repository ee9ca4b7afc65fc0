"""Test client that fails on responses which the API contract does not document."""

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator
from werkzeug.exceptions import HTTPException

from api import problems
from api.openapi.document import document

DOCUMENTED_HEADERS = ("ETag", "Link", "Location")
CONTRACT: dict[str, Any] = {}  # the same for all applications, and slow to generate


class DocumentedClient(FlaskClient):
    """Client that checks each response against the contract; paths and methods outside of it are not checked."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        response = super().open(*args, **kwargs)
        assert response.status_code != 500, response.text  # documented or not
        operation = _find_operation(self.application, response.request)
        if operation:
            assert str(response.status_code) in operation["responses"], response.text
            _check_response(response, _resolve(operation["responses"][str(response.status_code)]))
        return response


def _find_operation(app: Flask, request: Any) -> dict[str, Any]:
    if not CONTRACT:
        CONTRACT.update(document(app))
    try:
        rule, _ = app.url_map.bind("localhost").match(request.path, request.method, return_rule=True)
    except HTTPException:
        return {}
    path = rule.rule.replace("<", "{").replace(">", "}")
    method = request.method.replace("HEAD", "GET").lower()
    operation: dict[str, Any] = CONTRACT["paths"].get(path, {}).get(method, {})
    return operation


def _resolve(item: dict[str, Any]) -> dict[str, Any]:
    """Return the target of a reference; anything else is returned unchanged."""
    if "$ref" not in item:
        return item
    target: Any = CONTRACT
    for name in item["$ref"].removeprefix("#/").split("/"):
        target = target[name]
    return _resolve(target)


def _check_response(response: Any, documented: dict[str, Any]) -> None:
    for name in DOCUMENTED_HEADERS:
        assert name not in response.headers or name in documented.get("headers", {}), f"{name} is not documented"
    if response.data:
        content = documented["content"][response.mimetype]
        if response.is_json:
            OAS31Validator(content["schema"] | {"components": CONTRACT["components"]}).validate(response.json)
        if response.mimetype == problems.CONTENT_TYPE:
            problem_type = response.json["type"].removeprefix(problems.TYPE_PREFIX)
            assert problem_type in content["examples"], f"{problem_type} is not documented: {response.text}"
