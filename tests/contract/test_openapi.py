"""The contract as a document: valid, complete, with examples that it would itself take."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.main import create_app
from api.openapi.document import document
from api.problems import PROBLEMS, TYPE_PREFIX
from api.settings import Settings

# None of them is asked here.
APP = create_app(Settings.from_env({"DATABASE_URL": "postgresql://unused", "REDIS_URL": "redis://unused"}))
CONTRACT = document(APP)
CALLS = {
    call["operationId"]: (path, method, call)
    for path, methods in CONTRACT["paths"].items()
    for method, call in methods.items()
}
OPAQUE = {"after"}  # there is no value that would be right of a system of the reader's own


def test_it_is_valid() -> None:
    assert not list(OpenAPIV31SpecValidator(CONTRACT).iter_errors())


def test_generated_clients_keep_the_names_of_their_methods() -> None:
    """Callers have written them into their programs: add some, but change none."""
    assert {name: f"{method} {path}" for name, (path, method, _) in CALLS.items()} == {
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


@pytest.mark.parametrize("call", [call for _, _, call in CALLS.values()], ids=list(CALLS))
def test_it_explains_each_call(call: dict[str, Any]) -> None:
    assert call["summary"].endswith(".")
    assert set(call["tags"]) <= {tag["name"] for tag in CONTRACT["tags"]}
    for parameter in call["parameters"]:
        assert parameter["description"]
        assert "example" in parameter or "examples" in parameter["schema"] or parameter["name"] in OPAQUE
    for content in contents(call):
        assert "example" in content or "examples" in content


@pytest.mark.parametrize("call", [call for _, _, call in CALLS.values()], ids=list(CALLS))
def test_examples_are_what_the_schemas_say(call: dict[str, Any]) -> None:
    for part in [*call["parameters"], *contents(call)]:
        examples = [each["value"] for each in part.get("examples", {}).values()] + part["schema"].get("examples", [])
        if "example" in part:
            examples.append(part["example"])
        validator = OAS31Validator({**part["schema"], "components": CONTRACT["components"]})
        for example in examples:
            assert not list(validator.iter_errors(example))


def test_it_has_every_kind_of_problem() -> None:
    text = json.dumps([CONTRACT["paths"], CONTRACT["components"]["responses"]])

    assert [kind.name for kind in PROBLEMS if f'"{TYPE_PREFIX}{kind.name}"' not in text] == []


def test_health_checks_need_no_token_and_other_calls_do_where_there_are_tokens() -> None:
    closed = document(APP, tokens_needed=True)

    assert closed["security"] == [{"token": []}]
    for path, methods in closed["paths"].items():
        for call in methods.values():
            assert ("security" in call) == (path in {"/healthz", "/readyz"})
            assert ("401" in call["responses"]) == (path not in {"/healthz", "/readyz"})


def test_it_has_the_version_of_the_project() -> None:
    assert CONTRACT["info"]["version"] == tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]


def contents(call: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the bodies of a call and its answers."""
    responses = [
        CONTRACT["components"]["responses"][response["$ref"].rpartition("/")[2]] if "$ref" in response else response
        for response in call["responses"].values()
    ]
    for body in [call.get("requestBody", {}), *responses]:
        yield from body.get("content", {}).values()
