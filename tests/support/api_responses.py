"""What tests look for in answers."""

from typing import Any

from api.problems import CONTENT_TYPE, TYPE_PREFIX


def problem(answer: Any) -> tuple[int, str]:
    """Return the status and the type of a problem, without the prefix that all types have."""
    assert answer.content_type == CONTENT_TYPE, answer.text
    assert answer.json["status"] == answer.status_code
    return answer.status_code, str(answer.json["type"]).removeprefix(TYPE_PREFIX)


def following(answer: Any) -> str | None:
    """Return the address of the next page."""
    link: str | None = answer.headers.get("Link")
    if link is None:
        return None
    assert (link[0], link[-13:]) == ("<", '>; rel="next"')
    return link[1:-13]
