"""The page of the contract: it loads its own files only, and complies with the Content-Security-Policy."""

import re

import pytest
from flask.testing import FlaskClient

from tests.support.api_responses import problem

ATTRIBUTE = re.compile(r'(?:src|href)="([^"]+)"')


def test_docs_page_loads_its_own_files_only(client: FlaskClient) -> None:
    page = client.get("/docs")
    urls = [url for url in ATTRIBUTE.findall(page.text) if url != "data:,"]

    assert page.mimetype == "text/html"
    assert len(urls) == 5
    for url in urls:
        assert url.startswith("/")
        with client.get(url) as file:
            assert file.status_code == 200


def test_docs_page_has_no_inline_script_and_no_inline_style(client: FlaskClient) -> None:
    page = client.get("/docs")

    assert "script-src 'self'; style-src 'self'" in page.headers["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", page.text)


def test_swagger_ui_is_cacheable(client: FlaskClient) -> None:
    script = client.get("/docs/swagger-ui.js")
    again = client.get("/docs/swagger-ui.js", headers={"If-None-Match": script.headers["ETag"]})

    assert script.mimetype == "text/javascript"
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("range_", ["bytes=9999999-", "bytes=5-2", "bytes=0-1,3-4", "lines=1-2", "nonsense"])
def test_unsatisfiable_range_of_a_file_is_a_problem(client: FlaskClient, range_: str) -> None:
    response = client.get("/static/docs.js", headers={"Range": range_})

    assert problem(response) == (416, "wrong-range")
    assert response.headers["Content-Range"].startswith("bytes */")


def test_unknown_file_of_the_docs_page_is_404(client: FlaskClient) -> None:
    response = client.get("/docs/redoc.js")

    assert response.status_code == 404
    assert response.json is not None
    assert response.json["type"].endswith("not-found")
