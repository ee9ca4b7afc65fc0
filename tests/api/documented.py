"""A client for which an answer that the contract does not list is a failure."""

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException

from api import problems
from api.openapi import document

LISTED: dict[tuple[str, str], set[str]] = {}


class DocumentedClient(FlaskClient):
    """Compares each answer with the contract, but for those of addresses and methods that it does not have."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        answer = super().open(*args, **kwargs)
        asked = answer.request
        try:
            rule, _ = self.application.url_map.bind("localhost").match(asked.path, asked.method, return_rule=True)
        except HTTPException:
            return answer
        path = rule.rule.replace("<", "{").replace(">", "}")
        listed = _listed(self.application).get((path, asked.method.replace("HEAD", "GET").lower()))
        if listed is not None:
            assert _kind(answer) in listed, f"{asked.method} {path} answers {_kind(answer)}: {answer.text}"
        return answer


def _kind(answer: Any) -> str:
    """Return the type of a problem, and the status of anything else."""
    if answer.content_type != problems.CONTENT_TYPE or answer.request.method == "HEAD":
        return str(answer.status_code)
    return str(answer.json["type"]).removeprefix(problems.TYPE_PREFIX)


def _listed(app: Flask) -> dict[tuple[str, str], set[str]]:
    """Return what each call may answer: statuses, and types of problems."""
    if not LISTED:  # all applications have the same contract, and it takes a while to write
        for path, calls in document(app)["paths"].items():
            for method, call in calls.items():
                LISTED[path, method] = set(call["responses"])
                for response in call["responses"].values():
                    content = response.get("content", {}).get(problems.CONTENT_TYPE, {})
                    LISTED[path, method].update(content.get("examples", ()))
    return LISTED
