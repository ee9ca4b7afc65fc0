"""The contract of an endpoint: declared beside its view, checked here, documented by api.openapi.document."""

import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from flask.typing import ResponseReturnValue

from api.contract import fields
from api.contract.request_validation import BodyValidator, QueryValidator, parse_parameter
from api.problems import Overloaded, Problem

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])


class ResponseSpec(NamedTuple):
    """A response other than a problem."""

    description: str
    schema: Any = None  # the type of the body; None where there is none
    headers: Mapping[str, str] = {}  # descriptions by name
    media_type: str = "application/json"


@dataclass(frozen=True)
class Operation:
    """Request and responses of an endpoint, beyond its path."""

    responses: Mapping[int, ResponseSpec]  # by status
    query: Any = None  # a TypedDict
    body: Any = None  # a TypedDict, or a list of them with its limits
    headers: Mapping[str, str] = field(default_factory=dict)  # that a client may send; descriptions by name
    problems: Sequence[type[Problem]] = ()  # beyond those that follow from the rest
    needs_backends: bool = True  # PostgreSQL or Redis
    concurrency_limit: threading.Semaphore | None = None  # held from reading the body until the response is made


OPERATIONS: dict[Callable[..., ResponseReturnValue], Operation] = {}


def operation(spec: Operation) -> Callable[[View], View]:
    """Call the view with the validated request: model_id of the path, query and body. Raises InvalidRequest."""
    query = QueryValidator(spec.query)
    body = BodyValidator(spec.body) if spec.body else None

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def validated_view(**arguments: Any) -> ResponseReturnValue:
            with _limit_concurrency(spec.concurrency_limit):
                if "model_id" in arguments:
                    arguments["model_id"] = parse_parameter("model_id", arguments["model_id"], fields.uuid)
                parameters = query.validate()
                if spec.query:
                    arguments["query"] = parameters
                if body:
                    arguments["body"] = body.validate()
                return view(**arguments)

        OPERATIONS[validated_view] = spec
        return validated_view  # type: ignore[return-value]  # wraps() keeps the view's type

    return decorate


@contextmanager
def _limit_concurrency(limit: threading.Semaphore | None) -> Iterator[None]:
    if limit is None:
        yield
        return
    if not limit.acquire(blocking=False):  # waiting would occupy a thread
        raise Overloaded("others send as much at this moment; try again", headers={"Retry-After": "1"})
    try:
        yield
    finally:
        limit.release()
