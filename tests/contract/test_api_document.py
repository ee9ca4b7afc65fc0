"""docs/api.md says what the API does."""

import re
from pathlib import Path

from api.problems import PROBLEMS
from tests.contract.test_openapi import CONTRACT

DOCUMENT = Path("docs/api.md").read_text()


def test_it_lists_the_problems() -> None:
    listed = re.findall(r"^\| ([a-z-]+) \| (\d+) \| (.+) \|$", DOCUMENT, re.MULTILINE)

    assert sorted(listed) == sorted((kind.name, str(kind.status), kind.title) for kind in PROBLEMS)


def test_its_calls_are_those_of_the_contract() -> None:
    called = re.findall(r"curl .*\$API(/[^\s\"?`]*)", DOCUMENT)

    assert {path.replace("$MODEL", "{model_id}") for path in called} <= set(CONTRACT["paths"]) | {"/openapi.json"}
    assert len(called) > 8
