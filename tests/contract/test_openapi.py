"""The OpenAPI document: valid, complete, with examples that match its schemas."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.openapi.document import document
from api.problems import PROBLEMS, TYPE_PREFIX
from core.version import VERSION
from tests.support.openapi_document import APP, DOCUMENT

OPERATIONS = {
    operation["operationId"]: (path, method, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
WITHOUT_EXAMPLE = {"after"}  # no example would be valid in another database


def test_openapi_document_is_valid() -> None:
    assert not list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors())


def test_operation_ids_are_stable() -> None:
    """Generated clients have methods of these names: add some, but change none."""
    assert {name: f"{method} {path}" for name, (path, method, _) in OPERATIONS.items()} == {
        "try_cron": "get /cron",
        "docs": "get /docs",
        "healthz": "get /healthz",
        "metrics": "get /metrics",
        "openapi": "get /openapi.json",
        "readyz": "get /readyz",
        "latest_results": "get /results",
        "latest_result": "get /results/{model_id}",
        "history": "get /results/{model_id}/history",
        "list_schedules": "get /schedule",
        "create_or_replace_schedule": "post /schedule",
        "save_schedules": "put /schedule",
        "get_schedule": "get /schedule/{model_id}",
        "put_schedule": "put /schedule/{model_id}",
        "change_schedule": "patch /schedule/{model_id}",
        "delete_schedule": "delete /schedule/{model_id}",
        "run_now": "post /schedule/{model_id}/run",
        "status": "get /status",
    }


@pytest.mark.parametrize("operation", [operation for _, _, operation in OPERATIONS.values()], ids=list(OPERATIONS))
def test_operation_has_descriptions_and_examples(operation: dict[str, Any]) -> None:
    assert operation["summary"].endswith(".")
    assert set(operation["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]}
    for parameter in operation["parameters"]:
        assert parameter["description"]
        assert "example" in parameter or "examples" in parameter["schema"] or parameter["name"] in WITHOUT_EXAMPLE
    for content in contents(operation):
        assert "example" in content or "examples" in content


@pytest.mark.parametrize("operation", [operation for _, _, operation in OPERATIONS.values()], ids=list(OPERATIONS))
def test_examples_match_their_schemas(operation: dict[str, Any]) -> None:
    for part in [*operation["parameters"], *contents(operation)]:
        examples = [example["value"] for example in part.get("examples", {}).values()]
        examples += part["schema"].get("examples", [])
        if "example" in part:
            examples.append(part["example"])
        validator = OAS31Validator({**part["schema"], "components": DOCUMENT["components"]})
        for example in examples:
            assert not list(validator.iter_errors(example))


def test_openapi_document_has_every_kind_of_problem() -> None:
    text = json.dumps([DOCUMENT["paths"], DOCUMENT["components"]["responses"]])

    assert [kind.name for kind in PROBLEMS if f'"{TYPE_PREFIX}{kind.name}"' not in text] == []


def test_operations_other_than_health_checks_need_a_token_if_there_are_tokens() -> None:
    with_tokens = document(APP, tokens_needed=True)

    assert with_tokens["security"] == [{"token": []}]
    for path, methods in with_tokens["paths"].items():
        for operation in methods.values():
            assert ("security" in operation) == (path in {"/healthz", "/readyz"})
            assert ("401" in operation["responses"]) == (path not in {"/healthz", "/readyz"})


def test_openapi_document_has_the_version_of_the_project() -> None:
    assert DOCUMENT["info"]["version"] == VERSION


def contents(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the request and response bodies of an operation."""
    responses = [
        DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]] if "$ref" in response else response
        for response in operation["responses"].values()
    ]
    for body in [operation.get("requestBody", {}), *responses]:
        yield from body.get("content", {}).values()
