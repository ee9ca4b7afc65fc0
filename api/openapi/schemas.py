"""JSON schemas of request and response bodies, with an example of each."""

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from api.contract.operation import Operation
from api.contract.problem_schemas import Problem

PREFIX = "#/components/schemas/"


class _UntitledFields(GenerateJsonSchema):
    """Generates no title for a field: it would repeat the name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # the signature is pydantic's
        """Return False."""
        return False


class Schemas:
    """The schemas of all operations, and the components that they refer to."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        models: dict[int, Any] = {id(Problem): Problem}  # by id: lists and the like have no hash
        for spec in operations:
            for model in (spec.body, *(response.schema for response in spec.responses.values())):
                if model is not None:
                    models[id(model)] = model
        adapters: list[tuple[int, JsonSchemaMode, TypeAdapter[Any]]]
        adapters = [(key, "validation", TypeAdapter(model)) for key, model in models.items()]
        schemas, shared = TypeAdapter.json_schemas(
            adapters, ref_template=PREFIX + "{model}", schema_generator=_UntitledFields
        )
        self._schemas: dict[Any, dict[str, Any]] = {key: schema for (key, _), schema in schemas.items()}
        self.components: dict[str, Any] = shared["$defs"]
        for component in self.components.values():
            del component["title"]  # the name of the class

    def content(self, model: Any) -> dict[str, Any]:
        """Return the schema of a body, and an example."""
        schema = self._schemas[id(model)]
        return {"schema": schema, "example": _example(schema, self.components)}


def _example(schema: dict[str, Any], components: dict[str, Any]) -> Any:
    """Return the example of the schema, or one composed of those of its parts."""
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
