"""The page of the contract: all from here, and nothing that the Content-Security-Policy would stop."""

import re

import pytest
from flask.testing import FlaskClient

from tests.support.api_responses import problem

ATTRIBUTE = re.compile(r'(?:src|href)="([^"]+)"')


def test_the_page_needs_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/docs")
    addresses = [address for address in ATTRIBUTE.findall(page.text) if address != "data:,"]

    assert page.mimetype == "text/html"
    assert len(addresses) == 5
    for address in addresses:
        assert address.startswith("/")
        with client.get(address) as part:
            assert part.status_code == 200


def test_the_page_has_no_script_and_no_style_of_its_own(client: FlaskClient) -> None:
    page = client.get("/docs")

    assert "script-src 'self'; style-src 'self'" in page.headers["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", page.text)


def test_a_browser_gets_swagger_ui_once(client: FlaskClient) -> None:
    script = client.get("/docs/swagger-ui.js")
    again = client.get("/docs/swagger-ui.js", headers={"If-None-Match": script.headers["ETag"]})

    assert script.mimetype == "text/javascript"
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("range_", ["bytes=9999999-", "bytes=5-2", "bytes=0-1,3-4", "lines=1-2", "nonsense"])
def test_a_range_that_a_file_does_not_have_is_a_problem(client: FlaskClient, range_: str) -> None:
    answer = client.get("/static/docs.js", headers={"Range": range_})

    assert problem(answer) == (416, "wrong-range")
    assert answer.headers["Content-Range"].startswith("bytes */")


def test_there_is_nothing_else_beside_the_page(client: FlaskClient) -> None:
    answer = client.get("/docs/redoc.js")

    assert answer.status_code == 404
    assert answer.json is not None
    assert answer.json["type"].endswith("not-found")
