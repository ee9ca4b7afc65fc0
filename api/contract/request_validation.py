"""Validation of path and query parameters and request bodies, with the errors in the project's words.

pydantic validates; its errors are turned into field errors that name the field, the value and the remedy.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from flask import request
from pydantic import TypeAdapter, ValidationError

from api.contract.field_errors import MAX_FIELD_ERRORS, json_pointer, problem_with, quoted
from api.contract.json_body import read_json
from api.problems import FieldError

Value = TypeVar("Value")

REMEDIES = {  # by pydantic's error type
    "dict_type": "write a JSON object",
    "list_type": "write a JSON array",
    "literal_error": "write {expected}",
    "too_long": "write at most {max_length} of them",
}


def parse_parameter(name: str, text: str, parse: Callable[[str], Value]) -> Value:
    """Return the value of a parameter; the ValueError of parse states the remedy. Raises InvalidRequest."""
    try:
        return parse(text)
    except ValueError as error:
        raise problem_with([FieldError(f"{name} is {quoted(text)}; {error}", parameter=name)]) from None


class QueryValidator:
    """Validates the query string against a TypedDict, or against no parameters at all."""

    def __init__(self, schema: Any) -> None:
        self._adapter = TypeAdapter(schema) if schema else None
        properties = self._adapter.json_schema()["properties"] if self._adapter else {}
        self._is_repeatable = {name: field.get("type") == "array" for name, field in properties.items()}

    def validate(self) -> Any:
        """Return the parameters of the current request; raises InvalidRequest."""
        values = {name: self._value(name) for name in request.args}
        if self._adapter is None:
            return None
        try:
            return self._adapter.validate_python(values)
        except ValidationError as error:
            raise problem_with(
                FieldError(_detail(details, self._is_repeatable), parameter=str(details["loc"][0]))
                for details in error.errors(include_url=False)
            ) from None

    def _value(self, name: str) -> str | list[str]:
        """Return a parameter; an unknown one is an error, else a misspelt one would go unnoticed."""
        if name not in self._is_repeatable:
            others = f"there are {', '.join(self._is_repeatable)}" if self._is_repeatable else "it has none"
            detail = f"{quoted(name)} is not a parameter of {request.path}; {others}"
            raise problem_with([FieldError(detail, parameter=name)])
        values = request.args.getlist(name)
        if self._is_repeatable[name]:
            return values
        if len(values) > 1:
            raise problem_with([FieldError(f"{name} is there {len(values)} times; write it once", parameter=name)])
        return values[0]


class BodyValidator:
    """Validates a JSON body against a TypedDict, or a list of them.

    A list is validated item by item, since pydantic describes every error of a value before it raises.
    """

    def __init__(self, schema: Any) -> None:
        item = schema
        while arguments := get_args(item):  # Annotated[list[Item], …]
            item = arguments[0]
        self._field_names = list(get_type_hints(item))
        if item is schema:
            self._body, self._item = TypeAdapter(schema), None
        else:
            list_schema: Any = Annotated[list[Any], *get_args(schema)[1:]]
            self._body, self._item = TypeAdapter(list_schema), TypeAdapter(item)

    def validate(self) -> Any:
        """Return the body of the current request; raises InvalidRequest and what read_json() raises."""
        errors: list[FieldError] = []
        body = self._validate(self._body, read_json(), (), errors)
        if self._item and not errors:
            body = [self._validate(self._item, item, (index,), errors) for index, item in enumerate(body)]
        if errors:
            raise problem_with(errors)
        return body

    def _validate(
        self, adapter: TypeAdapter[Any], value: Any, location: tuple[int, ...], errors: list[FieldError]
    ) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            for details in error.errors(include_url=False):
                details["loc"] = (*location, *details["loc"])
                errors.append(FieldError(_detail(details, self._field_names), pointer=json_pointer(details["loc"])))
        if len(errors) >= MAX_FIELD_ERRORS:
            raise problem_with(errors)
        return None


def _detail(details: Any, field_names: Iterable[str] | Mapping[str, bool]) -> str:
    """Return the detail of one of pydantic's errors: the field, the value and the remedy."""
    kind, location = details["type"], details["loc"]
    name = location[-1] if location else "the body"
    if isinstance(name, int):  # an item of a list
        name = f"number {name} of {location[-2] if len(location) > 1 else 'the body'}"
    if kind == "missing":
        return f"{name} is missing; it is required"
    if kind == "extra_forbidden":
        return f"{quoted(name)} is not a field; there are {', '.join(field_names)}"
    context = details.get("ctx", {})
    remedy = context.get("error") or REMEDIES.get(kind, "").format(**context) or details["msg"]
    return f"{name} is {quoted(details['input'])}; {remedy}"
