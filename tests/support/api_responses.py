"""Parts of API responses that tests compare."""

from typing import Any

from api.problems import CONTENT_TYPE, TYPE_PREFIX


def problem(response: Any) -> tuple[int, str]:
    """Return the status and the type of a problem, without the prefix that all types have."""
    assert response.content_type == CONTENT_TYPE, response.text
    assert response.json["status"] == response.status_code
    return response.status_code, str(response.json["type"]).removeprefix(TYPE_PREFIX)


def next_page_url(response: Any) -> str | None:
    """Return the URL of the next page."""
    link: str | None = response.headers.get("Link")
    if link is None:
        return None
    assert (link[0], link[-13:]) == ("<", '>; rel="next"')
    return link[1:-13]
