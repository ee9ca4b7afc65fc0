"""The contract: /openapi.json for programs, /docs for people, by Swagger UI that is served from here and works offline."""

from importlib.resources import files

from flask import Blueprint, Response, current_app, jsonify, render_template

from api.contract import Answer, Operation, operation
from api.openapi import document
from api.problems import NotFound

blueprint = Blueprint("docs", __name__)

SWAGGER_UI = {  # what the package offapi has of it, by the name under which it is served
    "swagger-ui.css": ("swagger_style.css", "text/css"),
    "swagger-ui.js": ("swagger_bundle.js", "text/javascript"),
}
ONE_DAY = 24 * 3600  # seconds


@blueprint.get("/openapi.json")
@operation(Operation({200: Answer("This document.", dict[str, object])}, servers=False))
def openapi() -> Response:
    """Show the contract."""
    return jsonify(document(current_app))


@blueprint.get("/docs")
@operation(Operation({200: Answer("A page for people.", str, media_type="text/html")}, servers=False))
def docs() -> str:
    """Show the contract as a page on which calls can be tried."""
    return render_template("docs.html")


@blueprint.get("/docs/<name>")
def swagger_ui(name: str) -> Response:
    """Serve a part of Swagger UI."""
    if name not in SWAGGER_UI:
        raise NotFound(f"there is no {name[:80]}; the page is /docs")
    file, media_type = SWAGGER_UI[name]
    answer = Response((files("offapi") / file).read_bytes(), content_type=f"{media_type}; charset=utf-8")
    answer.cache_control.max_age = ONE_DAY
    return answer
