"""A test client that fails on responses that the OpenAPI document does not list."""

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator
from werkzeug.exceptions import HTTPException

from api import problems
from tests.support.openapi_document import DOCUMENT

HEADERS = ("ETag", "Link", "Location")


class DocumentedClient(FlaskClient):
    """Checks each response against the document, except those of undocumented paths and methods."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        response = super().open(*args, **kwargs)
        assert response.status_code != 500, response.text  # listed or not
        operation = _operation(self.application, response.request)
        if operation:
            assert str(response.status_code) in operation["responses"], response.text
            _check(response, _resolve(operation["responses"][str(response.status_code)]))
        return response


def _operation(app: Flask, request: Any) -> dict[str, Any]:
    try:
        rule, _ = app.url_map.bind("localhost").match(request.path, request.method, return_rule=True)
    except HTTPException:
        return {}
    path = rule.rule.replace("<", "{").replace(">", "}")
    method = request.method.replace("HEAD", "GET").lower()
    operation: dict[str, Any] = DOCUMENT["paths"].get(path, {}).get(method, {})
    return operation


def _resolve(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the target of a reference, and anything else itself."""
    if "$ref" not in spec:
        return spec
    target: Any = DOCUMENT
    for key in spec["$ref"].removeprefix("#/").split("/"):
        target = target[key]
    return _resolve(target)


def _check(response: Any, spec: dict[str, Any]) -> None:
    for name in HEADERS:
        assert name not in response.headers or name in spec.get("headers", {}), f"{name} is not listed"
    if response.data:
        content = spec["content"][response.mimetype]
        if response.is_json:
            OAS31Validator(content["schema"] | {"components": DOCUMENT["components"]}).validate(response.json)
        if response.mimetype == problems.CONTENT_TYPE:
            kind = response.json["type"].removeprefix(problems.TYPE_PREFIX)
            assert kind in content["examples"], f"{kind} is not listed: {response.text}"
