"""The contract: /openapi.json for programs, /docs for people, with Swagger UI from a package: no Internet needed."""

from importlib.resources import files
from typing import Annotated

from flask import Blueprint, Response, current_app, jsonify, render_template
from pydantic import Field

from api.backends import backends
from api.contract import conditional_get
from api.contract.operation import Operation, ResponseSpec, operation
from api.openapi.document import document
from api.problems import NotFound

blueprint = Blueprint("docs", __name__)

SWAGGER_UI = {  # files of the package offapi, by the name in the URL
    "swagger-ui.css": ("swagger_style.css", "text/css"),
    "swagger-ui.js": ("swagger_bundle.js", "text/javascript"),
}
Document = Annotated[dict[str, object], Field(examples=[{"openapi": "3.1.0"}])]
Page = Annotated[str, Field(examples=["<!doctype html>"])]


@blueprint.get("/openapi.json")
@operation(
    Operation(
        {200: ResponseSpec("This document.", Document, conditional_get.ETAG_HEADER), 304: conditional_get.NOT_MODIFIED},
        headers=conditional_get.IF_NONE_MATCH_HEADER,
        needs_backends=False,
    )
)
def openapi() -> Response:
    """Show the contract."""
    return conditional_get.make_conditional(
        jsonify(document(current_app, tokens_needed=bool(backends().settings.api_tokens)))
    )


@blueprint.get("/docs")
@operation(Operation({200: ResponseSpec("The page.", Page, media_type="text/html")}, needs_backends=False))
def docs() -> str:
    """Show the contract as a page on which calls can be tried."""
    return render_template("docs.html")


@blueprint.get("/docs/<name>")
def swagger_ui(name: str) -> Response:
    """Return a file of Swagger UI."""
    if name not in SWAGGER_UI:
        raise NotFound(f"there is no {name[:80]}; the page is /docs")
    file, media_type = SWAGGER_UI[name]
    return conditional_get.make_conditional(Response((files("offapi") / file).read_bytes(), mimetype=media_type))
