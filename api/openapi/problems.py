"""What may go wrong with each call: written once, and referred to."""

from collections import defaultdict
from typing import Any

from werkzeug.routing import Rule

from api import problems
from api.contract.operation import Operation
from api.middleware import access_control
from api.problems import Problem

SCHEMA = {"$ref": "#/components/schemas/Problem"}
PREFIX = "#/components/responses/"
HEADERS: dict[type[Problem], dict[str, tuple[str, str]]] = {  # by name: what it says, and an example
    problems.Unauthorized: {"WWW-Authenticate": ("How to show a token.", access_control.CHALLENGE["WWW-Authenticate"])},
    problems.MethodNotAllowed: {"Allow": ("The methods that there are.", "GET, HEAD, OPTIONS, PUT")},
    problems.RangeNotSatisfiable: {"Content-Range": ("How long the file is.", "bytes */288")},
    problems.Overloaded: {"Retry-After": ("Seconds to wait.", "1")},
}


class Responses:
    """The problems of all operations, as components that they refer to."""

    def __init__(self) -> None:
        """Begin with what is the answer of no operation: a method that an address does not have, a part of a file."""
        self.components: dict[str, Any] = {}
        self._reference([problems.MethodNotAllowed])
        self._reference([problems.RangeNotSatisfiable])

    def of(self, rule: Rule, method: str, described: Operation, answers: dict[int, Any]) -> dict[str, Any]:
        """Return all responses of an operation: the answers, and what may go wrong."""
        by_status: dict[int, list[type[Problem]]] = defaultdict(list)
        for kind in _problems(rule, method, described):
            by_status[kind.status].append(kind)
        found = dict(answers)
        for status, kinds in by_status.items():
            if status in found:  # such as a 503 that is also an answer of its own
                own, problem = found[status], _response(kinds)
                found[status] = problem | own | {"content": own["content"] | problem["content"]}
            else:
                found[status] = self._reference(kinds)
        return {str(status): found[status] for status in sorted(found)}

    def _reference(self, kinds: list[type[Problem]]) -> dict[str, Any]:
        name = "Or".join(kind.__name__ for kind in kinds)
        self.components.setdefault(name, _response(kinds))
        return {"$ref": PREFIX + name}


def _response(kinds: list[type[Problem]]) -> dict[str, Any]:
    """Return the response that is any of these problems, which have one status."""
    shown: dict[str, Any] = {"description": " Or: ".join(f"{kind.title}." for kind in kinds)}
    headers = {name: what for kind in kinds for name, what in HEADERS.get(kind, {}).items()}
    if headers:
        shown["headers"] = {
            name: {"description": what, "schema": {"type": "string"}, "example": example}
            for name, (what, example) in headers.items()
        }
    examples = {kind.name: {"value": kind(kind.example).as_dict()} for kind in kinds}
    shown["content"] = {problems.CONTENT_TYPE: {"schema": SCHEMA, "examples": examples}}
    return shown


def _problems(rule: Rule, method: str, described: Operation) -> list[type[Problem]]:
    """Return what may go wrong, the special ones first."""
    kinds = [
        *described.problems,
        problems.BadRequest,
        problems.HeaderFieldsTooLarge,
        problems.InternalServerError,
        problems.Overloaded,
    ]
    # Any call refuses parameters that it does not have.
    kinds.append(problems.InvalidRequest)
    if described.body:
        kinds.append(problems.UnsupportedMediaType)
    if method not in access_control.SAFE:
        kinds.append(problems.ContentTooLarge)
    if rule.rule not in access_control.HEALTH_CHECKS:
        kinds += [problems.Unauthorized, problems.UnknownHost]
        if method not in access_control.SAFE:
            kinds += [problems.ReadOnlyToken, problems.CrossOrigin]
    if described.needs_backends:
        kinds.append(problems.ServiceUnavailable)
    return list(dict.fromkeys(kinds))
