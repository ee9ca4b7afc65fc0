"""The page of the contract: all from here, and nothing that the Content-Security-Policy would stop."""

import re

from flask.testing import FlaskClient

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


def test_there_is_nothing_else_beside_the_page(client: FlaskClient) -> None:
    answer = client.get("/docs/redoc.js")

    assert answer.status_code == 404
    assert answer.json is not None
    assert answer.json["type"].endswith("not-found")
