"""Problems as HTML, for browsers: the sign-in form, or a page with the detail."""

from flask import Response, render_template, request

from api.pages import sign_in
from api.problems import Problem, Unauthorized

PAGE_BLUEPRINTS = frozenset({"overview", "model", "docs"})


def render(problem: Problem) -> Response | None:
    """Return the problem as a page; None for clients that do not accept HTML."""
    if not _wants_html():
        return None
    if isinstance(problem, Unauthorized):
        html = sign_in.render_form(request.full_path.rstrip("?"))
    else:
        html = render_template("problem.html", problem=problem)
    response = Response(html, problem.status)
    response.headers.update(problem.headers)
    return response


def _wants_html() -> bool:
    is_page = request.blueprint in PAGE_BLUEPRINTS or request.url_rule is None  # an unknown path
    return is_page and request.method in {"GET", "HEAD"} and "text/html" in request.headers.get("Accept", "")
