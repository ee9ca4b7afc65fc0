"""docs/api.md against the code."""

import re
from pathlib import Path

from api.problems import PROBLEMS
from tests.support.openapi_document import DOCUMENT as OPENAPI_DOCUMENT

PAGE = Path("docs/api.md").read_text()


def test_api_page_lists_the_problems() -> None:
    listed = re.findall(r"^\| ([a-z-]+) \| (\d+) \| (.+) \|$", PAGE, re.MULTILINE)

    assert sorted(listed) == sorted((kind.name, str(kind.status), kind.title) for kind in PROBLEMS)


def test_paths_of_the_api_page_are_in_the_openapi_document() -> None:
    paths = re.findall(r"curl .*\$API(/[^\s\"?`]*)", PAGE)

    assert {path.replace("$MODEL", "{model_id}") for path in paths} <= set(OPENAPI_DOCUMENT["paths"]) | {
        "/openapi.json"
    }
    assert len(paths) > 8
