"""The contract against the views that it is made from."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import validate

from api.contract.operation import OPERATIONS
from api.main import create_app
from api.openapi.document import document
from api.problems import PROBLEMS, TYPE_PREFIX
from api.settings import Settings

# Pages for people, and their files.
NO_PART_OF_IT = {
    "static", "docs.swagger_ui",
    "overview.overview", "model.model", "model.chart", "sign_in.sign_in", "sign_in.ask_again", "sign_in.sign_out",
}  # fmt: skip


@pytest.fixture(scope="module")
def app() -> Flask:
    return create_app(Settings.from_env({"DATABASE_URL": "postgresql://unused", "REDIS_URL": "redis://unused"}))


@pytest.fixture(scope="module")
def contract(app: Flask) -> dict[str, Any]:
    return document(app)


def calls(contract: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in contract["paths"].items():
        for method, call in methods.items():
            yield path, method.upper(), call


def test_every_view_says_what_it_takes_and_answers(app: Flask) -> None:
    silent = {name for name, view in app.view_functions.items() if view not in OPERATIONS}

    assert silent == NO_PART_OF_IT


def test_the_document_is_valid(contract: dict[str, Any]) -> None:
    validate(contract)


def test_every_method_of_every_address_is_in_it(app: Flask, contract: dict[str, Any]) -> None:
    served = {
        (re.sub("<(.+?)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint not in NO_PART_OF_IT
    }

    assert {(path, method) for path, method, _ in calls(contract)} == served


def test_every_call_has_a_name_of_its_own_and_words(contract: dict[str, Any]) -> None:
    names = [call["operationId"] for *_, call in calls(contract)]

    assert len(set(names)) == len(names)
    assert [call["summary"] for *_, call in calls(contract) if not call["summary"].endswith(".")] == []


def test_problems_have_names_of_their_own() -> None:
    assert len({kind.name for kind in PROBLEMS}) == len(PROBLEMS)
    assert all(re.fullmatch("[a-z]+(-[a-z]+)*", kind.name) for kind in PROBLEMS)


def test_the_examples_of_problems_are_problems(contract: dict[str, Any]) -> None:
    kinds = {kind.name: kind for kind in PROBLEMS}
    for _, _, call in calls(contract):
        for status, answer in call["responses"].items():
            examples = answer.get("content", {}).get("application/problem+json", {}).get("examples", {})
            for name, example in examples.items():
                assert example["value"]["type"] == TYPE_PREFIX + name
                assert str(example["value"]["status"]) == str(kinds[name].status) == status
