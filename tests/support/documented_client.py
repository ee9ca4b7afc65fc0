"""A client for which an answer that the contract does not list is a failure."""

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator
from werkzeug.exceptions import HTTPException

from api import problems
from api.openapi.document import document

HEADERS = ("ETag", "Link", "Location")
CONTRACT: dict[str, Any] = {}  # all applications have the same one, and it takes a while to write


class DocumentedClient(FlaskClient):
    """Compares each answer with the contract, but for those of addresses and methods that it does not have."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        answer = super().open(*args, **kwargs)
        assert answer.status_code != 500, answer.text  # whether listed or not
        call = _call(self.application, answer.request)
        if call:
            assert str(answer.status_code) in call["responses"], answer.text
            _compare(answer, _resolved(call["responses"][str(answer.status_code)]))
        return answer


def _call(app: Flask, asked: Any) -> dict[str, Any]:
    if not CONTRACT:
        CONTRACT.update(document(app))
    try:
        rule, _ = app.url_map.bind("localhost").match(asked.path, asked.method, return_rule=True)
    except HTTPException:
        return {}
    path = rule.rule.replace("<", "{").replace(">", "}")
    call: dict[str, Any] = CONTRACT["paths"].get(path, {}).get(asked.method.replace("HEAD", "GET").lower(), {})
    return call


def _resolved(listed: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference leads to, and anything else itself."""
    if "$ref" not in listed:
        return listed
    found: Any = CONTRACT
    for step in listed["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return _resolved(found)


def _compare(answer: Any, listed: dict[str, Any]) -> None:
    for name in HEADERS:
        assert name not in answer.headers or name in listed.get("headers", {}), f"{name} is not listed"
    if answer.data:
        content = listed["content"][answer.mimetype]
        if answer.is_json:
            OAS31Validator(content["schema"] | {"components": CONTRACT["components"]}).validate(answer.json)
        if answer.mimetype == problems.CONTENT_TYPE:
            kind = answer.json["type"].removeprefix(problems.TYPE_PREFIX)
            assert kind in content["examples"], f"{kind} is not listed: {answer.text}"
