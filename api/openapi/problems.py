"""Error responses of the OpenAPI document: components that the operations refer to."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from werkzeug.routing import Rule

from api import problems
from api.contract.operation import Operation
from api.middleware import access_control
from api.problems import Problem

SCHEMA = {"$ref": "#/components/schemas/Problem"}
PREFIX = "#/components/responses/"


class Header(NamedTuple):
    """A header of an error response."""

    description: str
    example: str


HEADERS: dict[type[Problem], dict[str, Header]] = {
    problems.Unauthorized: {
        "WWW-Authenticate": Header("How to send a token.", access_control.CHALLENGE["WWW-Authenticate"])
    },
    problems.MethodNotAllowed: {"Allow": Header("The methods of the path.", "GET, HEAD, OPTIONS, PUT")},
    problems.RangeNotSatisfiable: {"Content-Range": Header("The size of the file.", "bytes */288")},
    problems.Overloaded: {"Retry-After": Header("Seconds to wait.", "1")},
}


class ProblemResponses:
    """The error responses of all operations."""

    def __init__(self) -> None:
        """Add those of no operation: an unknown method, a range of a static file."""
        self.components: dict[str, Any] = {}
        self._reference([problems.MethodNotAllowed])
        self._reference([problems.RangeNotSatisfiable])

    def added_to(self, responses: Mapping[int, Any], rule: Rule, method: str, spec: Operation) -> dict[str, Any]:
        """Return the responses of an operation together with its error responses."""
        kinds_by_status: dict[int, list[type[Problem]]] = defaultdict(list)
        for kind in _problems(rule, method, spec):
            kinds_by_status[kind.status].append(kind)
        by_status = dict(responses)
        for status, kinds in kinds_by_status.items():
            if status in by_status:  # such as a 503 that the view returns itself
                response, problem = by_status[status], _response(kinds)
                by_status[status] = problem | response | {"content": response["content"] | problem["content"]}
            else:
                by_status[status] = self._reference(kinds)
        return {str(status): by_status[status] for status in sorted(by_status)}

    def _reference(self, kinds: list[type[Problem]]) -> dict[str, Any]:
        name = "Or".join(kind.__name__ for kind in kinds)
        self.components.setdefault(name, _response(kinds))
        return {"$ref": PREFIX + name}


def _response(kinds: list[type[Problem]]) -> dict[str, Any]:
    """Return the response that stands for any of these problems, which share a status."""
    response: dict[str, Any] = {"description": " Or: ".join(f"{kind.title}." for kind in kinds)}
    headers = {name: header for kind in kinds for name, header in HEADERS.get(kind, {}).items()}
    if headers:
        response["headers"] = {
            name: {"description": header.description, "schema": {"type": "string"}, "example": header.example}
            for name, header in headers.items()
        }
    examples = {kind.name: {"value": kind(kind.example).as_dict()} for kind in kinds}
    response["content"] = {problems.CONTENT_TYPE: {"schema": SCHEMA, "examples": examples}}
    return response


def _problems(rule: Rule, method: str, spec: Operation) -> list[type[Problem]]:
    """Return the problems of an operation, its own ones first."""
    kinds = [
        *spec.problems,
        problems.BadRequest,
        problems.HeaderFieldsTooLarge,
        problems.InternalServerError,
        problems.Overloaded,
        problems.InvalidRequest,  # every operation rejects unknown parameters
    ]
    if spec.body:
        kinds.append(problems.UnsupportedMediaType)
    if method not in access_control.SAFE_METHODS:
        kinds.append(problems.ContentTooLarge)
    if rule.rule not in access_control.HEALTH_CHECKS:
        kinds += [problems.Unauthorized, problems.UnknownHost]
        if method not in access_control.SAFE_METHODS:
            kinds += [problems.ReadOnlyToken, problems.CrossOrigin]
    if spec.needs_backends:
        kinds.append(problems.ServiceUnavailable)
    return list(dict.fromkeys(kinds))
