"""The OpenAPI document against the views from which it is generated."""

import re
from collections.abc import Iterator
from typing import Any

from openapi_spec_validator import validate

from api.contract.operation import OPERATIONS
from api.problems import PROBLEMS, TYPE_PREFIX
from tests.support.openapi_document import APP, DOCUMENT

# Pages and their files.
UNDOCUMENTED = {
    "static", "docs.swagger_ui",
    "overview.overview", "model.model", "model.chart",
    "sign_in.sign_in", "sign_in.redirect_to_form", "sign_in.sign_out",
}  # fmt: skip


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def test_every_view_but_pages_has_an_operation() -> None:
    without_operation = {name for name, view in APP.view_functions.items() if view not in OPERATIONS}

    assert without_operation == UNDOCUMENTED


def test_openapi_document_passes_the_validator() -> None:
    validate(DOCUMENT)


def test_every_method_of_every_path_is_in_the_openapi_document() -> None:
    served = {
        (re.sub("<(.+?)>", r"{\1}", rule.rule), method)
        for rule in APP.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint not in UNDOCUMENTED
    }

    assert {(path, method) for path, method, _ in operations()} == served


def test_operations_have_unique_ids_and_summaries() -> None:
    names = [operation["operationId"] for *_, operation in operations()]

    assert len(set(names)) == len(names)
    assert [operation["summary"] for *_, operation in operations() if not operation["summary"].endswith(".")] == []


def test_problems_have_unique_names() -> None:
    assert len({kind.name for kind in PROBLEMS}) == len(PROBLEMS)
    assert all(re.fullmatch("[a-z]+(-[a-z]+)*", kind.name) for kind in PROBLEMS)


def test_examples_of_problems_have_their_type_and_status() -> None:
    kinds = {kind.name: kind for kind in PROBLEMS}
    for _, _, operation in operations():
        for status, response in operation["responses"].items():
            examples = response.get("content", {}).get("application/problem+json", {}).get("examples", {})
            for name, example in examples.items():
                assert example["value"]["type"] == TYPE_PREFIX + name
                assert str(example["value"]["status"]) == str(kinds[name].status) == status
