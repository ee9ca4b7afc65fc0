"""What went wrong, for people: the page that asks for a token, or one that says what is the matter."""

from flask import Response, render_template, request

from api.pages import sign_in
from api.problems import Problem, Unauthorized

PAGES = frozenset({"overview", "model", "docs"})  # blueprints


def wanted() -> bool:
    """Whether somebody looks at a page, and not a program asks."""
    is_page = request.blueprint in PAGES or request.url_rule is None  # there is nothing at this address
    return is_page and request.method in {"GET", "HEAD"} and "text/html" in request.headers.get("Accept", "")


def show(problem: Problem) -> Response:
    """Return the page instead of the problem's JSON."""
    if isinstance(problem, Unauthorized):
        html = sign_in.form(request.full_path.rstrip("?"))
    else:
        html = render_template("problem.html", problem=problem)
    answer = Response(html, problem.status)
    answer.headers.update(problem.headers)
    return answer
