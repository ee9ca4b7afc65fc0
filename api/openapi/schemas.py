"""The schemas of what calls take and answer, with an example of each."""

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from api.contract.operation import Operation
from api.contract.responses import ShownProblem

PREFIX = "#/components/schemas/"


class _Names(GenerateJsonSchema):
    """Names components as generated clients should: Schedule, not ShownSchedule; no titles that repeat names."""

    def normalize_name(self, name: str) -> str:
        """Return the name of a class as that of a component."""
        return super().normalize_name(name).replace("Shown", "")

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # the signature is pydantic's
        """Return False: a title would be the name of the field."""
        return False


class Schemas:
    """The bodies of all operations, and the components that they refer to."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        """Write the schemas of these operations."""
        models: dict[int, Any] = {id(ShownProblem): ShownProblem}  # by id: lists and the like have no hash
        for described in operations:
            for model in (described.body, *(answer.model for answer in described.answers.values())):
                if model is not None:
                    models[id(model)] = model
        wanted: list[tuple[int, JsonSchemaMode, TypeAdapter[Any]]]
        wanted = [(key, "validation", TypeAdapter(model)) for key, model in models.items()]
        found, shared = TypeAdapter.json_schemas(wanted, ref_template=PREFIX + "{model}", schema_generator=_Names)
        self._schemas: dict[Any, dict[str, Any]] = {key: schema for (key, _), schema in found.items()}
        self.components: dict[str, Any] = shared["$defs"]
        for component in self.components.values():
            del component["title"]  # the name of the class

    def content(self, model: Any) -> dict[str, Any]:
        """Return the schema of a body, and an example."""
        schema = self._schemas[id(model)]
        return {"schema": schema, "example": _example(schema, self.components)}


def _example(schema: dict[str, Any], components: dict[str, Any]) -> Any:
    """Return an example that the schema has itself, or one that is made of those of its parts."""
    match schema:
        case {"examples": [example, *_]} | {"enum": [example, *_]} | {"const": example}:
            return example
        case {"$ref": ref}:
            return _example(components[ref.removeprefix(PREFIX)], components)
        case {"anyOf": [first, *_]}:
            return _example(first, components)
        case {"items": item}:
            return [_example(item, components)]
        case {"properties": properties}:
            return {name: _example(part, components) for name, part in properties.items()}
    raise AssertionError(f"{schema} has no example")
