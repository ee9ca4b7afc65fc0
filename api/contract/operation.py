"""What a call takes and answers: said once beside its view, checked here, written down by api.openapi.document."""

import functools
import itertools
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_type_hints
from urllib.parse import quote

from flask import request
from flask.typing import ResponseReturnValue
from pydantic import TypeAdapter, ValidationError

from api.contract import fields
from api.contract.json_body import read_json
from api.problems import Busy, Fault, Invalid, Problem

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])
Value = TypeVar("Value")

SHOWN = 80  # characters of a wrong value
MOST_FAULTS = 100  # that an answer names
WORDS = {  # for errors of pydantic's own
    "dict_type": "write a JSON object",
    "list_type": "write a JSON array",
    "literal_error": "write {expected}",
    "too_long": "write at most {max_length} of them",
}


class Answer(NamedTuple):
    """One kind of answer that is no problem."""

    description: str
    model: Any = None  # the type of the body; None where there is none
    headers: Mapping[str, str] = {}  # with what each says
    media_type: str = "application/json"


@dataclass(frozen=True)
class Operation:
    """What a call takes and answers, beyond its path."""

    answers: Mapping[int, Answer]
    query: Any = None  # a TypedDict
    body: Any = None  # a TypedDict, or a list of them with its limits
    headers: Mapping[str, str] = field(default_factory=dict)  # that a caller may send, with what each does
    problems: Sequence[type[Problem]] = ()  # beyond those that follow from the rest
    servers: bool = True  # needs PostgreSQL or Redis
    turns: threading.Semaphore | None = None  # that it takes one of, for as long as it has the body


OPERATIONS: dict[Callable[..., ResponseReturnValue], Operation] = {}


def operation(described: Operation) -> Callable[[View], View]:
    """Hand the view what the caller sent, checked: model_id of its path, query and body. Raises Invalid."""
    query = TypeAdapter(described.query) if described.query else None
    body = _checks(described.body) if described.body else None
    properties = query.json_schema()["properties"] if query else {}
    parameters = {name: schema.get("type") == "array" for name, schema in properties.items()}

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def checked(**arguments: Any) -> ResponseReturnValue:
            if described.turns:
                with _turn(described.turns):
                    return answered(arguments)
            return answered(arguments)

        def answered(arguments: dict[str, Any]) -> ResponseReturnValue:
            if "model_id" in arguments:
                arguments["model_id"] = parameter("model_id", arguments["model_id"], fields.uuid)
            if request.args:
                _only(parameters)
            if query:
                arguments["query"] = _query(query, parameters)
            if body:
                arguments["body"] = _body(*body)
            return view(**arguments)

        OPERATIONS[checked] = described
        return checked  # type: ignore[return-value]  # wraps() keeps what the view is

    return decorate


def invalid(faults: Iterable[Fault], kind: type[Problem] = Invalid) -> Problem:
    """Return the problem that names all of the faults (the first hundred): its detail is the first one."""
    named = list(itertools.islice(faults, MOST_FAULTS))
    others = f"{len(named) - 1} more" if len(named) < MOST_FAULTS else f"at least {MOST_FAULTS - 1} more"
    more = f" (and {others}, see errors)" if len(named) > 1 else ""
    return kind(named[0].detail + more, *named)


def pointer(location: Sequence[str | int]) -> str:
    """Return a JSON pointer as a URI fragment (RFC 6901); half a surrogate pair in a name is a question mark."""
    steps = (str(step)[:SHOWN].replace("~", "~0").replace("/", "~1") for step in location)
    return "#" + "".join("/" + quote(step, safe="!$&'()*+,;=:@", errors="replace") for step in steps)


def quoted(value: object) -> str:
    """Return a value as JSON, cut short."""
    try:
        written = json.dumps(value)
    except RecursionError:
        return "nested deeply"
    return written if len(written) <= SHOWN else f"{written[:SHOWN]}…"


def parameter(name: str, text: str, read: Callable[[str], Value]) -> Value:
    """Return what a parameter says; its ValueError says what would be right. Raises Invalid."""
    try:
        return read(text)
    except ValueError as error:
        raise invalid([Fault(f"{name} is {quoted(text)}; {error}", parameter=name)]) from None


@contextmanager
def _turn(turns: threading.Semaphore) -> Iterator[None]:
    if not turns.acquire(blocking=False):  # to wait would keep a thread
        raise Busy("others send as much at this moment; try again", headers={"Retry-After": "1"})
    try:
        yield
    finally:
        turns.release()


def _only(known: Mapping[str, bool]) -> None:
    """Refuse a parameter that the call does not have: a typing error would go unnoticed."""
    for name in request.args:
        if name not in known:
            others = f"there are {', '.join(known)}" if known else "it has none"
            raise invalid([Fault(f"{quoted(name)} is not a parameter of {request.path}; {others}", parameter=name)])


def _query(query: TypeAdapter[Any], known: Mapping[str, bool]) -> Any:
    """Return the parameters, checked; known says of each whether it may be there more than once."""
    values: dict[str, Any] = {}
    for name in request.args:
        given = request.args.getlist(name)
        if len(given) > 1 and not known[name]:
            raise invalid([Fault(f"{name} is there {len(given)} times; write it once", parameter=name)])
        values[name] = given if known[name] else given[0]
    try:
        return query.validate_python(values)
    except ValidationError as error:
        raise invalid(
            Fault(_said(wrong, known), parameter=str(wrong["loc"][0])) for wrong in error.errors(include_url=False)
        ) from None


def _body(whole: TypeAdapter[Any], item: TypeAdapter[Any] | None, known: Iterable[str]) -> Any:
    """Return the body, checked; a list item by item, since pydantic describes each fault of whatever it is given."""
    faults: list[Fault] = []

    def valid(check: TypeAdapter[Any], value: Any, *place: int) -> Any:
        try:
            return check.validate_python(value)
        except ValidationError as error:
            for wrong in error.errors(include_url=False):
                wrong["loc"] = (*place, *wrong["loc"])
                faults.append(Fault(_said(wrong, known), pointer=pointer(wrong["loc"])))
        if len(faults) >= MOST_FAULTS:
            raise invalid(faults)
        return None

    body = valid(whole, read_json())
    if item and not faults:
        body = [valid(item, each, place) for place, each in enumerate(body)]
    if faults:
        raise invalid(faults)
    return body


def _checks(model: Any) -> tuple[TypeAdapter[Any], TypeAdapter[Any] | None, Iterable[str]]:
    """Return what checks a body as a whole, what checks each item where it is a list, and the fields that there are."""
    item = model
    while arguments := get_args(item):  # Annotated[list[Item], …]
        item = arguments[0]
    known = get_type_hints(item)
    if item is model:
        return TypeAdapter(model), None, known
    limits = get_args(model)[1:]
    whole: Any = Annotated[list[Any], *limits]
    return TypeAdapter(whole), TypeAdapter(item), known


def _said(wrong: Any, known: Iterable[str]) -> str:
    """Return one of pydantic's errors in our words: the field, the value, and what would be right."""
    kind, location = wrong["type"], wrong["loc"]
    name = location[-1] if location else "the body"
    if isinstance(name, int):  # an item of a list
        name = f"number {name} of {location[-2] if len(location) > 1 else 'the body'}"
    if kind == "missing":
        return f"{name} is missing; it is required"
    if kind == "extra_forbidden":
        return f"{quoted(name)} is not a field; there are {', '.join(known)}"
    context = wrong.get("ctx", {})
    right = context.get("error") or WORDS.get(kind, "").format(**context) or wrong["msg"]
    return f"{name} is {quoted(wrong['input'])}; {right}"
